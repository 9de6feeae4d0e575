package sdktest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What of six requests that fit meets the fault.
func TestNthAndTimes(t *testing.T) {
	for _, c := range []struct {
		match Match
		want  string
	}{
		{Match{}, "123456"},
		{Match{Times: -1}, "123456"},
		{Match{Times: 2}, "12"},
		{Match{Nth: 1}, "1"},
		{Match{Nth: 3}, "3"},
		{Match{Nth: 3, Times: 2}, "34"},
		{Match{Nth: 3, Times: -1}, "3456"},
		{Match{Nth: 9}, ""},
	} {
		s := bare(t)
		s.SetFault(StepIQ, FaultError, c.match)
		got := ""
		for i := range 6 {
			if s.fault(StepIQ, subject{}) != FaultNone {
				got += fmt.Sprint(i + 1)
			}
		}
		require.Equal(t, c.want, got, "%+v", c.match)
		f := s.Faults()
		left := len(f.Steps) + len(f.Matched)
		require.Equal(t, c.want == "" || strings.HasSuffix(c.want, "6"), left == 1, "it ends when it is used up")
	}
}

func TestFits(t *testing.T) {
	rest := subject{user: "alice", verb: "POST", path: "media/upload"}
	iq := subject{user: "alice", verb: "set", names: []string{"vCard", "vcard-temp", ""}}
	for _, c := range []struct {
		step  Step
		match Match
		about subject
		want  bool
	}{
		{StepREST, Match{}, subject{}, true},
		{StepREST, Match{User: "alice@x.example/Web"}, rest, true},
		{StepREST, Match{User: "ALICE"}, rest, true},
		{StepREST, Match{User: "bob"}, rest, false},
		{StepREST, Match{User: "alice"}, subject{}, false},
		{StepREST, Match{Op: "/media/"}, rest, true},
		{StepREST, Match{Op: "media/upload"}, rest, true},
		{StepREST, Match{Op: "POST media"}, rest, true},
		{StepREST, Match{Op: "POST  /media"}, rest, true},
		{StepREST, Match{Op: "GET media"}, rest, false},
		{StepREST, Match{Op: "med"}, rest, false},
		{StepREST, Match{Op: "media/upload/commit"}, rest, false},
		{StepIQ, Match{Op: "vCard"}, iq, true},
		{StepIQ, Match{Op: "vcard-temp"}, iq, true},
		{StepIQ, Match{Op: "set vCard", User: "alice"}, iq, true},
		{StepIQ, Match{Op: "get vCard"}, iq, false},
		{StepIQ, Match{Op: "block"}, iq, false},
		{StepMessage, Match{Op: "text"}, subject{names: []string{"text"}}, true},
		{StepMessage, Match{Op: "text"}, subject{names: []string{""}}, false},
	} {
		m, err := c.match.normal(c.step, "x.example")
		require.NoError(t, err)
		require.Equal(t, c.want, c.about.fits(m), "%+v of %+v", c.match, c.about)
		again, err := m.normal(c.step, "x.example")
		require.NoError(t, err)
		require.Equal(t, m, again)
	}
}

// What cannot be is a mistake of the test, and sets nothing.
func TestFaultThatCannotBe(t *testing.T) {
	s := bare(t)
	for _, c := range []struct {
		step  Step
		match Match
	}{
		{StepAccept, Match{User: "alice"}},
		{StepSignal, Match{User: "alice"}},
		{StepUpgrade, Match{Op: "websocket"}},
		{StepBind, Match{Op: "bind"}},
		{StepStream, Match{Nth: -1}},
		{StepAuth, Match{User: "@here"}},
		{StepAuth, Match{User: "  "}},
		{StepAuth, Match{User: "Not An Id"}},
		{StepIQ, Match{User: "nobody@elsewhere"}},
		{StepIQ, Match{User: "alice@"}},
		{StepREST, Match{Op: "post media"}},
		{StepREST, Match{Op: "FETCH media"}},
		{StepREST, Match{Op: "POST"}},
		{StepRESTAfter, Match{Op: "POST /"}},
		{StepREST, Match{Op: " "}},
		{StepREST, Match{Op: "/"}},
		{StepREST, Match{Op: "POST media upload"}},
		{StepREST, Match{Op: "/api/v1/contacts/vcard"}},
		{StepREST, Match{Op: "GET api/v1/contacts/vcard"}},
		{StepIQ, Match{Op: "SET vCard"}},
		{StepIQ, Match{Op: "set"}},
		{StepIQBefore, Match{Op: "get"}},
		{StepIQ, Match{Op: "set the vCard"}},
		{StepMessage, Match{Op: "a text"}},
		{StepMessage, Match{Op: "Text"}},
		{StepDelivery, Match{Op: "\t"}},
		{"nowhere", Match{}},
	} {
		require.Panics(t, func() { s.SetFault(c.step, FaultClose, Match{}, c.match) }, "%s %+v", c.step, c.match)
	}
	require.Panics(t, func() { s.SetFault("nowhere", FaultClose) })
	require.Panics(t, func() { s.SetFault("nowhere", FaultNone) })
	require.Panics(t, func() { s.SetFault(StepIQ, "nothing") })
	require.Empty(t, s.Faults().Steps)
	require.Empty(t, s.Faults().Matched)
}

// The faults at a step: the latest that fits is met, one takes the place of its like, and FaultNone
// ends one or all.
func TestSeveralFaultsAtAStep(t *testing.T) {
	s := trial(t)
	meets := func(user string) FaultKind { return s.fault(StepIQ, subject{user: user}) }
	s.SetFault(StepIQ, FaultClose, Match{User: "alice"}, Match{User: "bob"})
	s.SetFault(StepIQ, FaultSlow)
	require.Equal(t, []FaultKind{FaultSlow, FaultSlow}, []FaultKind{meets("alice"), meets("carol")})
	s.SetFault(StepIQ, FaultSilent, Match{User: "alice@" + s.Domain()})
	require.Equal(t, []FaultKind{FaultSilent, FaultSlow, FaultSlow},
		[]FaultKind{meets("alice"), meets("bob"), meets("carol")})
	require.Equal(t, Faults{
		Steps: map[Step]FaultKind{StepIQ: FaultSlow},
		Matched: []MatchedFault{
			{StepIQ, FaultClose, Match{User: "bob"}}, {StepIQ, FaultSilent, Match{User: "alice"}},
		},
	}, s.Faults())
	s.SetFault(StepIQ, FaultNone, Match{User: "alice"})
	require.Equal(t, []FaultKind{FaultSlow, FaultSlow}, []FaultKind{meets("alice"), meets("bob")})
	s.SetFault(StepIQ, FaultNone, Match{})
	require.Equal(t, []FaultKind{FaultNone, FaultClose}, []FaultKind{meets("alice"), meets("bob")})
	s.SetFault(StepIQ, FaultNone)
	require.Equal(t, FaultNone, meets("bob"))
	require.Equal(t, Faults{Steps: map[Step]FaultKind{}}, s.Faults())
}

// REST requests of one user, also those before a token, and the parts of an upload.
func TestRESTFaultForOneUser(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	status := func(c credentials) int { return rest(t, s, "GET", "/users/config", c.Token, nil).HTTP }
	login := func(c credentials) int {
		return rest(t, s, "POST", "/login", "", map[string]any{
			"username": strings.ToUpper(c.Username), "password": c.Password, "type": "web",
		}).HTTP
	}
	upload := func(c credentials) int {
		e := rest(t, s, "POST", "/media/upload", c.Token, map[string]any{
			"contentType": "text/plain", "extension": "txt", "parts": 1, "toUser": "x", "type": "chat",
		})
		_, url, _ := strings.Cut(string(e.Data), `"uploadUrls":["`)
		url, _, _ = strings.Cut(url, `"`)
		req, err := http.NewRequest(http.MethodPut, url, strings.NewReader("text"))
		require.NoError(t, err)
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	s.SetFault(StepREST, FaultError, Match{User: "alice", Op: "users"}, Match{User: "alice", Op: "POST login"},
		Match{User: "alice", Op: "storage"}, Match{User: "carol"})
	require.Equal(t, []int{503, 200}, []int{status(alice), status(bob)})
	require.Equal(t, []int{503, 200}, []int{login(alice), login(bob)})
	require.Equal(t, []int{503, 200}, []int{upload(alice), upload(bob)})
	require.Equal(t, []int{503, 200},
		[]int{registerCall(t, s, "carol", true).HTTP, registerCall(t, s, "dave", true).HTTP})
}

// One user cannot log in, by every mechanism, whatever the password.
func TestAuthFaultForOneUser(t *testing.T) {
	s := trial(t)
	carol := register(t, s, "carol")
	s.SetFault(StepAuth, FaultMalformed, Match{User: "alice"})
	for _, user := range []string{"alice", "carol"} {
		x := dialWS(t, s)
		x.open(s.Domain())
		x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain(user, "wrong"))
		require.Equal(t, user == "alice", strings.Contains(x.next(), "not what you hoped for"))
		x = dialWS(t, s)
		x.open(s.Domain())
		x.send(`<auth mechanism="SCRAM-SHA-1" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`,
			base64.StdEncoding.EncodeToString([]byte("n,,n="+user+",r=nonce")))
		require.Equal(t, user == "alice", strings.Contains(x.next(), "not what you hoped for"))
	}
	connect(t, s, carol, "Web-1")
}

// Over XMPP: the second block of one user is refused, and one type of message to another.
func TestXMPPFaultForOneUser(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	s.SetFault(StepIQ, FaultError, Match{User: "alice", Op: "block", Nth: 2})
	block := func(x *xmppClient, user string) bool {
		answer := x.ask("set", "", `<block xmlns="urn:xmpp:blocking"><item jid="`+user+"@"+s.Domain()+`"/></block>`)
		return strings.Contains(answer, `type="result"`)
	}
	require.Equal(t, []bool{true, true, false, true}, []bool{
		block(a, "carol"), block(b, "carol"), block(a, "dave"), block(a, "erin"),
	})
	require.Equal(t, []string{"carol@" + s.Domain(), "erin@" + s.Domain()}, s.Blocked("alice"))
	s.SetFault(StepMessage, FaultError, Match{Op: "image"})
	s.SetFault(StepDelivery, FaultSilent, Match{User: "bob", Nth: 2})
	for i, kind := range []string{"text", "image", "text", "text"} {
		a.send(`<message id="m%d" to="bob@%s" type="chat" xmlns="jabber:client">`+
			`<body message_type="%s">x</body></message>`, i+1, s.Domain(), kind)
	}
	a.until(`id="m2"`, `type="error"`)
	a.until("<acknowledge ", `id="m4"`)
	a.settle() // it is delivered, which comes after the acknowledgement
	require.Equal(t, []string{"m1", "m4"}, ids(b.settle()))
}

// With Nth one message changes places with the next one to the same user.
func TestOneMessageOutOfOrder(t *testing.T) {
	s := trial(t)
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	s.SetFault(StepDelivery, FaultReordered, Match{User: "bob", Nth: 2})
	var want []string
	for i := range 4 {
		id, err := s.SendMessage(t.Context(), "alice", "bob", fmt.Sprint(i))
		require.NoError(t, err)
		want = append(want, id)
		_, err = s.SendMessage(t.Context(), "alice", "carol", fmt.Sprint(i))
		require.NoError(t, err)
	}
	want[1], want[2] = want[2], want[1]
	var got []string
	for _, raw := range b.settle() {
		if strings.Contains(raw, "<body") {
			got = append(got, idOf(raw))
		}
	}
	require.Equal(t, want, got)
}

// A fault of a connection is counted by connections.
func TestNthConnection(t *testing.T) {
	s := trial(t)
	s.SetFault(StepHTTPTLS, FaultWrongSender, Match{Nth: 2})
	for i := range 3 {
		resp, err := httpClient(t, s).Get(s.URL())
		require.Equal(t, i == 1, err != nil)
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
	}
}
