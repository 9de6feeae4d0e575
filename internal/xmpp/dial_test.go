package xmpp

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A dialler has a timer of its own for the deadline of its context, as net.Dialer does. That it may go off first changes nothing.
func TestDiallerThatTimesOutFirst(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := Dial(ctx, Config{
			Addresses: []Address{{Scheme: schemeXMPPS, Host: "127.0.0.1:1"}}, Domain: "example.com", Username: "alice", Resource: "r",
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				end, _ := ctx.Deadline()
				for time.Now().Before(end) {
				}
				return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
			},
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
	}
}
