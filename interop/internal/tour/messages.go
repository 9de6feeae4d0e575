package tour

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// correspondent is a user and what its listeners for messages were told.
type correspondent struct {
	*users.User
	came, edited, sent chan sdk.Message
	statuses           chan sdk.MessageStatusEvent
	deleted            chan sdk.MessageDeletedEvent
	typing             chan sdk.TypingEvent
}

func listening(u *users.User) *correspondent {
	const many = 1000
	c := &correspondent{
		User: u, came: make(chan sdk.Message, many), edited: make(chan sdk.Message, many),
		sent: make(chan sdk.Message, many), statuses: make(chan sdk.MessageStatusEvent, many),
		deleted: make(chan sdk.MessageDeletedEvent, many), typing: make(chan sdk.TypingEvent, many),
	}
	u.OnMessage(func(m sdk.Message) { c.came <- m })
	u.OnMessageEdited(func(m sdk.Message) { c.edited <- m })
	u.OnMessageSent(func(m sdk.Message) { c.sent <- m })
	u.OnMessageStatus(func(e sdk.MessageStatusEvent) { c.statuses <- e })
	u.OnMessageDeleted(func(e sdk.MessageDeletedEvent) { c.deleted <- e })
	u.OnTyping(func(e sdk.TypingEvent) { c.typing <- e })
	return c
}

func awaitID(t *testing.T, from chan sdk.Message, id string) sdk.Message {
	t.Helper()
	return users.Await(t, from, func(m sdk.Message) bool { return m.ID == id })
}

func (c *correspondent) awaitStatus(t *testing.T, id string, status sdk.MessageStatus) sdk.MessageStatusEvent {
	t.Helper()
	return users.Await(t, c.statuses, func(e sdk.MessageStatusEvent) bool {
		return e.MessageID == id && e.Status == status
	})
}

// text sends a text with an id.
func (c *correspondent) text(t *testing.T, to *correspondent, id, text string) {
	t.Helper()
	_, err := c.SendTextMessage(t.Context(), to.JID(), text, sdk.WithMessageID(id))
	require.NoError(t, err)
}

// Messages: two users write to each other, one of them on two devices. No server of these knows the
// service's elements, and none needs to.
func Messages(t *testing.T, s *Service) {
	anna, ben := listening(s.Login(t, "anna")), listening(s.Login(t, "ben"))
	const text = "Grüße 👋 <b>&amp;</b>\n\"quoted\" ]]>"
	anna.text(t, ben, "m-1", text)
	m := awaitID(t, ben.came, "m-1")
	require.Equal(t, []any{text, anna.JID(), false, false}, []any{m.Text, m.FromUserJID, m.Unsealed, m.Delayed})
	anna.awaitStatus(t, "m-1", sdk.MessageStatusDelivered)
	_, err := ben.SendSeenStatus(t.Context(), anna.JID(), "m-1")
	require.NoError(t, err)
	require.Equal(t, ben.JID(), anna.awaitStatus(t, "m-1", sdk.MessageStatusSeen).UserJID)
	for _, tell := range []func() (sdk.Result[sdk.None], error){
		func() (sdk.Result[sdk.None], error) { return ben.SendTypingStatus(t.Context(), anna.JID()) },
		func() (sdk.Result[sdk.None], error) { return ben.SendTypingGoneStatus(t.Context(), anna.JID()) },
	} {
		_, err := tell()
		require.NoError(t, err)
	}
	for _, typing := range []bool{true, false} {
		require.Equal(t, sdk.TypingEvent{FromUserJID: ben.JID(), Typing: typing},
			users.Await(t, anna.typing, func(sdk.TypingEvent) bool { return true }))
	}
	_, err = anna.EditTextMessage(t.Context(), ben.JID(), "m-1", "better")
	require.NoError(t, err)
	m = awaitID(t, ben.edited, "m-1")
	require.Equal(t, []any{"better", true}, []any{m.Text, m.Edited})
	_, err = anna.DeleteMessagesForEveryone(t.Context(), ben.JID(), "m-1", "m-0")
	require.NoError(t, err)
	require.Equal(t, sdk.MessageDeletedEvent{
		FromUserJID: anna.JID(), ToUserJID: ben.JID(), MessageIDs: []string{"m-1", "m-0"},
	}, users.Await(t, ben.deleted, func(sdk.MessageDeletedEvent) bool { return true }))
	secondDevice(t, s, anna, ben)
	away(t, anna, ben)
	unknownReceiver(t, s, anna)
}

// secondDevice: both devices get what comes and acknowledge it, and each what the other sends.
func secondDevice(t *testing.T, s *Service, anna, ben *correspondent) {
	desk := listening(users.New(t, s.Config()))
	desk.Account = anna.Account
	desk.Login(t)
	anna.text(t, ben, "c-1", "by one device")
	m := awaitID(t, desk.sent, "c-1")
	require.Equal(t, []any{"by one device", true, ben.JID()}, []any{m.Text, m.Own, m.Peer()})
	awaitID(t, ben.came, "c-1")
	ben.text(t, anna, "c-2", "to both")
	awaitID(t, anna.came, "c-2")
	awaitID(t, desk.came, "c-2")
	for range 2 {
		ben.awaitStatus(t, "c-2", sdk.MessageStatusDelivered)
	}
	_, err := desk.Logout(t.Context())
	require.NoError(t, err)
}

// away: a text waits for its receiver. That one has written does not.
func away(t *testing.T, anna, ben *correspondent) {
	_, err := ben.Logout(t.Context())
	require.NoError(t, err)
	_, err = anna.SendTypingStatus(t.Context(), ben.JID())
	require.NoError(t, err)
	anna.text(t, ben, "late", "later")
	ben.Login(t)
	m := awaitID(t, ben.came, "late")
	require.Equal(t, []any{"later", true}, []any{m.Text, m.Delayed})
	anna.awaitStatus(t, "late", sdk.MessageStatusDelivered)
	require.Empty(t, ben.typing, "Prosody has kept it")
}

// unknownReceiver: a stock server refuses the message, before or after it counts as taken.
func unknownReceiver(t *testing.T, s *Service, anna *correspondent) {
	_, err := anna.SendTextMessage(t.Context(), "nobody@"+s.Node.Domain, "x", sdk.WithMessageID("lost"))
	if err == nil {
		err = anna.awaitStatus(t, "lost", sdk.MessageStatusRefused).Err
	}
	users.RequireRefused(t, err, "service-unavailable")
	_, err = anna.GetChatMessages(t.Context(), sdk.ChatQuery{UserJID: "nobody@" + s.Node.Domain})
	require.Error(t, err, "history is the service's own")
	friends, err := anna.GetFriendsList(t.Context())
	require.NoError(t, err)
	require.Empty(t, friends.Data)
}
