package sdk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever shows the state of a client that was closed shows the truth, told once: no attempt has
// failed last, it was ended.
func TestCloseTellsTheEnd(t *testing.T) {
	for name, c := range map[string]struct{ before, want []ConnectionStatus }{
		"nothing was told": {nil, nil},
		"failed": {
			[]ConnectionStatus{StatusConnectionFailed},
			[]ConnectionStatus{StatusConnectionFailed, StatusDisconnected},
		},
		"refused": {
			[]ConnectionStatus{StatusAuthFail},
			[]ConnectionStatus{StatusAuthFail, StatusDisconnected},
		},
		"logged out": {
			[]ConnectionStatus{StatusConnected, StatusDisconnected},
			[]ConnectionStatus{StatusConnected, StatusDisconnected},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := New(Config{LicenseKey: "key", APIBaseURL: "https://api.example.com"})
				require.NoError(t, err)
				var told []ConnectionStatus
				client.OnConnection(func(e ConnectionEvent) {
					told = append(told, e.Status)
				})
				for _, status := range c.before {
					client.tell(ConnectionEvent{Status: status})
				}
				for range 4 {
					go func() { _ = client.Close() }() // ends before Wait returns; it never fails
				}
				synctest.Wait()
				require.Equal(t, c.want, told)
				require.Equal(t, StatusDisconnected, client.State())
			})
		})
	}
}

// WaitConnected waits as long as its caller does: RequestTimeout is not for it.
func TestWaitConnectedIsUnbounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		c.setConnecting(true)
		go func() {
			time.Sleep(24 * c.cfg.RequestTimeout)
			c.setConnecting(false)
		}()
		start := time.Now()
		require.ErrorIs(t, c.WaitConnected(context.Background()), ErrNotRegistered)
		require.Equal(t, 24*c.cfg.RequestTimeout, time.Since(start))
	})
}

// Whatever Close ends first, a call that waits is told that the client is closed.
func TestWaitConnectedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		c.setConnecting(true)
		told := make(chan error, 1)
		go func() { told <- c.WaitConnected(context.Background()) }()
		synctest.Wait()
		c.end()
		c.setConnecting(false) // the Connect that was under way has failed
		require.ErrorIs(t, <-told, ErrClosed)
	})
}
