package tour

import (
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
)

// Quickly keeps the waiting between attempts short.
func Quickly(cfg *sdk.Config) {
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 50 * time.Millisecond, MaxDelay: 500 * time.Millisecond}
}

// Restart: the sessions come back to a server that was stopped, and then killed. In this order: a
// server that stops writes down what ejabberd would forget when it is killed.
func Restart(t *testing.T, node *xmppserver.Server) {
	var all []*users.User
	for _, way := range Ways() {
		s := New(t, way, node)
		all = append(all, s.Login(t, "anna", Quickly), s.Login(t, "ben", Quickly))
	}
	for _, c := range []struct {
		name string
		end  func(*xmppserver.Server)
	}{
		{"stopped", (*xmppserver.Server).Stop},
		{"killed", (*xmppserver.Server).Kill},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.end(node)
			for _, u := range all {
				// With stream management, Prosody says no more than this even when it stops.
				u.AwaitStatus(t, sdk.StatusDisconnected)
				u.AwaitStatus(t, sdk.StatusConnectionFailed)
				_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				users.RequireLost(t, err)
			}
			node.Start()
			for _, u := range all {
				u.RequireBack(t)
			}
		})
	}
}

// Resume: pushes during a lost connection arrive later.
func Resume(t *testing.T, s *Service) {
	var line users.Line
	desk := s.Login(t, "anna", Quickly, func(cfg *sdk.Config) { cfg.DialContext = line.Dial })
	desk.RequireResumed(t,
		&line, desk.Again(t, s.Config()), s.Register(t, "ben"),
		func() int { return s.Node.ResumptionsTimedOut(desk.JID()) },
	)
}
