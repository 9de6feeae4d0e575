package sdktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// A burst passes through to a client that reads, in order and without loss.
func TestBurst(t *testing.T) {
	n := maxConversation + 500
	if testing.Short() {
		n = 5000
	}
	s := trial(t, func(o *Options) { o.ResumeTimeout, o.NoContacts = time.Hour, true })
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b.settle()
	b.enable()
	const message = `<message id="m%d" to="bob@%s" type="chat" xmlns="jabber:client"><body>%s</body></message>`
	sent := make(chan error, 1)
	go func() { // it ends when all is written, or with the connection
		for i := range n {
			raw := fmt.Sprintf(message, i, s.Domain(), strings.Repeat("x", 100))
			if err := a.c.Write(context.Background(), 1, []byte(raw)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	acked := make(chan struct{})
	go func() { // it ends with the connection, or with the last acknowledgement
		defer close(acked)
		for i := range n {
			for {
				_, raw, err := a.c.Read(context.Background())
				if err != nil {
					return
				}
				if strings.Contains(string(raw), fmt.Sprintf(`<acknowledge xmlns="urn:xmpp:receipts" id="m%d"`, i)) {
					break
				}
			}
		}
	}()
	got := 0
	for got < n {
		raw := b.next()
		switch {
		case strings.Contains(raw, fmt.Sprintf(` id="m%d"`, got)):
			got++
		case strings.HasPrefix(raw, "<r "):
			b.send(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, got)
		default:
			require.Fail(t, "out of order", raw)
		}
	}
	require.NoError(t, patient.Receive(t, sent))
	select {
	case <-acked:
	case <-time.After(patience):
		require.Fail(t, "not all are acknowledged")
	}
	require.Len(t, s.Messages("bob"), min(n, maxConversation), "the log is bounded")
	require.Equal(t, []string{"Web-1"}, s.Resources("bob"))
}

// Messages get to a client whose connection breaks again and again, at least once each.
func TestNothingIsLost(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout, o.NoContacts = time.Hour, true })
	bob := register(t, s, "bob")
	const n = 600
	sent := make(chan []string, 1)
	go func() { // it ends with the last message
		var ids []string
		for i := range n {
			id, err := s.SendMessage(context.Background(), "alice", "bob", fmt.Sprint(i))
			if err == nil {
				ids = append(ids, id)
			}
		}
		sent <- ids
	}()
	got := map[string]bool{}
	for range 30 {
		b := connect(t, s, bob, "Web-1")
		b.enable()
		for _, raw := range b.seen { // before stream management
			got[idOf(raw)] = true
		}
		stanzas := slices.DeleteFunc(b.settle(), func(raw string) bool { return strings.HasPrefix(raw, "<r ") })
		handled := min(10, len(stanzas)) // it dies before it has handled the others
		for _, raw := range stanzas[:handled] {
			got[idOf(raw)] = true
		}
		b.send(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, handled)
		require.NoError(t, b.c.CloseNow())
	}
	ids := patient.Receive(t, sent)
	require.Len(t, ids, n)
	b := connect(t, s, bob, "Web-1")
	for _, raw := range append(b.seen, b.settle()...) {
		got[idOf(raw)] = true
	}
	for i, id := range ids {
		require.True(t, got[id], "message %d is lost", i)
	}
}

func idOf(raw string) string {
	_, after, _ := strings.Cut(raw, ` id="`)
	id, _, _ := strings.Cut(after, `"`)
	return id
}

// Who acknowledges nothing is cut off when too much would have to be kept, and gets it again.
func TestTooManyUnacknowledgedStanzas(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout, o.NoContacts = time.Hour, true })
	bob := register(t, s, "bob")
	b := connect(t, s, bob, "Web-1")
	b.enable()
	require.NoError(t, b.c.CloseNow())
	body := el("", "body").txt(strings.Repeat("x", 4<<20))
	for i := range maxUnackedBytes/(4<<20) + 2 {
		m := el(nsClient, "message", "type", "chat", "id", fmt.Sprint("m", i), "to", "bob@"+s.Domain()).add(body)
		if _, err := s.hub.inject(&delivery{from: "alice", user: "bob"}, m); err != nil {
			break // it waits for the user now, and there is no room for more
		}
	}
	require.Empty(t, s.Resources("bob"))
	require.GreaterOrEqual(t, s.Waiting("bob"), maxUnackedBytes/(4<<20))
}
