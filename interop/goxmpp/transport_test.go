package goxmpp

import (
	"crypto/tls"
	"net"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
	"github.com/xmppo/go-xmpp"
)

const upgraded = "go-xmpp has mended this: take the point out of the README, and see whether the choice still stands"

// longEnough is how long we wait for what we say never comes. It is many times the timeout
// that the client was given.
const longEnough = 2 * time.Second

// TestNewClientNeverReturns from a server that accepts and stays silent, whatever its DialTimeout.
func TestNewClientNeverReturns(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]xmpp.Options{
		"before the stream": {NoTLS: true, StartTLS: true},
		"before TLS":        {TLSConfig: &tls.Config{ServerName: "xmpp.mirrorfly.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = silent.Close() })
			options.Host, options.User, options.Password = silent.Addr().String(), "anna@xmpp.mirrorfly.test", "secret"
			options.DialTimeout = longEnough / 10
			ended := make(chan error, 1)
			go func() { // ends when the connection is closed below
				_, err := options.NewClient()
				ended <- err
			}()
			conn, err := silent.Accept()
			require.NoError(t, err)
			select {
			case err := <-ended:
				require.Fail(t, upgraded, "NewClient returned %v", err)
			case <-time.After(longEnough):
			}
			require.NoError(t, conn.Close())
			require.Error(t, users.Await(t, ended, func(error) bool { return true }))
		})
	}
}

// TestCloseNeverReturns after a malformed stanza: Recv has failed with a lock held that Close
// waits for. Not even closing the connection, which Close itself does after 10 s, ends that.
func TestCloseNeverReturns(t *testing.T) {
	t.Parallel()
	p := inTheBox(t)
	anna := users.Register(t, p.config, "anna")
	client, err := p.options(anna.Account).NewClient()
	require.NoError(t, err)
	received := make(chan error, 1)
	go func() { // ends with the malformed stanza
		for {
			if _, err := client.Recv(); err != nil {
				received <- err
				return
			}
		}
	}()
	require.NoError(t, p.rest.Wait(t.Context(), "anna is connected", func() bool {
		return len(p.rest.Resources("anna")) == 1
	}))
	p.rest.Push("anna", `<message from="xmpp.mirrorfly.test"><body></message>`)
	require.ErrorContains(t, users.Await(t, received, func(error) bool { return true }), "syntax error")
	closed := make(chan error, 1)
	go func() { closed <- client.Close() }() // never ends; TestMain knows
	select {
	case err := <-closed:
		require.Fail(t, upgraded, "Close returned %v", err)
	case <-time.After(10*time.Second + longEnough):
	}
}

// TestSCRAMIsRefused where the server announces no kinds of channel binding (XEP-0440): the
// client's first message then begins with "y,,", and its last one tells "n,,". RFC 5802, 5.1 wants
// the same, and sdktest looks.
func TestSCRAMIsRefused(t *testing.T) {
	t.Parallel()
	p := inTheBox(t)
	anna := users.Register(t, p.config, "anna").Account
	o := p.options(anna)
	o.Mechanism = "SCRAM-SHA-256"
	_, err := o.NewClient()
	require.ErrorContains(t, err, "auth failure", upgraded)
	p.login(t, anna) // with PLAIN it can
}

// errorConditionIsTold: two refusals for different reasons differ, as they do with ours. Up to
// v0.3 they looked alike, so this was once a reason, too.
func errorConditionIsTold(t *testing.T, p *place) {
	anna, ben := p.register(t, "anna"), p.register(t, "ben")
	ben.Login(t)
	x := p.login(t, anna.Account)
	_, err := ben.BlockUser(t.Context(), anna.JID())
	require.NoError(t, err)
	other := anna.Again(t, p.config)
	for whom, condition := range map[string]string{
		ben.JID(): p.blocked, "nobody@" + p.rest.Domain(): "item-not-found",
	} {
		answer := x.ask(t, xmpp.IQTypeGet, whom, `<query xmlns="jabber:iq:last"/>`)
		require.Equal(t, xmpp.IQTypeError, answer.Type)
		require.Equal(t, condition, answer.Error.Condition)
		_, err = other.GetLastSeen(t.Context(), whom)
		users.RequireRefused(t, err, condition)
	}
}

// attributesAreDoubled: what Recv returns of an IQ is not well-formed (XML 1.0, 3.1: no
// attribute name twice in a tag).
func attributesAreDoubled(t *testing.T, p *place) {
	x := p.login(t, p.register(t, "anna").Account)
	answer := x.ask(t, xmpp.IQTypeGet, x.JID()[:strings.Index(x.JID(), "/")], `<vCard xmlns="vcard-temp"/>`)
	require.Equal(t, xmpp.IQTypeResult, answer.Type)
	tag, _, _ := strings.Cut(string(answer.Query), ">")
	require.Equal(t, 2, strings.Count(tag, `xmlns="vcard-temp"`), "%s: %s", upgraded, tag)
}

// TestNoWebSocket: there is no way to say that the stream is to travel in a WebSocket, the one
// transport that the service documents for this API.
func TestNoWebSocket(t *testing.T) {
	t.Parallel()
	webSocket := regexp.MustCompile(`(?i)web_?socket|wss`)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[xmpp.Options]()) {
		require.NotRegexp(t, webSocket, field.Name, upgraded)
	}
	p := inTheBox(t)
	anna := users.Register(t, p.config, "anna")
	for _, host := range []string{
		p.rest.XMPPURL(), strings.TrimSuffix(strings.TrimPrefix(p.rest.XMPPURL(), "wss://"), "/websocket"),
	} {
		o := p.options(anna.Account)
		o.Host, o.NoTLS, o.StartTLS = host, false, false
		_, err := o.NewClient()
		require.Error(t, err, upgraded)
	}
}
