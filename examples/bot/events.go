package main

import (
	"github.com/mirrorfly-go/sdk"
)

// listen registers the listeners. An event is only a sign that something has changed: run then
// reads the present state from the service, so that a missed event does no harm. A listener must
// not wait, because later events wait for it.
func (b *bot) listen() {
	b.client.OnConnection(b.onConnection)
	b.client.OnPresence(b.onPresence)
	b.client.OnBlock(b.onBlock)
	b.client.OnUserDeleted(b.onUserDeleted)
	b.client.OnAdminBlock(b.onAdminBlock)
	b.client.OnMissed(b.onMissed)
}

func (b *bot) onConnection(e sdk.ConnectionEvent) {
	if e.Status == sdk.StatusAuthFail { // the client does not reconnect by itself
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
	b.look() // a deleted user blocks nobody
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

// onMissed is also called after the connection was lost: events of that time are lost too.
func (b *bot) onMissed(e sdk.MissedEvent) {
	b.log.Info("events missed, reading again", "gap", e.Gap, "dropped", e.Dropped)
	b.look()
}
