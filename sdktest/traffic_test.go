package sdktest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched starts a trial server whose traffic can be read.
func watched(t *testing.T) (*Server, <-chan Traffic) {
	t.Helper()
	traffic := make(chan Traffic, 1024) // more than any of these tests makes
	return trial(t, func(o *Options) { o.OnTraffic = func(one Traffic) { traffic <- one } }), traffic
}

// seen waits for the next thing that is told.
func seen(t *testing.T, traffic <-chan Traffic) Traffic {
	t.Helper()
	select {
	case got := <-traffic:
		return got
	case <-time.After(patience):
		require.FailNow(t, "nothing was told")
		return Traffic{}
	}
}

func TestTraffic(t *testing.T) {
	s, traffic := watched(t)
	before := time.Now()
	c := register(t, s, "alice")
	asked, answered := seen(t, traffic), seen(t, traffic)
	require.WithinRange(t, asked.Time, before, time.Now())
	require.Equal(t, Traffic{
		Time: asked.Time, Kind: "rest", Method: "POST", Path: "sandbox/register",
		Text: `{"deviceId":"5","deviceType":"web","forceRegister":true,"licenseKey":"sdktest-license-key",` +
			`"metaData":{},"mobileNumber":"alice","userIdentifier":"alice"}`,
	}, asked)
	require.Regexp(t, `^\{"status":200,"message":"Success","data":"[^"]+"\}$`, answered.Text)
	require.Equal(t, Traffic{
		Time: answered.Time, Kind: "rest", ToClient: true, Method: "POST", Path: "sandbox/register", Status: 200,
		ContentType: "application/json", Size: int64(len(answered.Text)), Text: answered.Text,
	}, answered)

	rest(t, s, "GET", "/contacts/vcard?userId=alice%26", c.Token, nil)
	asked, answered = seen(t, traffic), seen(t, traffic)
	require.Equal(t, "alice", asked.User)
	require.Equal(t, "userId=alice%26", asked.Query)
	require.Empty(t, asked.Text)
	require.Equal(t, "alice", answered.User)

	x := connect(t, s, c, "Web-1")
	var login []string
	var last Traffic
	for last.Kind != "session" {
		last = seen(t, traffic)
		login = append(login, last.Text)
	}
	require.Equal(t, Traffic{Time: last.Time, Kind: "session", User: "alice", Resource: "Web-1", Text: "connected"},
		last)
	require.Contains(t, login[0], `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing"`)
	require.Contains(t, strings.Join(login, ""), `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">`)
	require.Contains(t, login, `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)

	x.settle()
	for last.Kind != "xmpp" || last.ToClient || !strings.Contains(last.Text, "urn:xmpp:ping") {
		last = seen(t, traffic)
	}
	require.Equal(t, "Web-1", last.Resource)
	pong := seen(t, traffic)
	require.True(t, pong.ToClient)
	require.Contains(t, pong.Text, `type="result"`)

	s.DropConnections()
	for last.Text != "disconnected" {
		last = seen(t, traffic)
	}
	require.Equal(t, "alice", last.User)
	require.Empty(t, s.Resources("alice"), "it has gone when it is told")
	require.NoError(t, s.Restart())
	register(t, s, "bob")
	require.Contains(t, seen(t, traffic).Text, "bob")
}

// A request without an answer is told, too. An answer that is not JSON is told without its text.
func TestTrafficOfFaults(t *testing.T) {
	s, traffic := watched(t)
	s.SetFault(StepREST, FaultClose)
	_, err := httpClient(t, s).Post(s.URL()+"/login", "application/json", strings.NewReader(`{"password":"secret`))
	require.Error(t, err)
	require.Equal(t, `{"password":"secret`, seen(t, traffic).Text)
	cut := seen(t, traffic)
	require.Zero(t, cut.Status)
	require.Empty(t, cut.Text)

	s.SetFault(StepREST, FaultMalformed)
	resp, err := httpClient(t, s).Get(s.ConfigURL())
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	seen(t, traffic)
	page := seen(t, traffic)
	require.Equal(t, "text/html 56 ", page.ContentType+" "+strconv.FormatInt(page.Size, 10)+" "+page.Text)

	s.ClearFaults()
	s.FailNext("login", 503, "later")
	require.Equal(t, 503, rest(t, s, "POST", "/login", "", map[string]any{}).HTTP)
	seen(t, traffic)
	failed := seen(t, traffic)
	require.Equal(t, 503, failed.Status)
	require.Equal(t, `{"status":503,"message":"later"}`, failed.Text)
}

func TestTrafficOfDownloads(t *testing.T) {
	s, traffic := watched(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("picture"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	fetch(t, s, s.URL()+"/media/"+d.FileToken, c.Token, "")
	last := seen(t, traffic)
	for last.Path != "media/"+d.FileToken {
		last = seen(t, traffic)
	}
	require.Equal(t, http.MethodGet, last.Method)
	answer := seen(t, traffic)
	require.Equal(t, int64(7), answer.Size)
	require.Empty(t, answer.Text)
}

// Events are told in their order, over polling and WebSocket.
func TestTrafficOfSignalling(t *testing.T) {
	s, traffic := watched(t)
	_, frames := poll(t, s, "")
	_, polled := hello(t, frames...)
	got := seen(t, traffic)
	require.Equal(t, Traffic{Time: got.Time, Kind: "signal", ToClient: true, Text: `["id","` + polled + `"]`}, got)

	_, token := loginQR(t, s, "alice")
	var events []string
	for len(events) < 3 {
		if got = seen(t, traffic); got.Kind == "signal" {
			require.Equal(t, !strings.HasPrefix(got.Text, `["loginStatus",`), got.ToClient)
			events = append(events, got.Text)
		}
	}
	require.Equal(t, `["id","`+token+`"]`, events[0])
	require.Contains(t, events[1], `["response",{"id":"`)
	require.Contains(t, events[2], `["loginStatus","{`)
}
