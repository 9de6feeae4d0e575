package main

import (
	"github.com/mirrorfly-go/sdk"
)

// listen says what the bot reacts to. An event only tells that something has changed: what counts is then read from the service, so
// that nothing goes wrong when one was missed. Listeners must not wait, later events wait for them; the work is done in run.
func (b *bot) listen() {
	b.client.OnConnection(b.onConnection)
	b.client.OnPresence(b.onPresence)
	b.client.OnBlock(b.onBlock)
	b.client.OnUserDeleted(b.onUserDeleted)
	b.client.OnAdminBlock(b.onAdminBlock)
	b.client.OnMissed(b.onMissed)
}

func (b *bot) onConnection(e sdk.ConnectionEvent) {
	if e.Status == sdk.StatusAuthFail { // the client does not try again by itself
		b.look()
	}
}

func (b *bot) onPresence(e sdk.PresenceEvent) {
	b.log.Debug("presence", "jid", e.FromUserJID, "status", e.Status)
}

func (b *bot) onBlock(e sdk.BlockEvent) {
	if e.ByMe {
		b.log.Info("own block list changed", "jid", e.UserJID, "blocked", e.Blocked)
		return
	}
	b.log.Info("a user blocked or unblocked the bot", "jid", e.UserJID, "blocked", e.Blocked)
	b.look()
}

func (b *bot) onUserDeleted(e sdk.UserDeletedEvent) {
	b.log.Info("a user is gone", "jid", e.UserJID)
	b.look() // who is gone blocks nobody any more
}

func (b *bot) onAdminBlock(e sdk.AdminBlockEvent) {
	me, err := b.client.GetCurrentUserJID()
	if err != nil || e.JID != me.Data {
		b.log.Info("the administrator blocked or unblocked somebody", "jid", e.JID, "blocked", e.Blocked)
		return
	}
	b.blocked.Store(e.Blocked)
	b.log.Warn("the administrator blocked or unblocked this account", "blocked", e.Blocked)
	b.look()
}

// onMissed is also told after a loss of the connection, when others may have done what nobody told.
func (b *bot) onMissed(e sdk.MissedEvent) {
	b.log.Info("events missed, reading again", "gap", e.Gap, "dropped", e.Dropped)
	b.look()
}
