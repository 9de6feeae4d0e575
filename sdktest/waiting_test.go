package sdktest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const noStore = `<no-store xmlns="urn:xmpp:hints"/>`

func TestMessagesWait(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	to := "bob@" + s.Domain()
	chat := func(id, children string) {
		a.send(`<message id="%s" to="%s" type="chat" xmlns="jabber:client">%s</message>`, id, to, children)
	}
	a.text(s, to, "m1", "first")
	chat("r1", `<seen xmlns="urn:xmpp:receipts" id="x"/>`)
	chat("t1", `<composing xmlns="http://jabber.org/protocol/chatstates"/>`+noStore)
	chat("t2", `<gone xmlns="https://jabber.org/protocol/chatstates">`+noStore+`</gone>`)
	chat("n1", `<body>x</body>`+noStore)
	a.until(`id="n1"`, "service-unavailable")
	a.send(`<message id="h1" to="%s" type="headline" xmlns="jabber:client"><body>x</body></message>`, to)
	a.text(s, to, "m2", "second")
	a.until("<acknowledge ", `id="m2"`)
	require.Equal(t, 3, s.Waiting("bob"))
	require.Len(t, s.Messages("bob"), 2)

	silent := connect(t, s, bob, "Web-silent")
	got := strings.Join(silent.settle(), "")
	for _, id := range []string{"m1", "r1", "m2"} {
		require.Contains(t, got, `id="`+id+`"`)
	}
	silent.presence(-1)
	require.Zero(t, s.Waiting("bob"))
	a.text(s, to, "m3", "third")
	a.until("<acknowledge ", `id="m3"`)
	require.Empty(t, silent.settle())
	require.Equal(t, 1, s.Waiting("bob"))
	silent.presence(0)
	require.Contains(t, strings.Join(silent.settle(), ""), `id="m3"`)
}

// What waits comes in order, with the time of the server.
func TestWaitingMessagesAreDelayed(t *testing.T) {
	s := trial(t)
	bob := register(t, s, "bob")
	var ids []string
	for i := range 20 {
		id, err := s.SendMessage(t.Context(), "alice", "bob", fmt.Sprint(i))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	b := connect(t, s, bob, "Web-1")
	for _, id := range ids {
		require.Regexp(t, `<delay xmlns="urn:xmpp:delay" from="`+s.Domain()+`" stamp="[0-9T:.-]{23}Z"/></message>$`,
			b.until(`id="`+id+`"`))
	}
}

func TestWaitingMessagesAreBounded(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	to := "bob@" + s.Domain()
	for i := range maxWaiting {
		a.text(s, to, fmt.Sprint("m", i), "x")
	}
	a.text(s, to, "over", "x")
	require.Contains(t, a.until(`id="over"`, `type="error"`), "resource-constraint")
	require.Equal(t, maxWaiting, s.Waiting("bob"))
	b := connect(t, s, bob, "Web-1")
	for i := range maxWaiting {
		b.until(fmt.Sprintf(`id="m%d"`, i))
	}
	require.Zero(t, s.Waiting("bob"))
}

// enable turns stream management on, and returns the id of the stream.
func (x *xmppClient) enable() string {
	x.t.Helper()
	x.send(`<enable xmlns="urn:xmpp:sm:3" resume="true"/>`)
	_, after, found := strings.Cut(x.until("<enabled "), ` id="`)
	require.True(x.t, found)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

// What a client has not acknowledged comes again when it comes back with the same resource.
func TestUnacknowledgedMessagesComeAgain(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout = time.Hour })
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	to := "bob@" + s.Domain()
	for _, end := range []string{"it is killed", "its connection is lost", "the server ends"} {
		b := connect(t, s, bob, "Web-1")
		b.settle()
		b.enable()
		a.text(s, to, "m1 "+end, "x")
		a.text(s, to, "m2 "+end, "y")
		b.until(`id="m1 ` + end)
		b.send(`<a xmlns="urn:xmpp:sm:3" h="1"/>`)
		b.until(`id="m2 ` + end)
		b.settle() // the server has the acknowledgement
		switch end {
		case "its connection is lost":
			require.NoError(t, b.c.CloseNow())
			a.text(s, to, "m3 "+end, "z")
			a.until("<acknowledge ", "m3 "+end)
		case "the server ends":
			require.NoError(t, s.Restart())
			require.Equal(t, 1, s.Waiting("bob"))
		}
		b = connect(t, s, bob, "Web-1")
		require.Contains(t, b.until("<delay "), `id="m2 `+end, "and not m1")
		if end == "its connection is lost" {
			b.until(`id="m3 ` + end)
		}
	}
}

// A stream that nobody resumes gives back what its client has not got, and so does one that its
// client has ended.
func TestStreamsThatEndGiveBackMessages(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout = 50 * time.Millisecond })
	bob := register(t, s, "bob")
	for _, end := range []func(b *xmppClient){
		func(b *xmppClient) { _ = b.c.CloseNow() },
		func(b *xmppClient) { b.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`) },
	} {
		b := connect(t, s, bob, "Web-1")
		b.enable()
		id, err := s.SendMessage(t.Context(), "alice", "bob", "x")
		require.NoError(t, err)
		b.until(`id="` + id)
		end(b)
		require.NoError(t, s.Wait(t.Context(), "it waits for bob", func() bool { return s.Waiting("bob") == 1 }))
		require.Contains(t, connect(t, s, bob, "Web-2").until(`id="`+id), "<delay ")
		require.Zero(t, s.Waiting("bob"))
		require.NoError(t, s.Wait(t.Context(), "the old session has ended", func() bool {
			return len(s.Resources("bob")) == 1
		}))
		s.DropConnections()
		gone(t, s, "bob")
	}
}

// What a lost device alone has got goes to another one.
func TestUnacknowledgedMessagesGoToAnotherResource(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout = time.Hour })
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	b1, b2 := connect(t, s, bob, "Web-1"), connect(t, s, bob, "Web-2")
	b1.enable()
	a.text(s, "bob@"+s.Domain(), "both", "x")
	a.text(s, b1.jid, "alone", "y")
	b1.until(`id="alone"`)
	b2.until(`id="both"`)
	connect(t, s, bob, "Web-1")
	require.Contains(t, b2.until("<delay "), `id="alone"`)
	require.NotContains(t, strings.Join(b2.settle(), ""), `id="both"`)
	require.Zero(t, s.Waiting("bob"))
}
