package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Version is the version of this library, as told in the User-Agent.
const Version = "0.1.0"

// Transport is how XMPP travels.
type Transport string

// The two transports. Both carry the same session.
const (
	TransportWebSocket Transport = "websocket" // RFC 7395, the default
	TransportTCP       Transport = "tcp"       // RFC 6120 with STARTTLS or direct TLS
)

// KeepAlivePolicy says how a silent connection is checked (XEP-0199).
type KeepAlivePolicy struct {
	// Interval is the silence after which the server is pinged. Negative: never. The default is
	// 45s: proxies and load balancers commonly cut what has been idle for 60s (nginx, most
	// ingress controllers, AWS load balancers), and a ping has to arrive before that.
	Interval time.Duration
	// Timeout is how long nothing at all may come after a ping before the connection counts as
	// lost; default 20s. Any byte is a sign of life, not only the answer.
	Timeout time.Duration
}

// defaultKeepAlive leaves a ping 15s to arrive where a connection is cut after a minute.
const defaultKeepAlive = 45 * time.Second

// ReconnectPolicy says how a lost connection is made again: after a random delay between 0 and
// a bound that starts at MinDelay and doubles with each failure up to MaxDelay.
type ReconnectPolicy struct {
	Disabled    bool          // true: a lost connection stays lost
	MinDelay    time.Duration // default 500ms
	MaxDelay    time.Duration // default 30s
	MaxAttempts int           // attempts after one loss; 0: no limit
}

// Config says which service to use and how. All fields but LicenseKey may stay zero.
type Config struct {
	LicenseKey   string // required
	APIBaseURL   string // e.g. "https://api.example.com/api/v1"; empty: looked up from the licence key on first use (protocol.md 1.3)
	TrialLicense bool   // register in trial (sandbox) mode; when APIBaseURL is looked up, the lookup decides

	Transport     Transport // TransportWebSocket (default) or TransportTCP
	XMPPHost      string    // overrides the XMPP domain that the service hands out (self-hosted servers)
	XMPPAddress   string    // overrides where to dial: one or several of wss://, ws://, xmpps://host:port (TCP, direct TLS), xmpp://host:port (TCP, STARTTLS), comma separated; a bare host:port goes by Transport
	AllowInsecure bool      // permit ws://, http:// and TCP without TLS; without it they fail with ErrInsecure
	APIConfigURL  string    // full URL of the licence lookup, without its query; empty: the service's own

	HTTPClient  *http.Client                                                         // its Transport carries REST, the WebSocket upgrade and signalling; give it a TLSHandshakeTimeout, without which net/http goes on with a handshake for ever; one whose MinVersion is below TLS 1.2 fails with ErrInsecure; nil: one of our own, which clients share that have no TLSConfig, no DialContext and no RequestTimeout above 30s
	TLSConfig   *tls.Config                                                          // for what the library dials itself: everything when HTTPClient is nil, else TCP; a copy is used, with at least TLS 1.2, which MaxVersion must permit
	DialContext func(ctx context.Context, network, address string) (net.Conn, error) // likewise; gets names unresolved; nil: all addresses of the name are tried

	// DeviceID names this installation of the program: the XMPP resource is Web-<DeviceID>, and Register
	// tells it to the service. Keep it over restarts, one for each account and place: two sessions that
	// have the same end each other. At most 64 letters, digits, "-", "_" and "."; empty: a random one for
	// the life of the Client.
	DeviceID string

	RequestTimeout time.Duration    // bounds a call whose context has no deadline, and each attempt to reconnect; default 30s
	KeepAlive      KeepAlivePolicy  // default 45s and 20s
	Reconnect      ReconnectPolicy  // default 500ms to 30s, no limit
	Dials          *DialLimit       // shared by the clients of a program, spreads their logins; nil: no limit
	MaxDownload    int64            // bytes that one DownloadMedia writes at most; default 2 GiB
	Logger         *slog.Logger     // nil: silent
	AppName        string           // appended to the User-Agent
	Now            func() time.Time // clock of the licensed-mode timestamp (protocol.md 4.2); nil: time.Now
}

// Features are the flags of the plan (protocol.md 3). Those that no method of this library needs are there for the app that uses it.
type Features struct {
	GroupChat          bool `json:"groupChat"`          // groups
	Attachment         bool `json:"attachment"`         // sending files of any kind
	ImageAttachment    bool `json:"imageAttachment"`    // sending pictures
	VideoAttachment    bool `json:"videoAttachment"`    // sending films
	AudioAttachment    bool `json:"audioAttachment"`    // sending sound
	DocumentAttachment bool `json:"documentAttachment"` // sending documents
	ContactAttachment  bool `json:"contactAttachment"`  // sending contacts
	LocationAttachment bool `json:"locationAttachment"` // sending places
	One2OneCall        bool `json:"one2oneCall"`        // calls between two
	GroupCall          bool `json:"groupCall"`          // calls between more
	RecentChatSearch   bool `json:"recentchatSearch"`   // searching the recent chats
	StarMessage        bool `json:"starMessage"`        // marking messages
	ClearChat          bool `json:"clearChat"`          // emptying a chat
	DeleteChat         bool `json:"deleteChat"`         // deleting a chat
	Translation        bool `json:"translation"`        // translating messages
	Block              bool `json:"block"`              // BlockUser, UnblockUser
	Report             bool `json:"report"`             // ReportUserOrGroup
	DeleteMessage      bool `json:"deleteMessage"`      // deleting messages
	ViewAllMedias      bool `json:"viewAllMedias"`      // looking at all media of a chat
}

// Client is one account's connection to the service. Its methods may be called by several
// goroutines at once. Use one Client for each account; they share nothing but HTTP connections, see Config.HTTPClient.
type Client struct {
	cfg       Config       // immutable, defaults filled in
	http      *http.Client // immutable; REST and the WebSocket upgrade; may be others' too
	rest      rest.Client  // immutable but for what it knows of the login
	listeners listeners    // immutable but for who listens
	life      lifetime     // ends with Close

	background sync.WaitGroup // goroutines of QR logins, and ends that were pushed; added to under mu while life lasts

	servers xmpp.Memory // what its sessions have learned about the servers

	mu           sync.Mutex
	me           account     // who this client is, as far as it knows
	conn         *connection // what keeps the XMPP session up; nil without a login
	status       ConnectionStatus
	gone         *Error        // why the session does not come back by itself, as told by the last event; nil: it may, or that event had no reason
	changed      chan struct{} // closed when anything changes that WaitConnected looks at; nil: nobody waits
	turn         chan struct{} // has an element while a call changes who is logged in; nil: there is none
	turns        int32         // calls that have the turn, or wait for it
	connecting   bool          // Connect, or a QR login, is under way
	registered   bool          // Connect was called and not refused (protocol.md 1.6)
	encryptMedia bool          // SetMediaEncryption
	closed       bool          // Close has given up http
	ignored      int           // stanzas that sessions have ignored which have ended
	qr           *QRLogin      // the QR login that made the session, or nil
}

// account is what Register and Connect learn. Logout forgets it.
type account struct {
	username string        // what the service and SASL are asked with, as it was given to us
	password string        // raw; empty once the service has refused it
	told     *rest.Service // by the service; nil: nothing. Never changed, see shared
	jid      string        // bare, as the server has bound it; empty before
	login    uint32        // number of the login at the service, see rest.ForLogin
}

// bareJID is who a is: what the server has bound, and before that what it will, as far as one can know.
func (a *account) bareJID() string {
	if a.jid != "" {
		return a.jid
	}
	return bareJID(a.username, a.service().XMPPHost)
}

// id is the user id of a, under which others look for it and open what it has sealed.
func (a *account) id() string { return localPart(a.bareJID()) }

// jidOf is the bare JID of a user who is named by JID or by id.
func (a *account) jidOf(user string) string {
	if _, host, bound := strings.Cut(a.jid, "@"); bound {
		return bareJID(user, host)
	}
	return bareJID(user, a.service().XMPPHost)
}

// bareJID is the bare JID of a user who is named by JID or by id, as servers keep it: they fold
// the case (RFC 7622 3.2 and 3.3), so that such JIDs compare with ==.
func bareJID(user, host string) string {
	user, _, _ = strings.Cut(user, "/")
	if !strings.Contains(user, "@") {
		user += "@" + host
	}
	return strings.ToLower(user)
}

// nobody is the account of a client without a login. All features count as given until the service says otherwise (protocol.md 3).
func nobody() account { return account{told: &untold} }

var untold = rest.Service{Features: rest.AllFeatures()}

// service is what the service has told the account.
func (a *account) service() rest.Service {
	if a.told == nil {
		return rest.Service{}
	}
	return *a.told
}

// lastTold is what shared has returned last.
var lastTold atomic.Pointer[rest.Service]

// shared is told, held once for all clients of a program that were told the same one after the other: with one service all are.
func shared(told rest.Service) *rest.Service {
	last := lastTold.Load()
	if last == nil || *last != told {
		last = &told
		lastTold.Store(last)
	}
	return last
}

// New checks cfg and returns a client that is not connected. It does no I/O and starts no
// goroutine. A field that is missing or wrong is an *Error with ErrInvalidArgument, an
// unencrypted address without AllowInsecure one with ErrInsecure.
func New(cfg Config) (*Client, error) {
	const op = "New"
	if err := cfg.setDefaults(); err != nil {
		return nil, explain(context.Background(), op, err)
	}
	if _, err := cfg.addresses(); err != nil {
		return nil, explain(context.Background(), op, err)
	}
	if err := cfg.checkPorts(); err != nil {
		return nil, explain(context.Background(), op, err)
	}
	c := &Client{cfg: cfg, status: StatusDisconnected, me: nobody()}
	c.http = c.joinHTTP()
	c.listeners.init(&c.cfg)
	c.rest.Init(rest.Config{
		LicenseKey:     cfg.LicenseKey,
		BaseURL:        cfg.APIBaseURL,
		LookupURL:      cfg.APIConfigURL,
		Trial:          cfg.TrialLicense,
		AllowInsecure:  cfg.AllowInsecure,
		HTTPClient:     c.http,
		UserAgent:      cfg.userAgent(),
		RequestTimeout: cfg.RequestTimeout,
		Logger:         cfg.Logger,
		Now:            cfg.Now,
	})
	return c, nil
}

func (cfg *Config) setDefaults() error {
	if cfg.LicenseKey == "" {
		return invalid("License key cannot be null or empty")
	}
	if err := cfg.checkTexts(); err != nil {
		return err
	}
	if cfg.Transport == "" {
		cfg.Transport = TransportWebSocket
	}
	if cfg.Transport != TransportWebSocket && cfg.Transport != TransportTCP {
		return invalid("Transport %q is neither %q nor %q", cfg.Transport, TransportWebSocket, TransportTCP)
	}
	for _, u := range []struct{ name, raw string }{{"APIBaseURL", cfg.APIBaseURL}, {"APIConfigURL", cfg.APIConfigURL}} {
		if u.raw == "" {
			continue
		}
		err := rest.CheckBaseURL(u.raw, cfg.AllowInsecure)
		if errors.Is(err, rest.ErrInsecure) {
			return insecure(fmt.Errorf("%s begins with http://", u.name))
		}
		if err != nil {
			return &Error{StatusCode: http.StatusBadRequest, Message: "Invalid api base url", Err: fmt.Errorf("%s must be a URL such as https://api.example.com/api/v1, without user, query and fragment", u.name), Outcome: OutcomeNotSent, kind: ErrInvalidArgument}
		}
	}
	if p := cfg.Reconnect; p.MaxDelay > 0 && p.MinDelay > p.MaxDelay {
		return invalid("Reconnect.MinDelay, %v, is above Reconnect.MaxDelay, %v", p.MinDelay, p.MaxDelay)
	}
	defaultMin := cfg.Reconnect.MinDelay == 0
	for _, d := range []struct {
		name         string
		value        *time.Duration
		defaultValue time.Duration
	}{
		{"RequestTimeout", &cfg.RequestTimeout, 30 * time.Second},
		{"KeepAlive.Timeout", &cfg.KeepAlive.Timeout, 20 * time.Second},
		{"Reconnect.MinDelay", &cfg.Reconnect.MinDelay, 500 * time.Millisecond},
		{"Reconnect.MaxDelay", &cfg.Reconnect.MaxDelay, 30 * time.Second},
	} {
		if *d.value < 0 {
			return invalid("%s is negative: 0 is the default, %v", d.name, d.defaultValue)
		}
		if *d.value == 0 {
			*d.value = d.defaultValue
		}
	}
	if cfg.KeepAlive.Interval == 0 {
		cfg.KeepAlive.Interval = defaultKeepAlive
	}
	if defaultMin {
		cfg.Reconnect.MinDelay = min(cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay)
	}
	cfg.Reconnect.MaxDelay = max(cfg.Reconnect.MaxDelay, cfg.Reconnect.MinDelay)
	if cfg.Reconnect.MaxAttempts < 0 {
		return invalid("Reconnect.MaxAttempts is negative: 0 is no limit")
	}
	if cfg.MaxDownload < 0 {
		return invalid("MaxDownload is negative: 0 is the default, 2 GiB")
	}
	if cfg.MaxDownload == 0 {
		cfg.MaxDownload = 2 << 30
	}
	if cfg.Logger == nil {
		cfg.Logger = silent
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg.requireTLS12()
}

// checkTexts refuses what no service can have been given, most often with the line end of a file.
func (cfg *Config) checkTexts() error {
	switch {
	case strings.ContainsFunc(cfg.LicenseKey, unicode.IsControl) || !utf8.ValidString(cfg.LicenseKey):
		return invalid("LicenseKey has a line end, another control character, or is not UTF-8")
	case strings.ContainsFunc(cfg.AppName, unicode.IsControl):
		return invalid("AppName has control characters: it is a part of the User-Agent header")
	case cfg.XMPPHost != "" && !isHost(cfg.XMPPHost):
		return invalid("XMPPHost %q is not a domain such as chat.example.com; where to dial is XMPPAddress", cfg.XMPPHost)
	case len(cfg.DeviceID) > maxDeviceID || strings.Trim(cfg.DeviceID, letters+digits+"-_.") != "":
		return invalid("DeviceID is not made of at most %d letters, digits, \"-\", \"_\" and \".\"", maxDeviceID)
	}
	cfg.XMPPHost = strings.ToLower(cfg.XMPPHost) // as servers have it
	if cfg.DeviceID == "" {
		cfg.DeviceID = uuid.New()
	}
	return nil
}

const maxDeviceID = 64

// isHost reports whether JIDs can be of that domain.
func isHost(host string) bool {
	return isUserJID("x@"+host) || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// addresses are those of XMPPAddress, none where it is empty.
func (cfg *Config) addresses() ([]xmpp.Address, error) {
	if cfg.XMPPAddress == "" {
		return nil, nil
	}
	addresses, err := xmpp.ParseAddresses(cfg.XMPPAddress, cfg.Transport == TransportTCP)
	if err != nil {
		return nil, invalid("XMPPAddress: %v; %s", err, addressForms)
	}
	for _, a := range addresses {
		if a.Scheme == "ws" && !cfg.AllowInsecure {
			return nil, insecure(fmt.Errorf("XMPPAddress has %s", a))
		}
	}
	return addresses, nil
}

// checkPorts wants a port wherever XMPPAddress is no URL of a WebSocket, which has one by its scheme.
func (cfg *Config) checkPorts() error {
	if cfg.XMPPAddress == "" {
		return nil
	}
	for entry := range strings.SplitSeq(cfg.XMPPAddress, ",") {
		scheme, rest, has := strings.Cut(strings.TrimSpace(entry), "://")
		if !has {
			rest = scheme
		} else if !strings.HasPrefix(strings.ToLower(scheme), "xmpp") {
			continue // the port of a URL is known
		}
		if _, port, err := net.SplitHostPort(strings.TrimRight(rest, "/")); err != nil || port == "" {
			return invalid("XMPPAddress: an entry has no port; %s", addressForms)
		}
	}
	return nil
}

const addressForms = "it is wss://host/path, xmpps://host:port, xmpp://host:port or host:port, or several with commas"

var silent = slog.New(slog.DiscardHandler)

func (cfg *Config) userAgent() string {
	agent := "mirrorfly-go/" + Version + " (" + runtime.GOOS + "; " + runtime.GOARCH + ")"
	if cfg.AppName != "" {
		agent += " " + cfg.AppName
	}
	return agent
}

// run is the frame of every method: it bounds ctx, refuses after Close, and makes
// sure that Result and error agree. ok is the text of a success.
func run[T any](ctx context.Context, c *Client, op, ok string, f func(context.Context) (T, error)) (Result[T], error) {
	return answer(c.life.begin(ctx, c.cfg.RequestTimeout), c, op, ok, f)
}

// bounded gives a context without a deadline that of RequestTimeout.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.RequestTimeout)
}

// unbounded is run for what bounds itself: a transfer takes as long as it moves, and the session knows how long a request may take.
func unbounded[T any](ctx context.Context, c *Client, op string, f func(context.Context) (T, error)) (Result[T], error) {
	return answer(c.life.begin(ctx, 0), c, op, success, f)
}

func answer[T any](ctx *call, c *Client, op, ok string, f func(context.Context) (T, error)) (Result[T], error) {
	defer ctx.over()
	var data T
	var err error = errClosed
	if !c.life.ended() {
		data, err = f(ctx)
	}
	if err != nil {
		c.awaitEnd(ctx)
		e := explain(ctx, op, err)
		e.spent = e.spent || ctx.givenUp()
		return Result[T]{StatusCode: e.StatusCode, Message: e.Message}, e
	}
	return Result[T]{StatusCode: statusOK, Message: ok, Data: data}, nil
}

// awaitEnd is for what has failed under ctx, which ends with life: dials and connections do too, some a moment before ctx says why.
func (c *Client) awaitEnd(ctx context.Context) {
	if c.life.ended() {
		<-ctx.Done()
	}
}

const success = "Success"

// takeTurn waits until no other call changes who is logged in. Who waits longest is next: a channel keeps that order.
func (c *Client) takeTurn(ctx context.Context) error {
	c.mu.Lock()
	if c.turn == nil {
		c.turn = make(chan struct{}, 1)
	}
	c.turns++
	turn := c.turn
	c.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		c.leaveTurnLocked()
		return unsent.Mark(ctx.Err())
	}
}

func (c *Client) endTurn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	<-c.turn
	c.leaveTurnLocked()
}

// leaveTurnLocked gives the channel up with the last call: most clients need it seldom.
func (c *Client) leaveTurnLocked() {
	if c.turns--; c.turns == 0 {
		c.turn = nil
	}
}

// checkRegistered is precondition 4 of protocol.md 1.6.
func (c *Client) checkRegistered() (account, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.registered || c.me.service().XMPPHost == "" {
		return account{}, errNotRegistered
	}
	return c.me, nil
}

// session returns the live XMPP session.
func (c *Client) session() (*xmpp.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionLocked()
}

func (c *Client) sessionLocked() (*xmpp.Session, error) {
	switch {
	case c.conn != nil && c.conn.session != nil:
		return c.conn.session, nil
	case c.mayComeLocked():
		return nil, errNotConnected
	}
	return nil, ended(c.gone)
}

// mayComeLocked reports whether a session may come without anything being done for it.
func (c *Client) mayComeLocked() bool { return c.connecting || c.conn != nil && c.gone == nil }

// WaitConnected returns nil when there is a session, and waits for one while the client reconnects or while a Connect or a QR
// login is under way. ctx bounds the waiting, Config.RequestTimeout does not. A listener that calls it holds up all others.
//
// Errors, an *Error as everywhere: at once when no session will come by itself, with the reason that OnConnection was told:
// ErrReplaced, ErrInvalidCredentials (AUTHFAIL), ErrNotConnected and ErrNetwork when Config.Reconnect permits no further
// attempt; 400 ErrNotRegistered without a login; 499 or 599 when ctx ends; 500 ErrClosed.
func (c *Client) WaitConnected(ctx context.Context) error {
	_, err := unbounded(ctx, c, "WaitConnected", func(ctx context.Context) (None, error) {
		for {
			changed, err := c.awaited()
			if changed == nil {
				return None{}, err
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return None{}, unsent.Mark(ctx.Err())
			}
		}
	})
	return err
}

// awaited returns nil twice when there is a session, why none will come by itself, or what is closed when either may have changed.
func (c *Client) awaited() (changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.status == StatusConnected && c.conn != nil && c.conn.session != nil:
		return nil, nil
	case c.mayComeLocked():
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		return c.changed, nil
	case !c.registered || c.me.service().XMPPHost == "":
		return nil, errNotRegistered
	case c.gone == nil:
		return nil, ended(nil)
	}
	why := *c.gone
	why.Outcome = OutcomeNotSent // whatever became of that attempt
	return nil, &why
}

// wakeLocked has who waits for a session look again.
func (c *Client) wakeLocked() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// sessionOf returns the live XMPP session of me's login, however often it was lost meanwhile.
func (c *Client) sessionOf(me account) (*xmpp.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.me.login != me.login {
		return nil, loginOver()
	}
	return c.sessionLocked()
}

// State returns what the last ConnectionEvent told; StatusDisconnected before Connect.
func (c *Client) State() ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Ignored returns how many stanzas were dropped since New because they were forged, malformed, not understood, or
// replies that nobody waited for (protocol.md 13, "Who is believed"). A number that grows fast deserves a look at the
// debug log.
func (c *Client) Ignored() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.ignored
	if c.conn != nil && c.conn.session != nil {
		n += c.conn.session.Ignored()
	}
	return n
}

// Features returns the plan's flags as the service last told them, at Register or Connect; all true before (protocol.md 3).
func (c *Client) Features() Features {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Features(c.me.service().Features)
}

// tell makes event the state of the client and queues it for the listeners.
func (c *Client) tell(event ConnectionEvent) {
	c.mu.Lock()
	c.tellLocked(event)
	c.mu.Unlock()
	c.logEvent(event)
}

// tellLocked is tell without logEvent: under the lock State never differs from the last event.
func (c *Client) tellLocked(event ConnectionEvent) {
	c.status, c.gone = event.Status, nil
	if event.Final {
		c.gone, _ = event.Err.(*Error)
	}
	emit(&c.listeners.connection, event)
	c.wakeLocked()
}

func (c *Client) logEvent(event ConnectionEvent) {
	c.cfg.Logger.InfoContext(context.Background(), "connection", "status", event.Status, "attempt", event.Attempt, "err", event.Err)
}

// tellEnded tells DISCONNECTED for what ends without a session to lose, unless that was told last. It needs the turn.
func (c *Client) tellEnded() {
	c.mu.Lock()
	ended := c.status == StatusDisconnected
	c.mu.Unlock()
	if !ended {
		c.tell(ConnectionEvent{Status: StatusDisconnected, Final: true})
	}
}

// Close ends the session, every call under way and all goroutines of the library, without
// telling the service: the login stays valid there. It is idempotent, may be called by a
// listener, and waits for everything but listeners that are running, and dials that go on after their context has ended. What is called
// afterwards fails with ErrClosed. DISCONNECTED is told last, unless nothing has been told.
func (c *Client) Close() error {
	c.life.end(errClosed)
	if conn := c.connection(); conn != nil {
		conn.stop(closeTimeout)
	}
	_ = c.takeTurn(context.Background()) // whoever has it ends with c.life
	c.tellEnded()
	c.endTurn()
	c.background.Wait()
	c.rest.Close()
	c.listeners.queue.Close()
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if first {
		c.leaveHTTP()
	}
	return nil
}
