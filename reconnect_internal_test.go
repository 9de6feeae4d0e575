package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/stretchr/testify/require"
)

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
		l := c.newLogin("alice", "p", nil)
		l.setService(rest.Service{XMPPHost: "xmpp.example.com"})
		for range 100 { // calls under way end with the client one after the other
			_, release := endingWith(context.Background(), c.ctx)
			defer release()
		}
		c.setLogin(l)
		require.True(t, l.install(nil))
		go l.keep(nil) // ends with Close
		patient.Receive(t, dialling)
		require.NoError(t, c.Close())
		patient.Receive(t, over)
		require.Equal(t, []ConnectionStatus{StatusReconnecting, StatusDisconnected}, told)
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
	l := c.newLogin("alice", "p", nil)
	l.setService(rest.Service{XMPPHost: "xmpp.example.com"})

	ended := make(chan error, 1)
	go func() { ended <- bindAndHangOn(server, l.cancel) }() // ends with the connection
	s, err := l.redial(ConnectInfo{})
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, s)
	require.Nil(t, l.session)
	require.NoError(t, patient.Receive(t, ended))
}

// bindAndHangOn is an XMPP server that calls before as the last thing before it binds a resource,
// and returns when the client has ended the connection.
func bindAndHangOn(conn net.Conn, before func()) error {
	in, err := bind(conn, before)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// bind is an XMPP server until it has bound a resource, and returns what reads on.
func bind(conn net.Conn, before func()) (*bufio.Reader, error) {
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
				return nil, fmt.Errorf("waiting for %s: %w", step.heard, err)
			}
			said += more
		}
		if strings.Contains(step.answer, "%s") {
			_, id, _ := strings.Cut(said, `id="`)
			id, _, _ = strings.Cut(id, `"`)
			step.answer = fmt.Sprintf(step.answer, id)
			before()
		}
		// The client may end the connection as soon as before is called.
		if _, err := io.WriteString(conn, step.answer); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return nil, err
		}
	}
	return in, nil
}
