package sdktest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var stanzaID = regexp.MustCompile(`<message [^>]*id="(m\d)"`)

// ids are the message ids of what came in.
func ids(frames []string) (out []string) {
	for _, raw := range frames {
		if found := stanzaID.FindStringSubmatch(raw); found != nil {
			out = append(out, found[1])
		}
	}
	return out
}

func TestDeliveryFaults(t *testing.T) {
	for kind, want := range map[FaultKind]struct{ during, after string }{
		FaultNone:        {"m1 m2 m3", ""},
		FaultSilent:      {"", ""},
		FaultTwice:       {"m1 m1 m2 m2 m3 m3", ""},
		FaultHeld:        {"", "m1 m2 m3"},
		FaultReordered:   {"m2 m1", "m3"},
		FaultWrongSender: {"m1 m2 m3", ""},
		FaultError:       {"", ""},
	} {
		s := trial(t)
		a := connect(t, s, register(t, s, "alice"), "Web-1")
		b := connect(t, s, register(t, s, "bob"), "Web-1")
		b.settle()
		s.SetFault(StepDelivery, kind)
		for _, id := range []string{"m1", "m2", "m3"} {
			a.text(s, "bob@"+s.Domain(), id, "x")
			a.until("<acknowledge ", id)
			if kind == FaultError {
				a.until(`id="`+id+`"`, `type="error"`, "service-unavailable", `from="bob@`)
			}
		}
		a.send(`<message id="t" to="bob@%s" type="chat" xmlns="jabber:client"><composing xmlns="x"/></message>`,
			s.Domain())
		a.settle()
		got := b.settle()
		require.Equal(t, want.during, strings.Join(ids(got), " "), kind)
		require.Contains(t, strings.Join(got, ""), "<composing", "the fault is about messages with a body")
		require.Equal(t, kind == FaultWrongSender, strings.Contains(strings.Join(got, ""), strangerJID), kind)
		s.ClearFaults()
		require.Equal(t, want.after, strings.Join(ids(b.settle()), " "), kind)
		require.Len(t, s.Messages("bob"), 3)
	}
}

func TestHeldMessagesAreBounded(t *testing.T) {
	s := trial(t)
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	s.SetFault(StepDelivery, FaultHeld)
	first, err := s.SendMessage(t.Context(), "alice", "bob", "x")
	require.NoError(t, err)
	for range maxHeld {
		_, err := s.SendMessage(t.Context(), "alice", "bob", "x")
		require.NoError(t, err)
	}
	b.until(`id="` + first + `"`)
}

func TestAcknowledgementFaults(t *testing.T) {
	s := trial(t)
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	alice := register(t, s, "alice")
	for kind, want := range map[FaultKind]string{
		FaultSilent: "", FaultError: "internal-server-error", FaultWrongSender: `from="` + strangerJID + `"`,
		FaultMalformed: garbage, FaultClose: "closed",
	} {
		a := connect(t, s, alice, "Web-1")
		a.settle()
		b.settle()
		s.SetFault(StepMessage, kind)
		a.text(s, "bob@"+s.Domain(), "m1", "x")
		if kind == FaultClose {
			_, err := a.read(patience)
			require.Error(t, err)
		} else {
			got := strings.Join(a.settle(), "")
			require.Contains(t, got, want, kind)
			require.Equal(t, want == "", got == "", got)
		}
		require.Equal(t, kind != FaultError, len(ids(b.settle())) == 1, "it is delivered, unless it was refused")
		s.ClearFaults()
	}
	a := connect(t, s, alice, "Web-1")
	s.SetFault(StepMessage, FaultTwice)
	a.text(s, "bob@"+s.Domain(), "m2", "x")
	require.Equal(t, 2, strings.Count(strings.Join(a.settle(), ""), "<acknowledge "))
	s.SetFault(StepMessage, FaultHeld)
	a.text(s, "bob@"+s.Domain(), "m3", "x")
	a.text(s, "bob@"+s.Domain(), "m4", "x")
	require.Empty(t, a.settle())
	s.SetFault(StepMessage, FaultNone)
	require.Contains(t, a.next(), `<acknowledge xmlns="urn:xmpp:receipts" id="m3"`)
	require.Contains(t, a.next(), `<acknowledge xmlns="urn:xmpp:receipts" id="m4"`)
	s.RefuseNextMessage("policy-violation")
	require.Equal(t, []string{"policy-violation"}, s.Faults().Refusals)
	s.ClearFaults()
	require.Empty(t, s.Faults().Refusals)
}
