package jssdk_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// modes are the two kinds of licence.
var modes = map[string]bool{"trial": true, "licensed": false}

// everybody who plays, and the time zone of each: the wire password has it in it.
var everybody = map[string]string{
	"alice": "UTC", "bob": "Asia/Kolkata", "carol": "America/New_York", "dave": "UTC", "erin": "Pacific/Kiritimati",
	"frank": "UTC",
}

// cast is a stage on which those named use the JavaScript SDK, each in a page of one browser, and
// all others package sdk.
func cast(t *testing.T, svc *service, pages ...string) *stage {
	t.Helper()
	s := &stage{T: t, svc: svc, parties: map[string]party{}}
	if len(pages) > 0 {
		s.browser = startBrowser(t, svc)
	}
	for who, zone := range everybody {
		if slices.Contains(pages, who) {
			s.parties[who] = s.browser.open(t, who, zone)
		} else {
			s.parties[who] = newGopher(svc)
		}
	}
	return s
}

// TestProfilePage is the official JavaScript SDK against examples/devserver.
func TestProfilePage(t *testing.T) {
	for name, trial := range modes {
		t.Run(name, func(t *testing.T) {
			needAll(t)
			s := cast(t, devserver(t, trial), "alice", "bob", "carol")
			tour(s)
			s.browser.RequireClean(t, quirks...)
		})
	}
}

// TestMixedCompany plays the script with both SDKs on one server: each sees what the other does.
// The server pings often, and sends those away who do not answer.
func TestMixedCompany(t *testing.T) {
	for _, c := range []struct {
		name  string
		trial bool
		pages []string
	}{
		{"JavaScript alice", true, []string{"alice", "carol", "frank"}},
		{"Go alice", false, []string{"bob", "dave"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			needAll(t)
			svc := inProcess(t, sdktest.Options{Trial: c.trial, PingInterval: 5 * time.Second})
			s := cast(t, svc, c.pages...)
			tour(s)
			s.browser.RequireClean(t, quirks...)
			// alice is there to the end.
			require.NoError(t, svc.srv.Wait(t.Context(), "alice has answered a ping", func() bool {
				return slices.ContainsFunc(svc.srv.Requests(), func(q sdktest.Request) bool {
					return q.User == "alice" && pong.MatchString(canonicalForm(t, q.Stanza))
				})
			}))
		})
	}
}

// pong is the answer to a ping (protocol.md 4.7).
var pong = regexp.MustCompile(`^<iq xmlns="jabber:client"[^>]* to="` + host + `" type="result"></iq>$`)

// quirks are complaints of the pages that say nothing against the service.
var quirks = []string{
	// the SDK's own slip, when a connection that carries calls is lost
	"Bn.destroy is not a function",
	"ERR_CONNECTION_REFUSED",          // while the service restarts
	"ERR_CONNECTION_RESET",            // likewise, when the machine is busy
	"Data frame received after close", // ejabberd still sends after the close frame of a logout
	// stale tokens, which the SDK renews, and refusals that the script wants
	"status of 4",
	"Feature unavailable for your plan",
}
