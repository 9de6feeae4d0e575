package sdktest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// requireEffect waits until the request has taken effect, or until it has met a fault and has not.
func requireEffect(t *testing.T, s *Server, want bool, met func(), done func() bool) {
	t.Helper()
	if want {
		require.NoError(t, s.Wait(t.Context(), "the request has taken effect", done))
		return
	}
	met()
	require.False(t, done())
}

// withoutSlow are the kinds that do not take seconds.
func withoutSlow() (kinds []FaultKind) {
	for _, kind := range append(FaultKinds(), FaultNone) {
		if kind != FaultSlow {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// atREST are the kinds that a REST answer can have.
var atREST = map[FaultKind]bool{
	FaultSilent: true, FaultClose: true, FaultError: true, FaultMalformed: true, FaultHuge: true,
}

func TestEffectOfRESTFaults(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, step := range []Step{StepREST, StepRESTAfter} {
		for _, kind := range withoutSlow() {
			t.Log(step, kind)
			before, asked := len(s.Feedback()), len(s.Requests())
			done := func() bool { return len(s.Feedback()) == before+1 }
			lost := step == StepREST && atREST[kind]
			s.SetFault(step, kind)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			client, status := httpClient(t, s), make(chan int, 1)
			go func() { status <- giveFeedback(ctx, s, client, c.Token) }() // ends with cancel
			if !lost {
				require.NoError(t, s.Wait(ctx, "the request has taken effect", done))
			}
			if kind == FaultSilent {
				require.NoError(t, s.Wait(ctx, "it has come", func() bool { return len(s.Requests()) > asked }))
				time.AfterFunc(glimpse, cancel)
			}
			want := map[FaultKind]int{FaultSilent: -1, FaultClose: -1, FaultError: http.StatusServiceUnavailable}[kind]
			require.Equal(t, cmp.Or(want, http.StatusOK), patient.Receive(t, status))
			cancel()
			require.Equal(t, !lost, done())
			s.ClearFaults()
		}
	}
}

// giveFeedback returns the HTTP status of the answer. -1: there is none.
func giveFeedback(ctx context.Context, s *Server, client *http.Client, token string) int {
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL()+"/moderation/feedback",
		strings.NewReader(`{"title":"x","description":"y"}`))
	if err != nil {
		return -1
	}
	req.Header.Set("Authorization", token)
	resp, err := client.Do(req)
	if err != nil {
		return -1
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// What FailNext fails has no effect, also at StepRESTAfter.
func TestEffectOfFailNext(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	s.SetFault(StepRESTAfter, FaultError)
	s.FailNext("moderation/feedback", 400, "no")
	body := map[string]any{"title": "x", "description": "y"}
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/feedback", c.Token, body).Status)
	require.Empty(t, s.Feedback())
	require.Equal(t, 503, rest(t, s, "POST", "/moderation/feedback", c.Token, body).HTTP)
	require.Len(t, s.Feedback(), 1)
}

// An upload whose answer is lost is there.
func TestEffectOnAnUpload(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	s.SetFault(StepRESTAfter, FaultError, Match{Op: "POST media"})
	fields := map[string]string{"type": "profile", "toUser": "alice"}
	require.Equal(t, 503, form(t, s, c.Token, fields, []byte("x")).Status)
	require.Len(t, s.store.state.Media, 2, "the picture and its thumbnail")
}

// met waits until what x has sent has met a fault of that kind.
func (x *xmppClient) met(kind FaultKind) {
	x.t.Helper()
	_, err := x.read(inTime(kind))
	switch kind {
	case FaultSilent:
		require.ErrorIs(x.t, err, context.DeadlineExceeded)
	case FaultClose:
		require.Error(x.t, err)
		require.NotErrorIs(x.t, err, context.DeadlineExceeded)
	default:
		require.NoError(x.t, err)
	}
}

func TestEffectOfIQFaults(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, step := range []Step{StepIQBefore, StepIQ} {
		for _, kind := range withoutSlow() {
			a := connect(t, s, c, "Web-1")
			a.settle()
			who := strings.ToLower(string(step+"-"+Step(kind))) + "@" + s.Domain()
			s.SetFault(step, kind)
			a.send(`<iq id="b" type="set" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking">`+
				`<item jid="%s"/></block></iq>`, who)
			t.Log(step, kind)
			requireEffect(t, s, !undone(step, kind), func() { a.met(kind) }, func() bool {
				return slices.Contains(s.Blocked("alice"), who)
			})
			s.ClearFaults()
		}
	}
}

// undone reports whether the comments of the XMPP steps say that a request has no effect.
func undone(step Step, kind FaultKind) bool {
	before := step == StepIQBefore || step == StepMessageBefore
	return kind == FaultError || before && (kind == FaultSilent || kind == FaultClose)
}

// A profile whose acknowledgement is cut off reaches the contacts.
func TestEffectOnContacts(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	s.SetFault(StepIQ, FaultClose, Match{Op: "set vCard"})
	a.send(`<iq id="v" type="set" xmlns="jabber:client"><vCard xmlns="vcard-temp"><status>new</status></vCard></iq>`)
	b.until("<status>new</status>")
}

func TestEffectOfMessageFaults(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	for _, step := range []Step{StepMessageBefore, StepMessage} {
		for _, kind := range withoutSlow() {
			t.Log(step, kind)
			a := connect(t, s, alice, "Web-1")
			a.settle()
			id := fmt.Sprintf("%s-%s", step, kind)
			s.SetFault(step, kind)
			a.text(s, "bob@"+s.Domain(), id, "x")
			want := !undone(step, kind)
			requireEffect(t, s, want, func() { a.met(kind) }, func() bool {
				return slices.ContainsFunc(s.Messages("bob"), func(m Message) bool { return m.ID == id })
			})
			if want {
				b.until(`id="` + id + `"`)
			} else {
				require.NotContains(t, strings.Join(b.settle(), ""), id)
			}
			s.ClearFaults()
		}
	}
}

// After FaultSilent before a message the server reads nothing more, and the end of the connection
// is noticed nevertheless.
func TestDeafServer(t *testing.T) {
	s := trial(t)
	for _, end := range []func(x *xmppClient){
		func(x *xmppClient) { require.NoError(t, x.c.CloseNow()) },
		func(*xmppClient) { s.DropConnections() },
	} {
		a := connect(t, s, register(t, s, "alice"), "Web-1")
		s.SetFault(StepMessageBefore, FaultSilent, Match{Nth: 1})
		a.text(s, "alice@"+s.Domain(), "m1", "x")
		a.text(s, "alice@"+s.Domain(), "m2", "x")
		require.NoError(t, s.Wait(t.Context(), "the fault is used up", func() bool {
			return len(s.Faults().Matched) == 0
		}))
		end(a)
		gone(t, s, "alice")
	}
	require.Empty(t, s.Messages("alice"))
}

func TestEffectOfBindFaults(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	bind := handshakeSteps(s, c)[2]
	require.Equal(t, StepBind, bind.step)
	for _, kind := range withoutSlow() {
		t.Log(kind)
		s.SetFault(StepBind, kind)
		x := dialWS(t, s)
		bind.walk(x)
		lost := atREST[kind]
		requireEffect(t, s, !lost, func() { x.met(kind) }, func() bool { return len(s.Resources("alice")) == 1 })
		require.NoError(t, x.c.CloseNow())
		gone(t, s, "alice")
		s.ClearFaults()
	}
}

// A stream that could not be resumed because of a fault can still be.
func TestEffectOfResumeFaults(t *testing.T) {
	s := trial(t, func(o *Options) { o.ResumeTimeout = time.Hour })
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	id := x.enable()
	resume := func() *xmppClient {
		x := dialWS(t, s)
		x.open(s.Domain())
		x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`,
			plain(c.Username, c.Password))
		require.Contains(t, x.next(), "<success")
		x.open(s.Domain())
		x.send(`<resume xmlns="urn:xmpp:sm:3" h="0" previd="%s"/>`, id)
		return x
	}
	for _, kind := range withoutSlow() {
		t.Log(kind)
		s.SetFault(StepResume, kind)
		if atREST[kind] {
			x := resume()
			x.met(kind)
			require.NotContains(t, strings.Join(x.seen, ""), "<resumed")
			s.ClearFaults()
		}
		require.Contains(t, resume().next(), "<resumed ")
		s.ClearFaults()
	}
}

// What comes in a request to /socket.io/ that meets a fault does not count.
func TestEffectOfSignalFaults(t *testing.T) {
	s := trial(t)
	_, packets := poll(t, s, "")
	sid, _ := hello(t, packets...)
	const event = `42["loginStatus","{}"]`
	for kind := range atREST {
		s.SetFault(StepSignal, kind)
		ctx, cancel := context.WithTimeout(t.Context(), inTime(kind))
		req, err := http.NewRequestWithContext(ctx, "POST",
			s.SignalURL()+"/socket.io/?EIO=3&transport=polling&sid="+sid, strings.NewReader("22:"+event))
		require.NoError(t, err)
		resp, err := httpClient(t, s).Do(req)
		cancel()
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
		require.Empty(t, s.Requests(), kind)
		s.ClearFaults()
	}
	require.Equal(t, 200, post(t, s, sid, "22:"+event))
	require.Len(t, s.Requests(), 1)
}
