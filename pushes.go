package sdk

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// handle maps what the server pushes to the events of the JavaScript SDK (protocol.md 6). It runs
// in the session's read loop.
func (l *login) handle(event xmpp.Event) {
	to, me := &l.client.listeners, l.account()
	switch e := event.(type) {
	case xmpp.Presence:
		presence := PresenceEvent{FromUserJID: e.From.Bare().String(), Status: cmp.Or(e.Type, "online")}
		emitPaced(to, &to.presence, presence)
	case xmpp.VCardPush:
		p := l.client.openVCard(me, e)
		l.learnProfile(p)
		emitPaced(to, &to.userProfile, p)
	case xmpp.BlockPush:
		handleBlockPush(to, e)
	case xmpp.UserBlocked:
		handleUserBlocked(to, me, e)
	case xmpp.UserDeleted:
		emitPaced(to, &to.userDeleted, UserDeletedEvent{UserJID: me.jidOf(e.User)})
	case xmpp.AdminBlock:
		if !e.Blocked && me.jidOf(e.JID) == me.bareJID() {
			l.client.rest.Unblocked()
		}
		emitPaced(to, &to.adminBlock, AdminBlockEvent{
			JID: strings.ToLower(e.JID), ChatType: ChatType(e.ChatType), Blocked: e.Blocked,
		})
	case xmpp.LoggedOut:
		l.handleLoggedOut(e)
	case *xmpp.Message:
		l.handleMessage(me, e)
	case xmpp.Status:
		l.handleStatus(e)
	case xmpp.Refused:
		l.handleRefused(e)
	case xmpp.Recalled:
		l.handleRecalled(e)
	case xmpp.ChatState:
		emitPaced(to, &to.typing, TypingEvent{FromUserJID: e.From, Typing: e.Typing})
	}
}

// handleBlockPush tells a change of the own block list. Without a JID everybody was unblocked.
func handleBlockPush(to *listeners, e xmpp.BlockPush) {
	if len(e.JIDs) == 0 {
		emitPaced(to, &to.block, BlockEvent{Blocked: e.Blocked, ByMe: true})
	}
	for _, jid := range e.JIDs {
		jid = strings.ToLower(jid)
		emitPaced(to, &to.block, BlockEvent{UserID: localPart(jid), UserJID: jid, Blocked: e.Blocked, ByMe: true})
	}
}

func handleUserBlocked(to *listeners, me account, e xmpp.UserBlocked) {
	jid := me.jidOf(localPart(e.User))
	if e.Blocked {
		emitPaced(to, &to.presence, PresenceEvent{FromUserJID: jid, Status: "unavailable"})
	}
	emitPaced(to, &to.block, BlockEvent{UserID: localPart(jid), UserJID: jid, Blocked: e.Blocked})
}

// handleLoggedOut passes on that the service has ended this device's session, or the phone this QR
// session. Other goroutines end it: this is the session's own read loop.
func (l *login) handleLoggedOut(e xmpp.LoggedOut) {
	if slices.Contains(e.DeviceIDs, l.client.cfg.DeviceID) {
		l.client.goInBackground(l.loggedOut)
	}
	if l.qr != nil && slices.Contains(e.SocketIDs, l.qr.socketID) {
		select {
		case l.qr.ended <- struct{}{}:
		default: // it has been told already
		}
	}
}
