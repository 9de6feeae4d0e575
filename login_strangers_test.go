package sdk_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	streamHeader = `<?xml version="1.0"?>` +
		`<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" from="x" id="1" ` +
		`version="1.0">`
	bareFeatures = `<stream:features><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` +
		`<mechanism>PLAIN</mechanism></mechanisms></stream:features>`
)

// accepting serves each connection with f until the test ends.
func accepting(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().String()
}

// stranger is somebody on the way, who answers the first stream header of each connection with
// text.
func stranger(t *testing.T, text string) (address string, met *atomic.Int32) {
	met = new(atomic.Int32)
	return accepting(t, func(c net.Conn) {
		met.Add(1)
		r := bufio.NewReader(c)
		for range 2 { // declaration and header
			if _, err := r.ReadString('>'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, r)
	}), met
}

// What was said before TLS ends no reconnection, not even what would be final from the server.
func TestStrangerDoesNotEndReconnection(t *testing.T) {
	for name, text := range map[string]string{
		"conflict": `<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>` +
			`</stream:stream>`,
		"not-authorized": `<stream:error><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>` +
			`</stream:error></stream:stream>`,
		"no STARTTLS": bareFeatures,
	} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			cfg := quick(srv.Config())
			cfg.Transport = sdk.TransportTCP
			elsewhere, met := stranger(t, streamHeader+text)
			var attack atomic.Bool
			server := cfg.DialContext
			cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(srv.XMPPAddress())
				if strings.HasSuffix(address, ":"+port) && attack.Swap(false) {
					return new(net.Dialer).DialContext(ctx, network, elsewhere)
				}
				return server(ctx, network, address)
			}
			client, credentials := register(t, cfg, "alice")
			connection := collect(client.OnConnection)
			connect(t, client, credentials)
			attack.Store(true)
			srv.DropConnections()
			failed := connection.until(t, hasStatus(sdk.StatusConnectionFailed))
			require.False(t, failed.Final)
			connection.until(t, func(e sdk.ConnectionEvent) bool {
				return e.Status == sdk.StatusConnected && e.Attempt > 1
			})
			require.EqualValues(t, 1, met.Load())
		})
	}
}

// A first Connect fails where no address has TLS, and goes on to the others where one has none.
func TestConnectWithoutSTARTTLS(t *testing.T) {
	srv := sdktest.New(t)
	bare, _ := stranger(t, streamHeader+bareFeatures)
	cfg := quick(srv.Config())
	cfg.XMPPAddress = "xmpp://" + bare
	client, credentials := register(t, cfg, "alice")
	_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	require.ErrorIs(t, err, sdk.ErrInsecure)

	cfg.XMPPAddress = "xmpps://" + srv.XMPPSAddress() + ",xmpp://" + bare
	client, credentials = register(t, cfg, "bob")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	srv.SetFault(sdktest.StepTLS, sdktest.FaultClose)
	srv.DropConnections()
	failed := connection.until(t, hasStatus(sdk.StatusConnectionFailed))
	require.False(t, failed.Final)
	require.NotErrorIs(t, failed.Err, sdk.ErrInsecure)
	srv.ClearFaults()
	connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Status == sdk.StatusConnected && e.Attempt > 0 })
}

// Whoever takes the connection and says nothing in the TLS handshake keeps nothing of a client that
// has been closed: net/http goes on with a handshake after the call that wanted it, for 15 s, but
// not on a connection that we have dialled.
func TestSilentHandshakeEndsWithTheClient(t *testing.T) {
	for name, call := range map[string]func(c *sdk.Client, address string){
		"QR login over https": func(c *sdk.Client, address string) {
			_, _ = c.GenerateQRCode(context.Background(), sdk.QROptions{SignalServerURL: "https://" + address})
		},
		"QR login over wss": func(c *sdk.Client, address string) {
			_, _ = c.GenerateQRCode(context.Background(), sdk.QROptions{SignalServerURL: "wss://" + address})
		},
		"REST": func(c *sdk.Client, _ string) { _, _ = c.Register(context.Background(), "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			taken, ended := make(chan struct{}, 8), make(chan struct{}, 8)
			silent := accepting(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1))
				taken <- struct{}{}
				_, _ = io.Copy(io.Discard, c)
				ended <- struct{}{}
			})
			cfg := sdktest.New(t).Config()
			cfg.DialContext = nil
			if name == "REST" {
				cfg.APIBaseURL = "https://" + silent + "/api/v1"
			}
			client := newClient(t, cfg)
			returned := make(chan struct{})
			go func() { // ends with the client
				defer close(returned)
				call(client, silent)
			}()
			patient.Receive(t, taken)
			start := time.Now()
			require.NoError(t, client.Close())
			patient.Receive(t, returned)
			patient.Receive(t, ended)
			require.Less(t, time.Since(start), 12*time.Second, "it was net/http that gave up")
		})
	}
}

// Whatever a server does at whatever step: Connect ends with an *Error that says something, and
// works when the fault is gone.
func TestConnectAgainstFaults(t *testing.T) {
	type step struct {
		at    sdktest.Step
		kinds []sdktest.FaultKind
	}
	anyKind := []sdktest.FaultKind{sdktest.FaultClose, sdktest.FaultError, sdktest.FaultMalformed, sdktest.FaultHuge}
	both := []step{
		{sdktest.StepREST, anyKind},
		{sdktest.StepStream, anyKind},
		{sdktest.StepAuth, anyKind},
		{sdktest.StepBind, anyKind},
	}
	for transport, steps := range map[sdk.Transport][]step{
		sdk.TransportWebSocket: append(both[:4:4], step{sdktest.StepUpgrade, anyKind}),
		sdk.TransportTCP: append(both[:4:4], step{sdktest.StepAccept, anyKind}, step{sdktest.StepStartTLS, anyKind},
			step{sdktest.StepTLS, append(anyKind[:4:4], sdktest.FaultWrongSender)}),
	} {
		for _, step := range steps {
			for _, kind := range step.kinds {
				t.Run(string(transport)+"/"+string(step.at)+"/"+string(kind), func(t *testing.T) {
					t.Parallel()
					srv := sdktest.New(t)
					cfg := srv.Config()
					cfg.Transport = transport
					client, credentials := register(t, cfg, "alice")
					srv.SetFault(step.at, kind)
					ctx := soon(t)
					res, err := client.Connect(ctx, credentials.Username, credentials.Password)
					failed(t, res, err)
					require.NoError(t, ctx.Err(), "it did not wait for the deadline: %v", err)
					srv.ClearFaults()
					connect(t, client, credentials)
				})
			}
		}
	}
}
