package sdk_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// WaitConnected waits through a reconnection, as long as its context does.
func TestWaitConnected(t *testing.T) {
	b := backend.New(t)
	waiting, release := held(t, b)
	client, credentials := register(t, b.Config(sdk.TransportTCP), "alice")
	require.ErrorIs(t, client.WaitConnected(t.Context()), sdk.ErrNotRegistered)
	connect(t, client, credentials)
	require.NoError(t, client.WaitConnected(t.Context()))
	b.Cut()
	patient.Receive(t, waiting)
	_, err := client.GetUsersIBlocked(t.Context())
	require.ErrorContains(t, err, "reconnects by itself")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err = client.WaitConnected(ended)
	require.ErrorIs(t, err, context.Canceled)
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "WaitConnected", e.Op)
	require.Equal(t, sdk.OutcomeNotSent, e.Outcome)

	back := make(chan error, 2)
	for range 2 {
		go func() { back <- client.WaitConnected(t.Context()) }()
	}
	release()
	for range 2 {
		require.NoError(t, patient.Receive(t, back))
	}
	require.Equal(t, sdk.StatusConnected, client.State())
	_, err = client.GetUsersIBlocked(t.Context())
	require.NoError(t, err, "the call that it was waited for")
}

// A Connect that is under way is waited for, and its failure is the reason.
func TestWaitConnectedForConnect(t *testing.T) {
	for _, refused := range []bool{false, true} {
		b := backend.New(t)
		asked, goOn := make(chan struct{}), make(chan struct{})
		b.OnStream = func(v *backend.Visitor) bool {
			if v.Streams == 1 {
				close(asked)
				patient.Hold(t, goOn)
			}
			return true
		}
		b.SASL = func(string, string) string {
			if refused {
				return "not-authorized"
			}
			return ""
		}
		client := newClient(t, b.Config(sdk.TransportTCP))
		connected := make(chan error, 1)
		go func() {
			_, err := client.Connect(t.Context(), "alice", "pw")
			connected <- err
		}()
		patient.Receive(t, asked)
		waited := make(chan error, 1)
		go func() { waited <- client.WaitConnected(t.Context()) }()
		close(goOn)
		if refused {
			require.ErrorIs(t, patient.Receive(t, connected), sdk.ErrInvalidCredentials)
			require.ErrorIs(t, patient.Receive(t, waited), sdk.ErrInvalidCredentials)
			err := client.WaitConnected(t.Context())
			require.ErrorIs(t, err, sdk.ErrInvalidCredentials, "at once")
			require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err), "of the waiting, not of Connect")
			continue
		}
		require.NoError(t, patient.Receive(t, connected))
		require.NoError(t, patient.Receive(t, waited))
	}
}

// Who waits is told at once when nothing comes any more.
func TestWaitConnectedInVain(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, b *backend.Server, c *sdk.Client)
		want error
	}{
		"closed": {func(t *testing.T, _ *backend.Server, c *sdk.Client) {
			require.NoError(t, c.Close())
		}, sdk.ErrClosed},
		"logged out": {func(t *testing.T, _ *backend.Server, c *sdk.Client) {
			_, err := c.Logout(t.Context())
			require.NoError(t, err)
		}, sdk.ErrNotRegistered},
		"given up": {func(*testing.T, *backend.Server, *sdk.Client) {}, sdk.ErrNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			b := backend.New(t)
			waiting, release := held(t, b)
			cfg := b.Config(sdk.TransportTCP)
			cfg.Reconnect.MaxAttempts = 1
			client := newClient(t, cfg)
			_, err := client.Connect(t.Context(), "alice", "pw")
			require.NoError(t, err)
			b.Cut()
			patient.Receive(t, waiting)
			waited := make(chan error, 1)
			go func() { waited <- client.WaitConnected(t.Context()) }()
			if name == "given up" {
				b.Cut()
			}
			c.end(t, b, client)
			require.ErrorIs(t, patient.Receive(t, waited), c.want)
			require.ErrorIs(t, client.WaitConnected(t.Context()), c.want)
			release()
		})
	}
}

// Between the end of a session and DISCONNECTED, for which a hook of the reading may keep us
// waiting, calls fail at once: so WaitConnected waits, or a program that tries again does nothing
// else.
func TestWaitConnectedWhileTheEndIsNotTold(t *testing.T) {
	var armed atomic.Bool
	blocked, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	w := withHooks(t, &sdk.Hooks{Ignored: func(sdk.IgnoredInfo) {
		if armed.CompareAndSwap(true, false) {
			close(blocked)
			<-held
		}
	}}, nil)
	defer release()
	armed.Store(true)
	require.Equal(t, 1, w.srv.Push("alice", `<iq xmlns="jabber:client" type="result" id="never asked"/>`))
	await(t, blocked)
	w.srv.DropConnections()
	bob := "bob@" + w.srv.Domain()
	require.Eventually(t, func() bool {
		_, err := w.client.SendTypingStatus(soon(t), bob)
		return errors.Is(err, sdk.ErrNotConnected)
	}, patience, time.Millisecond)
	require.Equal(t, sdk.StatusConnected, w.client.State(), "the end is not told")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.client.WaitConnected(ctx), context.DeadlineExceeded)
	release()
	require.NoError(t, w.client.WaitConnected(soon(t)))
	requireAnswer(t, w.srv, w.client)
}
