package faults

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
)

// place is where a fault strikes.
type place string

const (
	dns       place = "DNS"
	connect   place = "TCP connect"
	tlsShake  place = "TLS"
	request   place = "HTTP request"
	body      place = "HTTP body"
	upgrade   place = "WebSocket upgrade"
	opening   place = "stream open"
	auth      place = "SASL"
	bind      place = "bind"
	idle      place = "idle"
	inFlight  place = "request in flight"
	push      place = "push"
	sending   place = "message"
	confirm   place = "confirmation"
	arriving  place = "message that comes"
	handling  place = "message being handled"
	receipt   place = "receipt"
	chunk     place = "upload chunk"
	signaling place = "signalling"
)

// fault is what goes wrong there.
type fault string

const (
	refused     fault = "refused"
	silent      fault = "silent"
	slow        fault = "slow" // one byte a second
	cut         fault = "cut"
	reset       fault = "RST"
	halfOpen    fault = "half open" // neither side hears the other, and the connection does not end
	garbage     fault = "garbage"
	truncated   fault = "truncated"
	oversized   fault = "oversized"
	duplicated  fault = "duplicated"
	reordered   fault = "reordered"
	wrongSender fault = "wrong sender"
	wrongID     fault = "wrong id"
)

// way is how the client goes.
type way string

const (
	webSocket way = "WebSocket"
	startTLS  way = "STARTTLS"
	directTLS way = "direct TLS"
	rest      way = "REST" // XMPP is over WebSocket, and not what the fault is about
)

var (
	ways = []way{webSocket, startTLS, directTLS}
	both = []way{webSocket, startTLS} // the two transports
)

// through is what stands in the way. Only what the fault is about goes through it.
type through int

const (
	nothing  through = iota // sdktest itself misbehaves
	network                 // a line
	brittle                 // a line that cuts by RST
	frontage                // a doorstep
	insider                 // a tap
	named                   // nothing; the way has a name instead of an address
)

// site is a service, what stands before it, and one client.
type site struct {
	t   *testing.T
	srv *sdktest.Server
	way way

	cfg  sdk.Config
	line *line // nil if not in the way; likewise the others
	door *doorstep
	tap  *tap
	name string
	qr   string // the signalling server

	client  *sdk.Client
	account sdk.Credentials
	label   string

	deferred func() // has the message that is called H count as handled. Of the listeners alone

	final bool // the last event was. Of the listeners alone, of which one runs at a time

	mu     sync.Mutex
	trace  []byte // what the listeners were told, a letter each
	causes []error
	told   chan struct{} // has an element when trace has grown
}

// newSite starts a service where at is behind what. resumable is how long a lost stream can be
// resumed (XEP-0198); 0: that is not offered.
func newSite(t *testing.T, at place, by way, what through, resumable time.Duration) *site {
	t.Helper()
	s := &site{t: t, way: by, told: make(chan struct{}, 1), label: t.Name()}
	s.srv = sdktest.New(t, sdktest.Options{
		// that is where SCRAM is spoken; elsewhere it would only cost time
		Trial:         at == auth,
		ResumeTimeout: resumable,
	})
	s.cfg = s.srv.Config()
	s.cfg.DialContext = nil // the library's own
	s.cfg.TLSConfig = s.cfg.TLSConfig.Clone()
	s.cfg.TLSConfig.ServerName = s.srv.Domain()
	s.cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 10 * time.Millisecond, MaxDelay: 200 * time.Millisecond}
	s.cfg.RequestTimeout = patience
	s.place(at, what)
	return s
}

// place puts what before the address of at.
func (s *site) place(at place, what through) {
	real := addresses{https: hostOf(s.srv.URL()), starttls: s.srv.XMPPAddress(), tls: s.srv.XMPPSAddress()}
	here := real
	switch what {
	case network, brittle:
		s.line = newLine(s.t, real.of(s.way), "line")
		if what == brittle {
			s.line.cutByReset()
		}
		here = addresses{s.line.address, s.line.address, s.line.address}
	case frontage:
		s.door = newDoorstep(s.t, real.of(s.way))
		here = addresses{s.door.address, s.door.address, s.door.address}
	case insider:
		roots := s.cfg.TLSConfig.RootCAs
		s.tap = newTap(s.t, real, roots, s.srv.Domain())
		s.cfg.TLSConfig.RootCAs = roots.Clone()
		s.cfg.TLSConfig.RootCAs.AddCert(tapIdentity().root)
		s.cfg.TLSConfig.RootCAs.AddCert(otherIdentity().root)
		here = s.tap.at
	case named:
		s.name = ownName(s.t.Name())
		_, port, err := net.SplitHostPort(real.of(s.way))
		require.NoError(s.t, err)
		to := net.JoinHostPort(s.name, port)
		here = addresses{to, to, to}
	}
	s.qr = "https://" + real.https
	switch {
	case at == signaling:
		s.qr = "https://" + here.https
	case s.way == rest:
		s.cfg.APIBaseURL = strings.Replace(s.cfg.APIBaseURL, real.https, here.https, 1)
	}
	if at == signaling || s.way == rest {
		here = real
	}
	switch s.way {
	case startTLS:
		s.cfg.Transport, s.cfg.XMPPAddress = sdk.TransportTCP, "xmpp://"+here.starttls
	case directTLS:
		s.cfg.Transport, s.cfg.XMPPAddress = sdk.TransportTCP, "xmpps://"+here.tls
	default:
		s.cfg.XMPPAddress = "wss://" + here.https + "/websocket"
	}
}

func (a addresses) of(w way) string {
	switch w {
	case startTLS:
		return a.starttls
	case directTLS:
		return a.tls
	}
	return a.https
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err) // it comes from sdktest
	}
	return u.Host
}

// ownName is a host name for a test.
func ownName(test string) string {
	keep := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}
	label := strings.Map(keep, strings.ToLower(test))
	return "n" + label[max(0, len(label)-50):] + zone
}

// heal ends whatever is wrong.
func (s *site) heal() {
	s.srv.ClearFaults()
	if s.line != nil {
		s.line.heal()
	}
	if s.door != nil {
		s.door.set(s.t, "")
	}
	if s.tap != nil {
		s.tap.heal()
	}
	if s.name != "" {
		theNames.set(s.name, "")
	}
}

// start makes the client. Its goroutines carry the label.
func (s *site) start() {
	labelled(s.label, func() {
		client, err := sdk.New(s.cfg)
		require.NoError(s.t, err)
		s.client = client
	})
	s.t.Cleanup(func() { _ = s.client.Close() }) // if the test has failed before
	s.client.OnConnection(s.hearConnection)
	s.client.OnUserProfile(s.hearProfile)
	s.client.OnMissed(s.hearMissed)
	s.client.OnMessage(s.hearMessage)
	s.client.OnMessageStatus(s.hearStatus)
}

// The letters of a trace: these, G for a gap in what is pushed, r behind a C whose stream was
// resumed, and those of pushes.
var letters = map[sdk.ConnectionStatus]byte{
	sdk.StatusConnected: 'C', sdk.StatusDisconnected: 'D', sdk.StatusReconnecting: 'R',
	sdk.StatusConnectionFailed: 'F', sdk.StatusAuthFail: 'A', sdk.StatusLoggedOut: 'L',
}

func (s *site) hearConnection(e sdk.ConnectionEvent) {
	if s.final && e.Status == sdk.StatusReconnecting {
		s.t.Errorf("an attempt follows by itself what was told to be final: %+v", e)
	}
	s.final = e.Final
	s.hear(letters[e.Status], e.Err)
	if e.Resumed {
		s.hear('r', nil)
	}
}

func (s *site) hearMissed(e sdk.MissedEvent) {
	if e.Gap {
		s.hear('G', nil)
	}
}

// hearProfile notes the pushes of this package, which have the letter in the status, and leaves out
// what reading a profile tells.
func (s *site) hearProfile(p sdk.Profile) {
	if letter, is := strings.CutPrefix(p.Status, pushMark); is && letter != "" {
		s.hear(letter[0], nil)
	}
}

func (s *site) hear(letter byte, cause error) {
	s.mu.Lock()
	s.trace = append(s.trace, letter)
	if cause != nil {
		s.causes = append(s.causes, cause)
	}
	s.mu.Unlock()
	select {
	case s.told <- struct{}{}:
	default:
	}
}

func (s *site) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.trace)
}

// await waits until what was heard fits. One goroutine at a time may wait.
func (s *site) await(what string, fits func(trace string) bool) {
	s.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		if fits(s.heard()) {
			return
		}
		select {
		case <-s.told:
		case <-end.C:
			s.mu.Lock()
			defer s.mu.Unlock()
			require.FailNow(
				s.t, "waited for "+what+" in vain", "heard: %s, the last cause: %v", s.trace,
				append(s.causes, nil)[max(0, len(s.causes)-1)],
			)
		}
	}
}

// pushMark begins the status of a profile that was pushed; a letter follows.
const pushMark = "pushed "

// profilePush is a push that is heard as letter.
func (s *site) profilePush(letter string) string {
	return fmt.Sprintf(`<iq xmlns="jabber:client" type="result" id="push" from="bob@%s" to="%s"><vCard `+
		`xmlns="vcard-temp"><status>%s%s</status></vCard></iq>`,
		s.srv.Domain(), s.account.UserJID, pushMark, letter)
}

// with gives a call time enough on any machine, where nothing is wrong.
func (s *site) with(f func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var err error
	labelled(s.label, func() { err = f(ctx) })
	require.NoError(s.t, err)
}

func (s *site) register() {
	s.t.Helper()
	s.with(func(ctx context.Context) error {
		res, err := s.client.Register(ctx, "alice")
		s.account = res.Data
		return err
	})
}

func (s *site) connect() {
	s.t.Helper()
	s.with(func(ctx context.Context) error {
		_, err := s.client.Connect(ctx, s.account.Username, s.account.Password)
		return err
	})
	// When this is answered, all that belongs to the beginning of a session has been: a fault does
	// not meet that instead, and with stream management the server counts.
	s.with(func(ctx context.Context) error { return callBlocked(ctx, s) })
}

// requireWorks checks that the client is, or comes back, where a call answers 200, and that what is
// pushed then arrives once: it is heard as p, twice.
func (s *site) requireWorks() {
	s.t.Helper()
	s.awaitCall()
	s.with(func(ctx context.Context) error {
		_, err := s.client.GetUserProfile(ctx, s.account.Username)
		return err
	})
	s.requireSessions(1)
	for range 2 { // the second shows that no other copy of the first is on its way
		require.Equal(s.t, 1, s.srv.Push("alice", s.profilePush("p")))
	}
	s.await("two pushes", func(trace string) bool { return strings.Count(trace, "p") >= 2 })
}

// awaitCall makes a call over XMPP until it is answered: one that meets a connection that has gone
// is made again on the next.
func (s *site) awaitCall() {
	s.t.Helper()
	for {
		connections := strings.Count(s.heard(), "C")
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		var err error
		labelled(s.label, func() { _, err = s.client.GetUsersIBlocked(ctx) })
		cancel()
		if err == nil {
			return
		}
		require.ErrorIs(s.t, err, sdk.ErrNotConnected)
		s.await("the next connection", func(trace string) bool { return strings.Count(trace, "C") > connections })
	}
}

// end closes the client, and requires that nothing of it is left here or there.
func (s *site) end() {
	s.t.Helper()
	labelled(s.label, func() { require.NoError(s.t, s.client.Close()) })
	requireNothingLeft(s.t, s.label)
	s.requireSessions(0)
}

// requireSessions waits until the service has so many sessions of alice.
func (s *site) requireSessions(n int) {
	s.t.Helper()
	require.NoError(s.t, s.srv.Wait(s.t.Context(), fmt.Sprintf("alice has %d sessions", n), func() bool {
		return len(s.srv.Resources("alice")) == n
	}))
}

// stranger is another service, which the client does not know.
func (s *site) stranger() *sdktest.Server {
	return sdktest.New(s.t)
}
