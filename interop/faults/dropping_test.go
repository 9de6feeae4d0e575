package faults

import (
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

// TestAcceptingAndDropping: a server that takes every connection and drops it at once is not asked
// in haste, however far it lets the client come: the delays grow. When it is well again the client
// is back.
func TestAcceptingAndDropping(t *testing.T) {
	t.Parallel()
	type drops struct {
		through through
		begin   func(*site)
		again   func(*site) // the connection that there is
	}
	fromNow := func(rule func(packet) fate) drops {
		return drops{insider, func(s *site) { s.tap.tell(rule) }, func(s *site) { s.tap.newest().finish(cut) }}
	}
	door := func(f fault) drops {
		return drops{frontage, func(s *site) { s.door.set(s.t, f) }, func(s *site) { s.srv.DropConnections() }}
	}
	up := func(text string) func(packet) fate {
		return func(p packet) fate {
			if !p.down && p.has(text) {
				return fate{end: cut}
			}
			return pass(p)
		}
	}
	for name, d := range map[string]drops{
		"at the door":        door(cut),
		"at the door by RST": door(reset),
		"at the stream":      fromNow(onHeader(cutOff)),
		"after the login": fromNow(
			onDown("<success", func(p packet) fate { return fate{send: []string{p.text}, end: cut} }),
		),
		"when it is up": fromNow(up("<presence")),
	} {
		for _, w := range both {
			t.Run(name+"/"+string(w), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, idle, w, d.through, 0)
				least := 5 * time.Millisecond
				s.cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: least, MaxDelay: 20 * least}
				s.start()
				var longest atomic.Int64
				attempts := make(chan int, 10_000)
				s.client.OnConnection(func(e sdk.ConnectionEvent) {
					if e.Status == sdk.StatusReconnecting {
						longest.Store(max(longest.Load(), int64(e.RetryIn)))
						attempts <- e.Attempt
					}
				})
				s.register()
				s.connect()
				d.begin(s)
				d.again(s)
				for range 25 {
					select {
					case <-attempts:
					case <-time.After(patience):
						require.FailNow(t, "it has given up", s.heard())
					}
				}
				require.Greater(t, time.Duration(longest.Load()), 4*least, "the delays have grown")
				s.heal()
				s.requireWorks()
				s.end()
				requireLegal(t, s.heard())
			})
		}
	}
}
