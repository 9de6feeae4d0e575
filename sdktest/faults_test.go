package sdktest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

const glimpse = 150 * time.Millisecond // long enough to see that nothing comes

// inTime is how long a test waits for the effect of a fault. FaultSilent has none.
func inTime(kind FaultKind) time.Duration {
	if kind == FaultSilent {
		return glimpse
	}
	return patience
}

func TestRESTFaults(t *testing.T) {
	s := trial(t)
	limit := patience
	get := func() (int, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", s.URL()+"/users/config", nil)
		require.NoError(t, err)
		resp, err := httpClient(t, s).Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
		return resp.StatusCode, string(raw), err
	}
	s.SetFault(StepREST, FaultSilent)
	limit = glimpse
	_, _, err := get()
	limit = patience
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.SetFault(StepREST, FaultClose)
	_, _, err = get()
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	s.SetFault(StepREST, FaultError)
	status, body, err := get()
	require.NoError(t, err)
	require.Equal(t, 503, status)
	require.Contains(t, body, `"status":503`)
	s.SetFault(StepREST, FaultMalformed)
	_, body, err = get()
	require.NoError(t, err)
	require.Contains(t, body, "<!doctype html>")
	s.SetFault(StepREST, FaultHuge)
	_, body, err = get()
	require.NoError(t, err)
	require.Len(t, body, 10<<20)
	s.SetFault(StepREST, FaultSlow)
	begin := time.Now()
	status, _, err = get()
	require.NoError(t, err)
	require.Equal(t, 401, status)
	require.Greater(t, time.Since(begin), 100*slowInterval)
	s.SetFault(StepREST, FaultNone)
	status, _, err = get()
	require.NoError(t, err)
	require.Equal(t, 401, status)
}

func TestConnectionFaults(t *testing.T) {
	s := trial(t)
	limit := patience
	dial := func(addr string) error {
		cfg := s.Config().TLSConfig.Clone()
		cfg.ServerName = s.Domain()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", addr)
		if err == nil {
			require.NoError(t, c.Close())
		}
		return err
	}
	for _, where := range []struct {
		accept, tls Step
		addr        string
	}{{StepHTTPAccept, StepHTTPTLS, s.httpAddr()}, {StepAccept, StepTLS, s.XMPPSAddress()}} {
		require.NoError(t, dial(where.addr))
		for _, step := range []Step{where.accept, where.tls} {
			s.SetFault(step, FaultSilent)
			limit = glimpse
			require.ErrorIs(t, dial(where.addr), context.DeadlineExceeded, step)
			limit = patience
			for _, kind := range []FaultKind{FaultClose, FaultMalformed} {
				s.SetFault(step, kind)
				err := dial(where.addr)
				require.Error(t, err, step)
				require.NotErrorIs(t, err, context.DeadlineExceeded, step)
			}
			s.ClearFaults()
		}
		s.SetFault(where.tls, FaultWrongSender)
		var stranger x509.UnknownAuthorityError
		require.ErrorAs(t, dial(where.addr), &stranger)
		s.ClearFaults()
		require.NoError(t, dial(where.addr))
	}
}

func TestUpgradeFaults(t *testing.T) {
	s := trial(t)
	for kind, want := range map[FaultKind]int{FaultError: 503, FaultMalformed: 200, FaultSilent: 0, FaultClose: 0} {
		s.SetFault(StepUpgrade, kind)
		ctx, cancel := context.WithTimeout(t.Context(), inTime(kind))
		_, resp, err := websocket.Dial(ctx, s.XMPPURL(),
			&websocket.DialOptions{HTTPClient: httpClient(t, s), Subprotocols: []string{"xmpp"}})
		timedOut := ctx.Err() != nil
		cancel()
		require.Error(t, err)
		require.Equal(t, kind == FaultSilent, timedOut, kind)
		if want != 0 {
			require.Equal(t, want, resp.StatusCode)
		}
	}
}

// steps of the XMPP handshake, each with the frames up to the answer that goes wrong.
func handshakeSteps(s *Server, c credentials) []struct {
	step Step
	walk func(x *xmppClient)
} {
	open := func(x *xmppClient) { x.send(openFrame, s.Domain()) }
	auth := func(x *xmppClient) {
		x.open(s.Domain())
		x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`,
			plain(c.Username, c.Password))
	}
	bind := func(x *xmppClient) {
		auth(x)
		require.Contains(x.t, x.next(), "<success")
		x.open(s.Domain())
		x.send(`<iq id="b" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">` +
			`<resource>r</resource></bind></iq>`)
	}
	iq := func(x *xmppClient) {
		bind(x)
		require.Contains(x.t, x.next(), "<jid>")
		x.send(`<iq id="p" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`)
	}
	return []struct {
		step Step
		walk func(x *xmppClient)
	}{{StepStream, open}, {StepAuth, auth}, {StepBind, bind}, {StepIQ, iq}}
}

func TestXMPPFaults(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, h := range handshakeSteps(s, c) {
		start := func(kind FaultKind) *xmppClient {
			s.SetFault(h.step, kind)
			x := dialWS(t, s)
			h.walk(x)
			return x
		}
		_, err := start(FaultSilent).read(glimpse)
		require.ErrorIs(t, err, context.DeadlineExceeded, h.step)
		_, err = start(FaultClose).read(patience)
		require.Error(t, err)
		require.NotErrorIs(t, err, context.DeadlineExceeded, h.step)
		_, err = parseElement([]byte(start(FaultMalformed).next()))
		require.Error(t, err, h.step)
		require.Greater(t, len(start(FaultHuge).next()), hugeStanza, h.step)
		want := "error"
		if h.step == StepAuth {
			want = "not-authorized"
		}
		start(FaultError).until(want)
		x := start(FaultWrongSender)
		raw := x.next()
		require.Equal(t, h.step != StepAuth, strings.Contains(raw, "stranger.example"), raw)
		s.ClearFaults()
	}
}

func TestStartTLSFaults(t *testing.T) {
	s := trial(t)
	open := func(kind FaultKind) *tcpConn {
		s.SetFault(StepStartTLS, kind)
		c := dialTCP(t, s.XMPPAddress())
		c.send("%s", streamHeader)
		c.until("</stream:features>")
		c.send(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
		return c
	}
	require.Contains(t, open(FaultError).rest(), "<failure")
	require.NotContains(t, open(FaultClose).rest(), "proceed")
	require.Contains(t, open(FaultMalformed).until(">>>"), "not what you hoped for")
	s.SetFault(StepTLS, FaultClose)
	c := open(FaultNone)
	c.until(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
	require.Error(t, tls.Client(c.Conn, s.Config().TLSConfig).Handshake())
}

func TestSlow(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	s.SetFault(StepStream, FaultSlow)
	begin := time.Now()
	x := dialWS(t, s)
	x.open(s.Domain())
	require.Greater(t, time.Since(begin), 200*slowInterval, "a few hundred bytes, one at a time")
	s.ClearFaults()
	x = connect(t, s, c, "Web-1")
	s.Delay(glimpse)
	begin = time.Now()
	x.ask("get", "", `<ping xmlns="urn:xmpp:ping"/>`)
	rest(t, s, "GET", "/users/config", c.Token, nil)
	require.GreaterOrEqual(t, time.Since(begin), 2*glimpse)
}

func TestSignalFaults(t *testing.T) {
	s := trial(t)
	for kind, want := range map[FaultKind]string{
		FaultError: "Service Unavailable", FaultMalformed: "not what you hoped for", FaultHuge: "aaaa",
	} {
		s.SetFault(StepSignal, kind)
		resp, err := httpClient(t, s).Get(s.SignalURL() + "/socket.io/?EIO=3&transport=polling")
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(raw), want)
	}
	for _, kind := range []FaultKind{FaultSilent, FaultClose} {
		s.SetFault(StepSignal, kind)
		ctx, cancel := context.WithTimeout(t.Context(), inTime(kind))
		_, _, err := websocket.Dial(ctx, s.SignalURL()+"/socket.io/?EIO=3&transport=websocket",
			&websocket.DialOptions{HTTPClient: httpClient(t, s)})
		timedOut := ctx.Err() != nil
		cancel()
		require.Error(t, err)
		require.Equal(t, kind == FaultSilent, timedOut)
	}
}

func TestFaultsAreTold(t *testing.T) {
	s := trial(t)
	require.Equal(t, Faults{Steps: map[Step]FaultKind{}}, s.Faults())
	s.SetFault(StepIQ, FaultSlow)
	s.SetFault(StepBind, FaultClose)
	s.SetFault(StepBind, FaultNone)
	s.FailNext("/login/", 500, "boom")
	s.FailNext("logout", 401, "", http.Header{"A": {"b"}})
	s.Delay(time.Second)
	f := s.Faults()
	require.Equal(t, Faults{
		Steps: map[Step]FaultKind{StepIQ: FaultSlow}, Delay: time.Second,
		Next: []Failure{{Op: "login", Status: 500, Message: "boom"}, {Op: "logout", Status: 401}},
	}, f)
	f.Steps[StepREST] = FaultClose // a copy
	s.Delay(0)
	require.Equal(t, 500, rest(t, s, "POST", "/login", "", map[string]any{}).Status)
	require.Len(t, s.Faults().Next, 1, "one is used up")
	s.ClearFaults()
	require.Equal(t, Faults{Steps: map[Step]FaultKind{}}, s.Faults())
	s.SetFeature("report", false)
	require.False(t, s.Features()["report"])
	require.True(t, s.Features()["block"])
}

// Steps and FaultKinds name all constants.
func TestStepsAndKindsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "faults.go", nil, 0)
	require.NoError(t, err)
	var steps []Step
	var kinds []FaultKind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, isSpec := n.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != 1 {
			return true
		}
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		kind, isNamed := spec.Type.(*ast.Ident)
		if !isLiteral || !isNamed {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		switch kind.Name {
		case "Step":
			steps = append(steps, Step(text))
		case "FaultKind":
			kinds = append(kinds, FaultKind(text))
		}
		return true
	})
	require.NotEmpty(t, steps)
	require.Equal(t, steps, Steps())
	require.Equal(t, kinds, append([]FaultKind{FaultNone}, FaultKinds()...))
}

func TestFailNext(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	s.FailNext("contacts/vcard", 500, "boom")
	s.FailNext("contacts/vcard", 429, "slow down")
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status, "another operation")
	e := rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil)
	require.Equal(t, envelope{HTTP: 200, Status: 500, Message: "boom"}, e)
	e = rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil)
	require.Equal(t, envelope{HTTP: 429, Status: 429, Message: "slow down"}, e)
	require.Equal(t, 200, rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil).Status)
	s.FailNext("storage", 500, "boom")
	s.FailNext("media", 404, "gone")
	e = rest(t, s, "GET", s.SignalURL()+"/storage/x", "", nil)
	require.Equal(t, envelope{HTTP: 500, Status: 500, Message: "boom"}, e)
	e = rest(t, s, "GET", "/media/x.png", c.Token, nil)
	require.Equal(t, envelope{HTTP: 404, Status: 404, Message: "gone"}, e)
	s.FailNext("login", 503, "x")
	s.ClearFaults()
	require.Equal(t, 400, rest(t, s, "POST", "/login", "", map[string]any{"type": "web"}).Status)
}

func TestHeaderOfFailNext(t *testing.T) {
	s := trial(t)
	const date = "Fri, 31 Dec 1999 23:59:59 GMT"
	for _, c := range []struct {
		status int
		given  []http.Header
		want   []string
	}{
		{429, nil, []string{"1"}},
		{503, []http.Header{{}}, []string{"1"}},
		{500, nil, nil},
		{429, []http.Header{{"Retry-After": nil}}, nil},
		{429, []http.Header{{"Retry-After": {}}}, nil},
		{429, []http.Header{{"retry-after": {"120"}}}, []string{"120"}},
		{400, []http.Header{{"Retry-After": {"5"}}}, []string{"5"}},
		{503, []http.Header{{"Retry-After": {date}}}, []string{date}},
		{429, []http.Header{{"Retry-After": {"99999999999999999999"}}}, []string{"99999999999999999999"}},
		{429, []http.Header{{"Retry-After": {"-1"}}}, []string{"-1"}},
		{429, []http.Header{{"Retry-After": {"soon"}}}, []string{"soon"}},
		{429, []http.Header{{"Retry-After": {""}}}, []string{""}},
		{429, []http.Header{{"Retry-After": {"1", "2"}}}, []string{"1", "2"}},
		{429, []http.Header{{"A": {"b"}}, {"Retry-After": {"7"}}}, []string{"7"}},
	} {
		s.FailNext("login", c.status, "no", c.given...)
		resp, err := httpClient(t, s).Post(s.URL()+"/login", "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.want, resp.Header.Values("Retry-After"), "%d %v", c.status, c.given)
	}
}
