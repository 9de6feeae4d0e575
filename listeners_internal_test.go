package sdk

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/dispatch"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// From the decoded stanza to the listener an event costs one allocation, and one more where a text
// is to be made for it.
func TestEventAllocations(t *testing.T) {
	const burst = 500 // which the queue holds
	client, err := New(Config{LicenseKey: "k", APIBaseURL: "https://service.example"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	l := client.newLogin("alice", "p", nil)
	l.me.jid = "alice@xmpp.example.com"
	seen, all := 0, make(chan struct{})
	count := func() {
		if seen++; seen == burst {
			seen = 0
			all <- struct{}{}
		}
	}
	client.OnPresence(func(PresenceEvent) { count() })
	client.OnUserProfile(func(Profile) { count() })
	client.OnBlock(func(BlockEvent) { count() })
	client.OnUserDeleted(func(UserDeletedEvent) { count() })
	client.OnAdminBlock(func(AdminBlockEvent) { count() })
	bob := xmpp.JID{Local: "bob", Domain: "xmpp.example.com", Resource: "phone"}
	for name, c := range map[string]struct {
		event xmpp.Event
		most  float64
	}{
		"user deleted":       {xmpp.UserDeleted{User: "bob@xmpp.example.com"}, 1},
		"admin block":        {xmpp.AdminBlock{JID: "bob@xmpp.example.com", ChatType: "chat"}, 1},
		"block on my list":   {xmpp.BlockPush{JIDs: []string{"bob@xmpp.example.com"}}, 1},
		"unblocked by other": {xmpp.UserBlocked{User: "bob"}, 2},
		"presence":           {xmpp.Presence{From: bob}, 2},
		// what is opened, here empty, is decoding
		"profile": {xmpp.VCardPush{From: bob}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			each := testing.AllocsPerRun(10, func() {
				for range burst {
					l.handle(c.event)
				}
				<-all
			}) / burst
			t.Logf("%.2f allocations", each)
			require.LessOrEqual(t, each, c.most+0.1, "the queue grows now and then")
		})
	}
}

// The queue counts each text that an event holds, and what goes first is in the order that
// OnConnection promises.
func TestWeightsCountEveryText(t *testing.T) {
	for _, c := range []struct {
		event event
		rank  dispatch.Rank
		// constant is the text that is one of a few constants, which nothing is held for.
		constant string
	}{
		{&TypingEvent{}, rankTyping, ""},
		{&PresenceEvent{}, rankPresence, ""},
		{&Profile{}, rankProfile, ""},
		{&MessageStatusEvent{}, rankStatus, "Status"},
		{&BlockEvent{}, rankState, ""},
		{&UserDeletedEvent{}, rankState, ""},
		{&AdminBlockEvent{}, rankState, ""},
		{&MessageDeletedEvent{}, rankState, ""},
		{&ConnectionEvent{}, rankConnection, ""},
		{&MissedEvent{}, rankConnection, ""},
	} {
		all := int32(0)
		fields := reflect.ValueOf(c.event).Elem()
		for i := range fields.NumField() {
			text := strings.Repeat("x", 1<<i)
			switch f := fields.Field(i); {
			case fields.Type().Field(i).Name == c.constant:
				continue
			case f.Kind() == reflect.String:
				f.SetString(text)
			case f.Type() == reflect.TypeFor[[]string]():
				f.Set(reflect.ValueOf([]string{text[1:], "x"}))
			default:
				continue
			}
			all += 1 << i
		}
		w := c.event.weight()
		require.Equal(t, c.rank, w.Rank, "%T", c.event)
		require.Equal(t, all, w.Bytes, "%T", c.event)
	}
	require.IsIncreasing(t, []dispatch.Rank{
		rankTyping, rankPresence, rankProfile, rankStatus, rankState, rankMessage, rankConnection,
	})
}

// A message counts with its texts, and with its body twice: as it was, and for what is made of it.
func TestWeightOfMessage(t *testing.T) {
	// ofBody are the fields that are made of the body.
	ofBody := map[string]bool{"NickName": true, "ReplyTo": true}
	m := Message{ChatType: ChatTypeChat} // a constant
	require.Equal(t, dispatch.Weight{Rank: rankMessage}, m.weight())
	all := int32(0)
	fields := reflect.ValueOf(&m).Elem()
	for i := range fields.NumField() {
		name, f := fields.Type().Field(i).Name, fields.Field(i)
		if f.Kind() != reflect.String || name == "ChatType" || ofBody[name] {
			continue
		}
		f.SetString(strings.Repeat("x", 1<<i))
		all += 1 << i
		require.Equal(t, all, m.weight().Bytes, name)
	}
	for _, name := range []string{"ID", "FromUserJID", "ToUserJID", "Type", "Text", "TopicID"} {
		require.NotEmpty(t, fields.FieldByName(name).String(), name)
	}
	m.Body = []byte(`{"nickName":"Bob"}`)
	all += 2 * int32(len(m.Body))
	require.Equal(t, all, m.weight().Bytes)
	m.Metadata = map[string]string{"key": "value", "k": ""}
	all += int32(len("key")+len("value")+len("k")) + 2*mapEntry
	require.Equal(t, dispatch.Weight{Rank: rankMessage, Bytes: all}, m.weight())
}
