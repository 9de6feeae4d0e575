package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// What ends in AUTHFAIL (protocol.md 4.3), and what is tried again.
func TestExplainDial(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{&xmpp.AuthError{Step: "sasl", Condition: "not-authorized"}, 401},
		{&xmpp.AuthError{Step: "sasl", Condition: "account-disabled"}, 401},
		{&xmpp.AuthError{Step: "sasl", Condition: "temporary-auth-failure"}, 500},
		{&xmpp.AuthError{Step: "sasl", Err: errors.New("server did not prove that it knows the password")}, 500},
		{&xmpp.AuthError{Step: "bind", Condition: "not-allowed"}, 401},
		{&xmpp.AuthError{Step: "bind", Err: errors.New("server offers no resource binding")}, 401},
		{&xmpp.StreamError{Condition: "policy-violation"}, 500},
		{errors.New("connection refused"), 500},
	} {
		e := explain(t.Context(), "Connect", explainDial(t.Context(), c.err))
		require.Equal(t, c.code, e.StatusCode, "%v", c.err)
		require.Equal(t, c.code == 401, errors.Is(e, ErrInvalidCredentials), "%v", c.err)
		require.Equal(t, c.code == 500, errors.Is(e, ErrNetwork) && errors.Is(e, ErrNotConnected), "%v", c.err)
	}
}

// Whoever shows the state of a client that was closed shows the truth, told once: no attempt has failed last, it was ended.
func TestCloseTellsTheEnd(t *testing.T) {
	for name, c := range map[string]struct{ before, want []ConnectionStatus }{
		"nothing was told": {nil, nil},
		"failed":           {[]ConnectionStatus{StatusConnectionFailed}, []ConnectionStatus{StatusConnectionFailed, StatusDisconnected}},
		"refused":          {[]ConnectionStatus{StatusAuthFail}, []ConnectionStatus{StatusAuthFail, StatusDisconnected}},
		"logged out":       {[]ConnectionStatus{StatusConnected, StatusDisconnected}, []ConnectionStatus{StatusConnected, StatusDisconnected}},
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

// What fails because the client was closed says so, also when it fails before its context has ended.
func TestFailureAtTheEndOfLife(t *testing.T) {
	client, err := New(Config{LicenseKey: "key", APIBaseURL: "https://api.example.com"})
	require.NoError(t, err)
	_, err = answer(client.life.begin(t.Context(), 0), client, "Connect", "", func(ctx context.Context) (None, error) {
		require.NoError(t, client.Close())
		event := client.failure(ctx, errors.New("connection refused"))
		require.ErrorIs(t, event.Err, ErrClosed)
		return None{}, errors.New("connection refused")
	})
	require.ErrorIs(t, err, ErrClosed)
}

func TestBackoff(t *testing.T) {
	for _, p := range []ReconnectPolicy{
		{MinDelay: 500 * time.Millisecond, MaxDelay: 30 * time.Second},
		{MinDelay: 1, MaxDelay: math.MaxInt64},
		{MinDelay: math.MaxInt64, MaxDelay: math.MaxInt64},
	} {
		for failures := range 100 {
			bound := p.MinDelay
			for range failures {
				if bound > p.MaxDelay/2 {
					bound = p.MaxDelay
				} else {
					bound *= 2
				}
			}
			for range 20 {
				require.Less(t, backoff(p, failures), bound)
				require.GreaterOrEqual(t, backoff(p, failures), time.Duration(0))
			}
		}
	}
	// Full jitter: the delays are spread over all of the range.
	p := ReconnectPolicy{MinDelay: time.Second, MaxDelay: time.Second}
	low, high := 0, 0
	for range 1000 {
		if d := backoff(p, 3); d < time.Second/4 {
			low++
		} else if d > 3*time.Second/4 {
			high++
		}
	}
	require.Greater(t, low, 100)
	require.Greater(t, high, 100)
}

func TestAddressesHandedOut(t *testing.T) {
	for _, c := range []struct {
		transport Transport
		override  string
		service   rest.Service
		want      string
	}{
		{TransportWebSocket, "", rest.Service{XMPPHost: "x.example", XMPPPortWeb: "5443"}, "wss://x.example:5443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "x.example"}, "wss://x.example:443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "::1", XMPPPortWeb: "443"}, "wss://[::1]:443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "[::1]", XMPPPortWeb: "443"}, "wss://[::1]:443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "x.example:5280", XMPPPortWeb: "443"}, "wss://x.example:5280/websocket"},
		{TransportWebSocket, "own.example", rest.Service{XMPPHost: "x.example"}, "wss://own.example:443/websocket"},
		{TransportTCP, "", rest.Service{XMPPHost: "x.example"}, "xmpp://x.example:5222"},
		{TransportTCP, "", rest.Service{XMPPHost: "x.example", XMPPDomain: "c2s.example", XMPPPort: "15222"}, "xmpp://c2s.example:15222"},
		{TransportTCP, "own.example", rest.Service{XMPPHost: "x.example", XMPPDomain: "c2s.example"}, "xmpp://own.example:5222"},
	} {
		client := &Client{cfg: Config{Transport: c.transport, XMPPHost: c.override}}
		got, err := client.addressesFor(account{told: shared(client.overridden(c.service))})
		require.NoError(t, err)
		require.Equal(t, c.want, got[0].String())
	}
	client := &Client{cfg: Config{Transport: TransportTCP}}
	_, err := client.addressesFor(account{told: &rest.Service{XMPPHost: "x.example", XMPPPort: "no port"}})
	require.ErrorContains(t, err, "no port")
}

// The cause that somebody else gave the caller's context is not ours.
func TestForeignCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Error{StatusCode: 500, Message: "Client is closed", kind: ErrClosed})
	e := explain(ctx, "GetUserProfile", ctx.Err())
	require.Equal(t, 499, e.StatusCode)
	require.ErrorIs(t, e, context.Canceled)
	require.NotErrorIs(t, e, ErrClosed)
}

// Close while a lost connection is made again is no failure of that.
func TestCloseDuringReconnect(t *testing.T) {
	for range 50 {
		dialling := make(chan struct{})
		tell := sync.OnceFunc(func() { close(dialling) })
		c, err := New(Config{
			LicenseKey: "k", APIBaseURL: "https://api.example.com", TrialLicense: true, AllowInsecure: true,
			Transport: TransportTCP, XMPPAddress: "xmpp://xmpp.example.com:5222",
			Reconnect: ReconnectPolicy{MinDelay: 1, MaxDelay: 1},
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				tell()
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		require.NoError(t, err)
		var told []ConnectionStatus
		over := make(chan struct{})
		c.OnConnection(func(e ConnectionEvent) {
			if told = append(told, e.Status); e.Status == StatusDisconnected {
				close(over)
			}
		})
		n := c.newConnection(account{username: "alice", password: "p", told: &rest.Service{XMPPHost: "xmpp.example.com"}})
		var underWay []*call
		for range 100 { // they end with the client one after the other
			underWay = append(underWay, c.life.begin(context.Background(), 0))
		}
		require.True(t, c.keep(n, nil))
		<-dialling
		require.NoError(t, c.Close())
		<-over
		require.Equal(t, []ConnectionStatus{StatusReconnecting, StatusDisconnected}, told)
		for _, k := range underWay {
			k.over()
		}
	}
}

// A session that was made while its login ended belongs to nobody: it is closed, and nothing keeps
// it.
func TestSessionOfALoginThatHasEnded(t *testing.T) {
	client, server := net.Pipe()
	c, err := New(Config{
		LicenseKey: "k", APIBaseURL: "https://api.example.com", TrialLicense: true, AllowInsecure: true,
		Transport: TransportTCP, XMPPAddress: "xmpp://xmpp.example.com:5222",
		DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	n := c.newConnection(account{username: "alice", password: "p", told: &rest.Service{XMPPHost: "xmpp.example.com"}})

	ended := make(chan error, 1)
	go func() { ended <- bindAndHangOn(server, n.cancel) }() // ends with the connection
	s, err := n.redial(t.Context(), 0, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, s)
	require.Nil(t, n.session)
	require.NoError(t, <-ended)
}

// bindAndHangOn is an XMPP server that calls before as the last thing before it binds a resource,
// and returns when the client has ended the connection.
func bindAndHangOn(conn net.Conn, before func()) error {
	const header = `<?xml version="1.0"?><stream:stream xmlns="jabber:client" ` +
		`xmlns:stream="http://etherx.jabber.org/streams" from="xmpp.example.com" id="s" version="1.0"><stream:features>`
	in := bufio.NewReader(conn)
	for _, step := range []struct{ heard, answer string }{
		{"<stream:stream", header + `<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` +
			`<mechanism>PLAIN</mechanism></mechanisms></stream:features>`},
		{"</auth>", `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`},
		{"<stream:stream", header + `<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`},
		{"</iq>", `<iq id="%s" type="result"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">` +
			`<jid>alice@xmpp.example.com/x</jid></bind></iq>`},
	} {
		var said string
		for !strings.Contains(said, step.heard) || !strings.HasSuffix(said, ">") {
			more, err := in.ReadString('>')
			if err != nil {
				return fmt.Errorf("waiting for %s: %w", step.heard, err)
			}
			said += more
		}
		if strings.Contains(step.answer, "%s") {
			_, id, _ := strings.Cut(said, `id="`)
			id, _, _ = strings.Cut(id, `"`)
			step.answer = fmt.Sprintf(step.answer, id)
			before()
		}
		if _, err := io.WriteString(conn, step.answer); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// A QR session that the phone ends while it ends here is ended once: who comes second finds nothing
// to end, also not a login that has come since.
func TestQRSessionEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		require.NoError(t, err)
		var told []ConnectionStatus
		c.OnConnection(func(e ConnectionEvent) { told = append(told, e.Status) })
		q := &QRLogin{client: c, ctx: c.life.begin(context.Background(), 0)}
		c.qr, c.me, c.registered = q, account{username: "alice"}, true
		c.tell(ConnectionEvent{Status: StatusConnected})
		c.loggedOut(q.ctx)
		c.me, c.registered = account{username: "bob"}, true
		c.tell(ConnectionEvent{Status: StatusConnected})
		// Whether the turn comes first or the news of the end is chance.
		for range 100 {
			c.loggedOut(q.ctx)
		}
		synctest.Wait()
		want := []ConnectionStatus{StatusConnected, StatusLoggedOut, StatusDisconnected, StatusConnected}
		require.Equal(t, want, told)
		require.Equal(t, "bob", c.me.username)
		require.NoError(t, c.Close())
		synctest.Wait()
	})
}
