package sdktest

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"mellium.im/sasl"
)

// scram runs the client side of SCRAM and returns the last element of the server.
func scram(t *testing.T, x *xmppClient, m sasl.Mechanism, user, password string) string {
	t.Helper()
	n := sasl.NewClient(m, sasl.Credentials(func() ([]byte, []byte,
		[]byte,
	) {
		return []byte(user), []byte(password), nil
	}))
	_, out, err := n.Step(nil)
	require.NoError(t, err)
	x.send(`<auth mechanism="%s" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, m.Name,
		base64.StdEncoding.EncodeToString(out))
	for {
		raw := x.next()
		e, err := parseElement([]byte(raw))
		require.NoError(t, err)
		if e.name.Local == "failure" {
			return raw
		}
		in, err := base64.StdEncoding.DecodeString(e.text())
		require.NoError(t, err)
		_, out, err = n.Step(in)
		require.NoError(t, err)
		if e.name.Local == "success" {
			return raw
		}
		x.send(`<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</response>`,
			base64.StdEncoding.EncodeToString(out))
	}
}

func TestSASL(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, m := range []sasl.Mechanism{sasl.ScramSha1, sasl.ScramSha256} {
		x := dialWS(t, s)
		x.open(s.Domain())
		require.Contains(t, scram(t, x, m, "alice", "wrong"), "<not-authorized/>")
		require.Contains(t, scram(t, x, m, "nobody", c.Password), "<not-authorized/>")
		require.Contains(t, scram(t, x, m, "alice", c.Password), "<success ")
		require.Contains(t, x.open(s.Domain()), "xmpp-bind")
	}
	x := dialWS(t, s)
	x.open(s.Domain())
	auth := func(mechanism, data string) string {
		x.send(`<auth mechanism="%s" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, mechanism, data)
		return x.next()
	}
	require.Contains(t, auth("X-NONE", ""), "<invalid-mechanism/>")
	require.Contains(t, auth("PLAIN", "###"), "<incorrect-encoding/>")
	require.Contains(t, auth("PLAIN", "AAAA"), "<not-authorized/>")
	require.Contains(t, auth("SCRAM-SHA-1", "AAAA"), "<not-authorized/>")
	require.Contains(t, auth("PLAIN", plain("alice", "wrong")), "<not-authorized/>")
	require.Contains(t, x.next(), "policy-violation", "five failures end the stream")
}

func TestPlainWithoutInitialResponse(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	x.open(s.Domain())
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
	require.Equal(t, `<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`, x.next())
	x.send(`<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</response>`, plain("alice", c.Password))
	require.Contains(t, x.next(), "<success ")
}

func TestLicensedSASLTakesTheSealedPassword(t *testing.T) {
	s := New(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	require.NotContains(t, x.open(s.Domain()), "SCRAM")
	for wire, want := range map[string]string{
		c.Password: "<not-authorized/>",
		wirePassword(s, c.Password, time.Now().Add(-48*time.Hour)): "currentTimestamp",
	} {
		x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("alice", wire))
		require.Contains(t, x.next(), want)
	}
	connect(t, s, c, "Web-1")
	s.BlockByAdmin("alice", true)
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`,
		plain("alice", wirePassword(s, c.Password, time.Now())))
	require.Contains(t, x.next(), "<not-authorized/>")
}
