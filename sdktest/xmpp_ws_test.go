package sdktest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestStreamErrorsOverWebSocket(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	bound := func(raw string) func() *xmppClient {
		return func() *xmppClient {
			x := connect(t, s, c, "Web-1")
			x.send("%s", raw)
			return x
		}
	}
	fresh := func(raw string) func() *xmppClient {
		return func() *xmppClient {
			x := dialWS(t, s)
			x.send("%s", raw)
			return x
		}
	}
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	for name, c := range map[string]struct {
		dial func() *xmppClient
		want string
	}{
		"malformed":   {bound("<iq"), "not-well-formed"},
		"mismatched":  {bound("<message xmlns='jabber:client'><a></b></message>"), "not-well-formed"},
		"entity":      {bound("<message xmlns='jabber:client'>&lol;</message>"), "not-well-formed"},
		"dtd":         {bound(`<!DOCTYPE a [<!ENTITY l "l">]><message xmlns='jabber:client'/>`), "restricted-xml"},
		"comment":     {bound("<message xmlns='jabber:client'><!-- x --></message>"), "restricted-xml"},
		"two stanzas": {bound("<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>"), "bad-format"},
		"deep":        {bound("<message xmlns='jabber:client'>" + deep + "</message>"), "policy-violation"},
		"big": {bound("<message xmlns='jabber:client'>" + strings.Repeat("a",
			maxStanza) + "</message>"), "policy-violation"},
		"no namespace":       {bound("<presence/>"), "unsupported-stanza-type"},
		"unknown stanza":     {bound("<stanza xmlns='jabber:client'/>"), "unsupported-stanza-type"},
		"empty":              {bound(""), "not-well-formed"},
		"NUL":                {bound("\x00"), "not-well-formed"},
		"wrong host":         {fresh(fmt.Sprintf(openFrame, "other.example")), "host-unknown"},
		"no header":          {fresh("<iq xmlns='jabber:client'/>"), "bad-format"},
		"TCP header":         {fresh(`<stream:stream xmlns:stream="http://etherx.jabber.org/streams"/>`), "bad-format"},
		"open of another ns": {fresh(`<open to="x" version="1.0" xmlns="urn:x"/>`), "invalid-namespace"},
		"version": {
			fresh(`<open to="xmpp.mirrorfly.test" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`),
			"unsupported-version",
		},
	} {
		x := c.dial()
		require.Contains(t, x.until("<stream:error "), c.want, name)
		require.Contains(t, x.until("<close"), "framing", name)
	}
	x := dialWS(t, s)
	x.open(s.Domain())
	x.send(`<presence xmlns="jabber:client"/>`)
	require.Contains(t, x.next(), "not-authorized")
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status, "the server is still there")
}

func TestWebSocketNeedsSubprotocol(t *testing.T) {
	s := trial(t)
	_, resp, err := websocket.Dial(t.Context(), s.XMPPURL(), &websocket.DialOptions{HTTPClient: httpClient(t, s)})
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	huge := connect(t, s, register(t, s, "alice"), "Web-1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = huge.c.Write(ctx, websocket.MessageText, make([]byte, 8*maxStanza))
	for err = nil; err == nil; _, err = huge.read(patience) {
	}
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
}
