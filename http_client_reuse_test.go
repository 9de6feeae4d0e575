package sdk_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// One connection, and so one TLS handshake, serves all REST calls that follow each other: also
// after calls that failed, and after the XMPP connection was lost. Calls at a time need about one
// each.
func TestRESTConnectionsAreReused(t *testing.T) {
	const atATime, rounds = 32, 16
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP // on a port of its own
	dials := countDials(t, &cfg, srv.URL())
	client := login(t, cfg, "alice")
	connection := collect(client.OnConnection)
	read := func() {
		_, err := client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err)
	}
	for range 10 {
		read()
		res, err := client.GetUserProfile(t.Context(), "nobody")
		answered(t, 400, "User not available", sdk.ErrUserNotFound, res, err)
		srv.FailNext("contacts/vcard", 500, "boom")
		res, err = client.GetUserProfile(t.Context(), "alice")
		answered(t, 500, "boom", nil, res, err)
		srv.ExpireTokens()
		_, err = client.SendFeedback(t.Context(), "title", "text")
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, dials.rest.Load(), "one after the other")

	require.NoError(t, dials.xmpp.Load().(net.Conn).Close())
	connection.until(t, hasStatus(sdk.StatusConnected))
	read()
	require.EqualValues(t, 1, dials.rest.Load(), "after a reconnect")

	for range rounds {
		var all sync.WaitGroup
		for range atATime {
			all.Go(func() {
				if _, err := client.GetUserProfile(t.Context(), "alice"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	// About: net/http dials for a call that finds no free connection, and the call then takes the
	// one that is free first.
	require.Less(t, dials.rest.Load(), int32(4*atATime), "%d rounds of %d at a time", rounds, atATime)
}

// dials are the connections that a client has made.
type dials struct {
	rest atomic.Int32 // how many to the address of the REST API
	xmpp atomic.Value // the last one elsewhere, a net.Conn
}

func countDials(t *testing.T, cfg *sdk.Config, base string) *dials {
	t.Helper()
	u, err := url.Parse(base)
	require.NoError(t, err)
	d := &dials{}
	next := cfg.DialContext
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if address == u.Host {
			d.rest.Add(1)
		} else if err == nil {
			d.xmpp.Store(conn)
		}
		return conn, err
	}
	return d
}
