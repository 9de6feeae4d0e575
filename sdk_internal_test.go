package sdk

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// Calls under way end with the client: their contexts, and those below them, say why.
func TestCallEndsWithItsClient(t *testing.T) {
	c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
	goroutines := runtime.NumGoroutine()
	_, err := run(t.Context(), c, "Connect", success, func(ctx context.Context) (None, error) {
		var below []context.Context
		for range 100 { // what net/http and the WebSocket library do
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			below = append(below, ctx)
		}
		require.Less(t, runtime.NumGoroutine(), goroutines+50, "a context below it costs a goroutine")
		go func() { _ = c.Close() }() // it never fails
		for _, ctx := range append(below, ctx) {
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.Equal(t, error(errClosed), context.Cause(ctx))
		}
		return None{}, ctx.Err()
	})
	require.ErrorIs(t, err, ErrClosed)
	_, err = run(t.Context(), c, "Connect", success, func(context.Context) (None, error) {
		panic("a call of a closed client was begun")
	})
	require.ErrorIs(t, err, ErrClosed)
}

// A caller without a deadline has Config.RequestTimeout; one with a deadline has that.
func TestDeadlineOfACall(t *testing.T) {
	type key struct{}
	for name, theirs := range map[string]time.Duration{"ours": 0, "shorter": time.Second, "longer": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
				ctx, want := context.WithValue(context.Background(), key{}, "value"), c.cfg.RequestTimeout
				if theirs != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, theirs)
					defer cancel()
					want = theirs
				}
				start := time.Now()
				_, err := run(ctx, c, "Connect", success, func(ctx context.Context) (None, error) {
					require.Equal(t, "value", ctx.Value(key{}))
					until, has := ctx.Deadline()
					require.True(t, has)
					require.Equal(t, start.Add(want), until)
					<-ctx.Done()
					return None{}, ctx.Err()
				})
				require.Equal(t, want, time.Since(start))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				var told *Error
				require.ErrorAs(t, err, &told)
				require.Equal(t, 599, told.StatusCode)
				require.Equal(t, theirs != 0, told.spent, "the call can be made again while its own context lasts")
			})
		})
	}
}

// A call was cancelled, whatever for.
func TestCauseOfACaller(t *testing.T) {
	for _, cause := range []error{errors.New("enough"), context.DeadlineExceeded} {
		c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := run(ctx, c, "Connect", success, func(ctx context.Context) (None, error) {
			cancel(cause)
			<-ctx.Done()
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, cause, context.Cause(ctx))
			return None{}, ctx.Err()
		})
		var told *Error
		require.ErrorAs(t, err, &told)
		require.Equal(t, 499, told.StatusCode)
		require.True(t, told.spent)
	}
}

// Close is bounded, whatever the servers do: one that reads and says nothing, one that does not
// even read, with calls under way.
func TestCloseIsBounded(t *testing.T) {
	for name, hangOn := range map[string]func(net.Conn, *bufio.Reader){
		"silent":        func(_ net.Conn, in *bufio.Reader) { _, _ = io.Copy(io.Discard, in) },
		"does not read": func(net.Conn, *bufio.Reader) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { closeWithin(t, 3*time.Second, hangOn) })
		})
	}
}

func closeWithin(t *testing.T, bound time.Duration, hangOn func(net.Conn, *bufio.Reader)) {
	c, err := New(Config{
		LicenseKey: "k", APIBaseURL: "https://api.example.com", TrialLicense: true, AllowInsecure: true,
		Transport: TransportTCP, XMPPAddress: "xmpp://xmpp.example.com:5222",
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			client, server := net.Pipe()
			t.Cleanup(func() { _ = server.Close() })
			if address == "xmpp.example.com:5222" {
				go func() { // ends with the connection
					if in, err := bind(server, func() {}); err == nil {
						hangOn(server, in)
					}
				}()
			} // else nobody answers: a REST call hangs in the TLS handshake
			return client, nil
		},
	})
	require.NoError(t, err)
	l := c.newLogin("alice", "p", nil)
	l.setService(rest.Service{XMPPHost: "xmpp.example.com"})
	l.begin(0)
	c.setLogin(l)
	s, _, err := l.dial(t.Context(), ConnectInfo{}, "p", func() error { return nil })
	require.NoError(t, err)
	require.True(t, l.install(s))
	go l.keep(s) // ends with Close
	failed := make(chan error, 2)
	go func() { // ends with Close
		_, err := c.GetUsersIBlocked(context.Background())
		failed <- err
	}()
	go func() { // ends with Close
		_, err := c.Register(context.Background(), "bob")
		failed <- err
	}()
	synctest.Wait()

	start := time.Now()
	require.NoError(t, c.Close())
	require.LessOrEqual(t, time.Since(start), bound)
	require.Positive(t, time.Since(start), "it has waited for a goodbye")
	for range 2 {
		require.ErrorIs(t, <-failed, ErrClosed)
	}
}
