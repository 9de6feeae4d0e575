package faults

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/stretchr/testify/require"
)

var idAttribute = regexp.MustCompile(` id="([^"]+)"`)

// blocklist is the answer to a request, with a user in it who was not blocked.
func (s *site) blocklist(id string) string {
	return fmt.Sprintf(`<iq xmlns="jabber:client" type="result" id="%s" from="%s" to="%s"><blocklist `+
		`xmlns="urn:xmpp:blocking"><item jid="ghost@%s"/></blocklist></iq>`,
		id, s.account.UserJID, s.account.UserJID, s.srv.Domain())
}

// TestLateReply: what answers a request of an old connection is no answer on the new one, not even
// to the same request.
func TestLateReply(t *testing.T) {
	t.Parallel()
	for _, w := range both {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, inFlight, w, insider, 0)
			s.start()
			s.register()
			s.connect()
			asked := make(chan string, 1)
			s.tap.tell(func(p packet) fate { // the request is noted, and its connection is cut
				if p.down || !p.has("<blocklist") {
					return pass(p)
				}
				asked <- idAttribute.FindStringSubmatch(p.text)[1]
				return fate{end: cut}
			})
			var err error
			labelled(s.label, func() { err = callBlocked(t.Context(), s) })
			require.ErrorIs(t, err, sdk.ErrNotConnected)
			id := patient.Receive(t, asked)
			s.await("the next connection", func(trace string) bool { return strings.HasSuffix(trace, "CDRCG") })
			// the old answer comes before the new one
			s.tap.tell(onDown("<blocklist", func(p packet) fate {
				return fate{send: []string{s.blocklist(id), p.text}}
			}))
			s.with(func(ctx context.Context) error {
				list, err := s.client.GetUsersIBlocked(ctx)
				require.Empty(t, list.Data)
				return err
			})
			s.heal()
			s.requireWorks()
			s.end()
			require.Regexp(t, "^CDRCGppD$", s.heard())
		})
	}
}

// TestOldConnectionAwakes: a connection that was given up as dead comes back to life. Neither what
// is pushed there nor its answers reach the client, which is on another.
func TestOldConnectionAwakes(t *testing.T) {
	t.Parallel()
	for _, w := range both {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, idle, w, insider, 0)
			s.cfg.KeepAlive = sdk.KeepAlivePolicy{Interval: 250 * time.Millisecond, Timeout: 2 * time.Second}
			s.start()
			s.register()
			s.connect()
			old := s.tap.newest()
			asked := make(chan string, 1)
			s.tap.tell(func(p packet) fate { // from the request on the old connection is dead
				if p.wire != old {
					return pass(p)
				}
				if !p.down && p.has("<blocklist") {
					asked <- idAttribute.FindStringSubmatch(p.text)[1]
				}
				return fate{}
			})
			var err error
			labelled(s.label, func() { err = callBlocked(t.Context(), s) })
			require.ErrorIs(t, err, sdk.ErrNotConnected)
			s.await("the next connection", func(trace string) bool { return strings.HasSuffix(trace, "CDRCG") })
			id := patient.Receive(t, asked)
			for _, late := range []string{s.profilePush("Q"), s.blocklist(id), s.profilePush("Q")} {
				_ = old.inject(late) // it may be closed already
			}
			s.with(func(ctx context.Context) error {
				list, err := s.client.GetUsersIBlocked(ctx)
				require.Empty(t, list.Data)
				return err
			})
			old.finish(cut)
			s.requireWorks()
			s.end()
			require.Regexp(t, "^CDRCGppD$", s.heard())
		})
	}
}

// TestBurstAtTheCut: pushes that were read before the connection broke are told before that is,
// none after.
func TestBurstAtTheCut(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, idle, w, network, 0)
			s.start()
			numbers := s.countPushes()
			s.register()
			s.connect()
			n := 0
			for loss := range 10 {
				for range 30 {
					s.srv.Push("alice", s.numberedPush(n))
					n++
				}
				s.line.cut()
				s.await("the next connection", func(trace string) bool { return strings.Count(trace, "G") == loss+1 })
			}
			s.requireWorks()
			numbers.check(t)
			s.end()
			requireLegal(t, s.heard())
		})
	}
}
