package sdk

import (
	"time"

	"github.com/mirrorfly-go/sdk/internal/dispatch"
	"github.com/mirrorfly-go/sdk/internal/observe"
)

// ConnectionStatus is what a ConnectionEvent tells, in the words of the JavaScript SDK (protocol.md
// 4.5).
type ConnectionStatus string

// The states of a connection.
const (
	// StatusConnected: logged in, requests work.
	StatusConnected ConnectionStatus = "CONNECTED"
	// StatusDisconnected: lost, or ended by Logout or Close; also the state before Connect.
	StatusDisconnected ConnectionStatus = "DISCONNECTED"
	// StatusConnectionFailed: an attempt to connect failed.
	StatusConnectionFailed ConnectionStatus = "CONNECTIONFAILED"
	// StatusReconnecting: the next attempt follows in RetryIn.
	StatusReconnecting ConnectionStatus = "RECONNECTING"
	// StatusAuthFail: the credentials are not accepted. No further attempt is made.
	StatusAuthFail ConnectionStatus = "AUTHFAIL"
	// StatusLoggedOut: the phone ended a QR session, or the service this device's.
	StatusLoggedOut ConnectionStatus = "LOGOUT"
)

// ConnectionEvent tells a change of the connection.
//
// The order is: CONNECTED; then, on a loss, DISCONNECTED, and for each attempt RECONNECTING
// followed by CONNECTED, CONNECTIONFAILED or AUTHFAIL. Logout and Close tell DISCONNECTED, unless
// that or nothing was told last; LOGOUT comes right before it. A Connect whose XMPP connection
// fails tells CONNECTIONFAILED or AUTHFAIL; one that the service refuses before that tells nothing.
type ConnectionEvent struct {
	// Status is what the connection is from now on.
	Status ConnectionStatus `json:"status"`
	// StatusCode is 401 with AUTHFAIL, else 0.
	StatusCode int `json:"statusCode,omitempty"`
	// Message is "Invalid Credentials" with AUTHFAIL.
	Message string `json:"errorMessage,omitempty"`
	// Err is the reason, an *Error; nil when the program asked for the change.
	Err error `json:"-"`
	// Attempt comes with RECONNECTING and what follows it: 1 for the first attempt after a loss.
	Attempt int `json:"attempt,omitempty"`
	// RetryIn comes with RECONNECTING: the delay until this attempt, in nanoseconds in JSON.
	RetryIn time.Duration `json:"retryIn,omitempty"`
	// Final comes with DISCONNECTED, CONNECTIONFAILED, AUTHFAIL and LOGOUT: no attempt follows by
	// itself, Connect is up to the program.
	Final bool `json:"final,omitempty"`
	// Resumed comes with CONNECTED after a loss: the old stream goes on and no event was missed
	// (XEP-0198). Without it OnMissed is told, too.
	Resumed bool `json:"resumed,omitempty"`
}

// PresenceEvent tells that a contact came or went (protocol.md 6.1).
type PresenceEvent struct {
	// FromUserJID is the bare JID of the contact.
	FromUserJID string `json:"fromUserJid"`
	// Status is "online", "unavailable" or another type of presence.
	Status string `json:"status"`
}

// BlockEvent tells a change of who has blocked whom (protocol.md 6.3, 6.4).
type BlockEvent struct {
	// UserID is the local part of UserJID.
	UserID string `json:"blockedUserId"`
	// UserJID is the bare JID. With ByMe and without Blocked it may be empty: everybody was
	// unblocked.
	UserJID string `json:"userJid"`
	// Blocked is false for an unblocking.
	Blocked bool `json:"blocked"`
	// ByMe: my list changed, here or on another device. Without it that user has (un)blocked me.
	ByMe bool `json:"byMe"`
}

// UserDeletedEvent tells that a user's account is gone (protocol.md 6.4).
type UserDeletedEvent struct {
	// UserJID is the bare JID.
	UserJID string `json:"userJid"`
}

// AdminBlockEvent tells that the service blocked or unblocked a user, a group or
// the own account (protocol.md 6.4).
type AdminBlockEvent struct {
	// JID is that of the user or the group; the own one for the own account.
	JID string `json:"toUserJid"`
	// ChatType says what JID is.
	ChatType ChatType `json:"chatType"`
	// Blocked is false for an unblocking.
	Blocked bool `json:"blocked"`
}

// MissedEvent tells that events did not reach the listeners: read again what matters.
type MissedEvent struct {
	// Dropped is how many events were dropped because a listener kept the queue waiting.
	Dropped int `json:"dropped"`
	// Messages is how many of these were messages. They are in the history, where the service keeps
	// one.
	Messages int `json:"messages,omitempty"`
	// Gap: the connection was lost and could not be resumed. Nobody knows what was pushed
	// meanwhile.
	Gap bool `json:"gap,omitempty"`
}

// listeners holds one set of functions for each kind of event. All kinds share one
// queue, so that events arrive in the order in which they happened.
type listeners struct {
	queue       dispatch.Queue
	connection  dispatch.Listeners[ConnectionEvent]
	userProfile dispatch.Listeners[Profile]
	presence    dispatch.Listeners[PresenceEvent]
	block       dispatch.Listeners[BlockEvent]
	userDeleted dispatch.Listeners[UserDeletedEvent]
	adminBlock  dispatch.Listeners[AdminBlockEvent]
	missed      dispatch.Listeners[MissedEvent]

	message        dispatch.Listeners[Message]
	messageEdited  dispatch.Listeners[Message]
	messageSent    dispatch.Listeners[Message]
	messageStatus  dispatch.Listeners[MessageStatusEvent]
	messageDeleted dispatch.Listeners[MessageDeletedEvent]
	typing         dispatch.Listeners[TypingEvent]
}

func (l *listeners) init(cfg *Config, o *observe.Observer) {
	l.queue.Observer = o
	l.queue.Log, l.queue.OnLoss = cfg.Logger, func(lost dispatch.Loss) {
		l.missed.Deliver(&l.queue, MissedEvent{Dropped: int(lost.Events), Messages: int(lost.Tracked)})
	}
}

// emit queues e for its listeners, which are to, and never waits. It is for callers without a lock.
func emit[E event](all *listeners, to *dispatch.Listeners[E], e E) {
	to.Emit(&all.queue, e, e.weight())
}

// emitPaced is emit for the read loop, which waits up to 100 ms for listeners to make room.
func emitPaced[E event](all *listeners, to *dispatch.Listeners[E], e E) {
	to.EmitPaced(&all.queue, e, e.weight())
}

// OnConnection calls f for every change of the connection, in order.
//
// This and what follows holds for every On method: listeners run one at a time, in the order of the
// events, never in a goroutine that the library needs. A listener may call any method of the
// Client, also Close, and may stop itself. While it runs later events wait, at most 1,024 and at
// most 16 MiB of their texts. What comes when the queue is full is left in the connection for up to
// 100 ms, so that listeners which free half of the queue in that time lose nothing of a burst. Then
// events are dropped and told to OnMissed: typing first, then presence, profiles, what became of
// messages, then blocks and deletions, then messages, and of each kind the oldest; connection
// events go last. A panic in a listener is
// logged and ends nothing else. The returned function removes the listener. When it has returned no
// call comes any more, but one that was just about to start.
func (c *Client) OnConnection(f func(ConnectionEvent)) (stop func()) {
	return c.listeners.connection.Add(f)
}

// OnUserProfile calls f when a contact's or the own profile has changed, and with what
// GetUserProfile has read (protocol.md 5.1, 6.2). By the service's documentation contacts are those
// with whom a message was exchanged: of others read the profile.
func (c *Client) OnUserProfile(f func(Profile)) (stop func()) {
	return c.listeners.userProfile.Add(f)
}

// OnPresence calls f when a contact comes or goes (protocol.md 6.1), which is who has exchanged a
// message with this user, as with OnUserProfile. The own presence is not told.
func (c *Client) OnPresence(f func(PresenceEvent)) (stop func()) {
	return c.listeners.presence.Add(f)
}

// OnBlock calls f when the own block list has changed, here or on another device (protocol.md 6.3),
// and when somebody has blocked or unblocked this user (6.4). In the latter case, when blocked,
// OnPresence is told "unavailable" first.
func (c *Client) OnBlock(f func(BlockEvent)) (stop func()) {
	return c.listeners.block.Add(f)
}

// OnUserDeleted calls f when a user's account was deleted (protocol.md 6.4).
func (c *Client) OnUserDeleted(f func(UserDeletedEvent)) (stop func()) {
	return c.listeners.userDeleted.Add(f)
}

// OnAdminBlock calls f when the service has blocked or unblocked a user, a group, or the own
// account (protocol.md 6.4).
func (c *Client) OnAdminBlock(f func(AdminBlockEvent)) (stop func()) {
	return c.listeners.adminBlock.Add(f)
}

// OnMissed calls f when events did not reach the listeners: after a reconnection that could not
// resume the old stream (right after CONNECTED), and when listeners were too slow. Read again what
// matters.
func (c *Client) OnMissed(f func(MissedEvent)) (stop func()) {
	return c.listeners.missed.Add(f)
}
