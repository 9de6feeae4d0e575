package faults

import (
	"context"
	"strings"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
)

// messageMark begins the text of a message to the client; a letter follows.
const messageMark = "message "

// hearMessage notes the messages of this package, which have the letter in the text: a small one
// when somebody else than bob has sent it. The one with H waits until it is handled.
func (s *site) hearMessage(m sdk.Message) {
	letter, is := strings.CutPrefix(m.Text, messageMark)
	if !is {
		s.t.Errorf("another message than was sent: %q", m.Text)
		return
	}
	if m.FromUserJID != "bob@"+s.srv.Domain() {
		letter = strings.ToLower(letter)
	}
	if letter == "H" {
		s.deferred = m.Defer()
	}
	s.hear(letter[0], nil)
}

// hearStatus notes what became of messages: a is the acknowledgement, x a refusal.
func (s *site) hearStatus(e sdk.MessageStatusEvent) {
	switch e.Status {
	case sdk.MessageStatusAcknowledged:
		s.hear('a', nil)
	case sdk.MessageStatusRefused:
		s.hear('x', e.Err)
	default:
		s.t.Errorf("nobody has sent a receipt: %+v", e)
	}
}

// invitePeer registers bob, who never connects: what was sent to him waits, a copy as often as it
// came.
func (s *site) invitePeer() {
	s.t.Helper()
	require.NoError(s.t, s.srv.SetProfile(s.t.Context(), "bob", sdktest.Profile{}))
}

// requireReached waits until bob has got at least so much, and requires that it is not more.
func (s *site) requireReached(peer [2]int) {
	s.t.Helper()
	enough := func() bool { return s.srv.Waiting("bob") >= peer[0] }
	require.NoError(s.t, s.srv.Wait(s.t.Context(), "messages and receipts wait for the peer", enough))
	require.LessOrEqual(s.t, s.srv.Waiting("bob"), peer[1])
}

// message sends the client one in the name of bob, which is heard as letter.
func (s *site) message(letter string) {
	s.t.Helper()
	_, err := s.srv.SendMessage(s.t.Context(), "bob", "alice", messageMark+letter)
	require.NoError(s.t, err)
}

func callSend(ctx context.Context, s *site) error {
	_, err := s.client.SendTextMessage(ctx, "bob@"+s.srv.Domain(), "a text")
	return err
}

// toPeer gives cases what the peer gets.
func toPeer(least, most int, cases []faultCase) []faultCase {
	for i := range cases {
		cases[i].peer = [2]int{least, most}
	}
	return cases
}
