package sdk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Credentials are what Register answers: keep Username and Password for later calls of Connect.
type Credentials struct {
	// Username is assigned by the service: the local part of the JID.
	Username string `json:"username"`
	// Password is for Connect.
	Password string `json:"password"`
	// UserJID is the bare JID.
	UserJID string `json:"userJid"`
	// IsSandbox: the account belongs to the trial mode.
	IsSandbox bool `json:"isSandbox"`
	// IsProfileUpdated is false until the user has set a profile.
	IsProfileUpdated bool `json:"isProfileUpdated"`
}

// RegisterOption changes how Register registers.
type RegisterOption func(*registerOptions)

type registerOptions struct {
	force    bool
	metadata map[string]any
}

// ForceRegister says what happens when the user has as many sessions as the plan allows, 4 devices
// by the service's documentation: true (the default) ends an old one, false fails with
// ErrMaxSessions.
func ForceRegister(force bool) RegisterOption {
	return func(o *registerOptions) { o.force = force }
}

// RegisterMetadata adds data that the service keeps with the user: at most 3 entries of string,
// number or bool.
func RegisterMetadata(m map[string]any) RegisterOption {
	return func(o *registerOptions) { o.metadata = m }
}

// Register creates the user userIdentifier (lowercase letters, digits, - and _; the service
// documents 191 of them at most), or finds it again, and answers its credentials (protocol.md 3).
// It does not connect. An account that was deleted is not found again: there is a new one.
//
// Errors: 400 ErrInvalidArgument for a bad identifier or bad metadata; 403 ErrBlockedByAdmin; 405
// ErrMaxSessions, also 403 where the text speaks of sessions; ErrInvalidLicense; ErrLicenseMode;
// the status and text of the service for what else it refuses; 429 ErrRateLimited; 599 ErrNetwork.
// It is never repeated by itself once it may have reached the service.
func (c *Client) Register(
	ctx context.Context, userIdentifier string, opts ...RegisterOption,
) (Result[Credentials], error) {
	return run(ctx, c, "Register", success, func(ctx context.Context) (Credentials, error) {
		o := registerOptions{force: true}
		for _, opt := range opts {
			if opt != nil {
				opt(&o)
			}
		}
		if err := checkIdentifier(userIdentifier); err != nil {
			return Credentials{}, err
		}
		if err := checkMetadata(o.metadata); err != nil {
			return Credentials{}, err
		}
		if err := c.lockLogin(ctx); err != nil {
			return Credentials{}, err
		}
		defer c.unlockLogin()
		found, err := c.rest.Register(ctx, rest.Registration{
			UserIdentifier: userIdentifier, DeviceID: c.cfg.DeviceID, Force: o.force, Metadata: o.metadata,
		})
		if err != nil {
			return Credentials{}, err
		}
		service := c.rememberRegistered(found)
		return Credentials{
			Username: found.Username, Password: found.Password, UserJID: bareJID(found.Username, service.XMPPHost),
			IsSandbox: found.Trial, IsProfileUpdated: found.IsProfileUpdated,
		}, nil
	})
}

// rememberRegistered keeps what Connect of the same user needs, and returns what is known of the
// service then. While somebody else is logged in, that login stays as it is.
func (c *Client) rememberRegistered(found *rest.Account) rest.Service {
	current := c.currentLogin()
	if current.isOf(found.Username) {
		c.rest.ChangePassword(found.Username, found.Password)
		return current.learn(found.Password, found.Service)
	}
	service := c.cfg.overridden(found.Service)
	if current != nil {
		service.XMPPHost = cmp.Or(service.XMPPHost, current.account().service().XMPPHost)
	}
	if _, kept, _ := current.state(); !kept {
		current.stop()
		l := c.newLogin(found.Username, found.Password, nil)
		l.setService(service)
		c.setLogin(l)
	}
	return service
}

// Connect logs in with what Register answered and opens the XMPP session (protocol.md 4). ctx
// bounds the login only, waiting for Config.Dials included: the session lives until Logout,
// DeleteMyAccount or Close, and is made again when it is lost. It tells CONNECTED, or when the XMPP
// connection fails CONNECTIONFAILED or AUTHFAIL; if the client was reconnecting for the same user,
// it goes on with that.
//
// Errors: 400 ErrInvalidArgument for an empty argument; 400 or 401 ErrInvalidCredentials; 403
// ErrBlockedByAdmin; 409 ErrAlreadyLoggedIn when connected; 500 ErrNotConnected and ErrNetwork when
// the XMPP server cannot be reached, with the cause; 599 ErrNetwork when the service cannot, or
// when the time of ctx or of Config.RequestTimeout is over. With ErrNetwork may come what it is due
// to: ErrCertificate, ErrClock, ErrNotService, ErrProxy.
func (c *Client) Connect(ctx context.Context, username, password string) (Result[None], error) {
	return unbounded(ctx, c, "Connect", "Login Success", func(ctx context.Context) (None, error) {
		err := validate(
			loginText("username", username), required(same("username"), username),
			loginText("password", password), required(same("password"), password),
		)
		if err != nil {
			c.currentLogin().refuse()
			return None{}, err
		}
		// as long as it takes: RequestTimeout is for what follows
		done, err := awaitTurn(ctx, c.cfg.Dials)
		if err != nil {
			return None{}, err
		}
		defer done()
		ctx, cancel := c.withTimeout(ctx)
		defer cancel()
		if _, err := c.connect(ctx, username, password, nil); err != nil {
			return None{}, explain(c.deciding(ctx), "Connect", err)
		}
		return None{}, nil
	})
}

// connect logs in at the service, then at the XMPP server, and keeps the session up from then on. q
// is the QR login that brought the credentials, or nil.
func (c *Client) connect(ctx context.Context, username, password string, q *QRLogin) (*login, error) {
	if err := c.lockLogin(ctx); err != nil {
		return nil, err
	}
	defer c.unlockLogin()
	c.setConnecting(true)
	defer c.setConnecting(false)
	l := c.newLogin(username, password, q)
	if _, kept, final := c.currentLogin().state(); !kept || final != nil {
		c.logAs(l.account()) // else the lines are of that login until it ends
	}
	wirePassword, err := c.rest.WirePassword(ctx, password)
	if err != nil {
		l.cancel()
		return nil, err
	}
	ahead := l.mayDialAhead()
	dialling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	entered := l.enterMeanwhile(ctx, wirePassword, giveUp)
	if !ahead {
		if err := entered(); err != nil {
			l.cancel()
			return nil, err
		}
	}
	s, reached, err := l.dial(dialling, ConnectInfo{}, wirePassword, entered)
	if refusal := entered(); refusal != nil {
		l.cancel()
		return nil, refusal
	}
	if ahead && reached && ctx.Err() == nil && lostUnanswered(err) {
		s, _, err = l.dial(ctx, ConnectInfo{}, wirePassword, entered)
	}
	if err != nil {
		return nil, l.openFailed(ctx, err)
	}
	if !l.install(s) {
		l.dropSession(ctx, s) // ctx ends with the client
		return nil, errClosed
	}
	l.since = time.Now()
	l.tellConnected(s, 0)
	go l.keep(s) // owner: l, whose stop waits for it
	return l, nil
}

// lostUnanswered reports whether a connection was lost without a word on the login. Servers and
// balancers drop a client that does not log in within a while, and POST /login may take longer.
func lostUnanswered(err error) bool {
	var answered *xmpp.AuthError
	return err != nil && !errors.As(err, &answered) && isTransient(err)
}

// A login is one user's, from Register or Connect to Logout. Connect makes a new one, which takes
// over what the login before it knows of the same user. Only its own methods change what it holds.
type login struct {
	// Immutable.
	client   *Client
	username string   // as it was given
	qr       *QRLogin // the QR login that made this one, or nil

	// ctx ends when the login is told to end, at the latest with the client.
	ctx    context.Context
	cancel context.CancelFunc

	// Of the goroutine that opens sessions: Connect, then keep.
	lost     *xmpp.Resumption // the stream that the next session may take up
	goesOn   bool             // it follows a login of the same user that was trying to come back
	since    time.Time        // when the present session was made, or the last one was lost
	failures int              // to make one, since a connection last held

	mu sync.Mutex
	me account
	// password is raw: each login needs a new wire password. It is empty once the service has
	// refused it.
	password   string
	registered bool          // Connect was called and not refused (protocol.md 1.6)
	session    *xmpp.Session // nil while there is none
	kept       bool          // keep was started
	keeping    sync.WaitGroup
	// final is why no session comes by itself any more, as the last event told; nil: one may come.
	final *Error
	// nick is the own name in the last own profile that was read or pushed.
	nick string
	// receipts are those that could not be told without a connection.
	receipts []xmpp.Outgoing
	// leaving is closed when the service has answered Logout or DeleteMyAccount; nil: neither asks.
	leaving chan struct{}
}

// account is what is known of the user who is logged in: what calls work with.
type account struct {
	username string
	// told is what the service has told, which is held once for all logins that were told the same.
	told   unique.Handle[rest.Service]
	jid    string // bare, as the server has bound it; empty until then
	number uint32 // of the login at the service, see rest.ForLogin
}

// service is what the service has told.
func (a account) service() rest.Service {
	if a.told == (unique.Handle[rest.Service]{}) {
		return rest.Service{}
	}
	return a.told.Value()
}

// bareJID is what the server has bound. Until then it is what the server will bind, as far as one
// can know.
func (a account) bareJID() string {
	if a.jid != "" {
		return a.jid
	}
	return bareJID(a.username, a.service().XMPPHost)
}

// id is the user id of a, under which others look for it and open what it has sealed.
func (a account) id() string { return localPart(a.bareJID()) }

// jidOf is the bare JID of a user who is named by JID or by id.
func (a account) jidOf(user string) string {
	if _, host, bound := strings.Cut(a.jid, "@"); bound {
		return bareJID(user, host)
	}
	return bareJID(user, a.service().XMPPHost)
}

// named is the JID of a user whom the program names by JID or by id. Unlike jidOf it keeps what is
// no JID as it is, for the check that follows.
func (a account) named(user string) string {
	if user == "" || strings.Contains(user, "@") {
		return user
	}
	_, host, _ := strings.Cut(a.bareJID(), "@")
	return strings.ToLower(user) + "@" + host
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

func localPart(jid string) string {
	local, _, _ := strings.Cut(jid, "@")
	return local
}

// sameUser compares user names as servers do: they fold the case of the local part (RFC 7622 3.3).
func sameUser(a, b string) bool { return strings.EqualFold(a, b) }

// newLogin makes a login that knows what the present one knows of the same user. It does nothing
// until it enters.
func (c *Client) newLogin(username, password string, q *QRLogin) *login {
	l := &login{client: c, username: username, password: password, qr: q}
	l.ctx, l.cancel = context.WithCancel(c.ctx)
	l.me.told = unique.Make(rest.Service{Features: rest.AllFeatures()})
	if current := c.currentLogin(); current.isOf(username) {
		l.me, l.nick = current.account(), current.nickName()
	}
	l.me.username = username
	return l
}

// isOf reports whether it is the login of that user. A nil login is nobody's.
func (l *login) isOf(username string) bool { return l != nil && sameUser(l.username, username) }

// ended reports whether the login was told to end. The client's context has ended before those
// below it do, one after the other.
func (l *login) ended() bool { return l.ctx.Err() != nil || l.client.ctx.Err() != nil }

// account returns what is known of the user now.
func (l *login) account() account {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.me
}

// isRegistered reports whether Connect was called and not refused. It is false for a nil login.
func (l *login) isRegistered() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.registered && l.me.service().XMPPHost != ""
}

// refuse takes the registered flag back (protocol.md 4.1), but not from a login that works.
func (l *login) refuse() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.kept || l.final != nil {
		l.registered = false
	}
}

// state reports whether there is a session that works, whether keep was started to make others, and
// why none comes by itself any more. It is all zero for a nil login.
func (l *login) state() (up, kept bool, final *Error) {
	if l == nil {
		return false, false, nil
	}
	l.mu.Lock()
	s, kept, final := l.session, l.kept, l.final
	l.mu.Unlock()
	// One that has ended stays until tellLost, which may have to wait for a hook.
	return s != nil && s.Err() == nil, kept, final
}

// learn takes what Register has found for this user, and returns what is known of the service then.
func (l *login) learn(password string, told rest.Service) rest.Service {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password = password
	known := l.me.service()
	service := l.client.cfg.overridden(completed(told, known))
	service.XMPPHost = cmp.Or(service.XMPPHost, known.XMPPHost)
	l.me.told = unique.Make(service)
	return service
}

// completed takes what the service has not told this time from what it told the last time
// (protocol.md 3).
func completed(told, known rest.Service) rest.Service {
	if told == (rest.Service{Features: told.Features}) {
		return known // no configuration at all: the features are as they were, too
	}
	for _, field := range []struct{ now, known *string }{
		{&told.XMPPHost, &known.XMPPHost},
		{&told.XMPPPortWeb, &known.XMPPPortWeb},
		{&told.XMPPDomain, &known.XMPPDomain},
		{&told.XMPPPort, &known.XMPPPort},
		{&told.SignalServer, &known.SignalServer},
		{&told.IV, &known.IV},
		{&told.IVProfile, &known.IVProfile},
	} {
		*field.now = cmp.Or(*field.now, *field.known)
	}
	return told
}

// mayDialAhead reports whether the XMPP server can be dialled while POST /login is under way:
// Register has told the host, and no other login has a session or is trying to get one.
func (l *login) mayDialAhead() bool {
	up, kept, final := l.client.currentLogin().state()
	return l.account().service().XMPPHost != "" && !up && (!kept || final != nil)
}

// enterMeanwhile runs enter in a goroutine. entered waits for its end; a refusal calls giveUp.
func (l *login) enterMeanwhile(ctx context.Context, wirePassword string, giveUp func()) (entered func() error) {
	done := make(chan struct{})
	var refusal error
	go func() { // owner: connect, which waits for its end; ends with ctx
		defer close(done)
		if refusal = l.enter(ctx, wirePassword); refusal != nil {
			giveUp()
		}
	}()
	return func() error {
		<-done
		return refusal
	}
}

// enter is POST /login (protocol.md 4.1.3), and makes l the login that calls are made with. A
// session that is up stays untouched, whatever the answer. A login that is trying to come back is
// told to end: l goes on for it when it is the same user's.
func (l *login) enter(ctx context.Context, wirePassword string) error {
	c, old := l.client, l.client.currentLogin()
	token, err := c.rest.Token(ctx, l.username, wirePassword)
	if err != nil {
		refusal := explain(c.deciding(ctx), "Connect", err)
		if refusal.StatusCode == http.StatusBadRequest && refusal.is(ErrInvalidCredentials) {
			old.refuse()
		}
		return refusal
	}
	same := old.isOf(l.username)
	up, trying := old.giveWay()
	if !up || same { // else the session that is up keeps its token
		c.rest.Remember(l.username, l.password, token)
	}
	if up {
		if same {
			old.learnPassword(l.password)
		}
		return errAlreadyLoggedIn
	}
	old.stop()
	if same && trying {
		l.lost, l.goesOn, l.since = old.lost, true, old.since
	} else if old != nil {
		old.lost.Abandon()
	}
	l.begin(c.rest.CurrentLogin()) // nobody else logs in: this call has lockLogin
	c.setLogin(l)
	if same {
		l.keepReceipts(old.untoldReceipts())
	}
	return l.learnService(ctx)
}

// giveWay ends l for another login, unless it has a session. trying: it was making one.
func (l *login) giveWay() (up, trying bool) {
	if l == nil {
		return false, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		return true, false
	}
	l.cancel() // under the lock: from here on it installs no session
	return false, l.kept && l.final == nil
}

// currentPassword is the one that Register or Connect has learned last (protocol.md 4.6).
func (l *login) currentPassword() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.password
}

func (l *login) learnPassword(password string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.password = password
}

// learnProfile notes the own name, which messages carry.
func (l *login) learnProfile(p Profile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.UserJID == l.me.bareJID() {
		l.nick = p.NickName
	}
}

func (l *login) nickName() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nick
}

// begin makes l the login of that number at the service.
func (l *login) begin(number uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.me.number, l.registered = number, true
}

// learnService asks for the service's configuration unless Register has told it (protocol.md
// 4.1.4).
func (l *login) learnService(ctx context.Context) error {
	if l.account().service().XMPPHost != "" {
		return nil
	}
	service, err := l.client.rest.ServiceConfig(ctx, l.username)
	if err != nil {
		return in(stepConfig, err)
	}
	told := l.client.cfg.overridden(*service)
	if told.XMPPHost == "" {
		return in(stepConfig, errNoXMPPHost)
	}
	l.setService(told)
	l.client.logAs(l.account())
	return nil
}

func (l *login) setService(told rest.Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.me.told = unique.Make(told)
}

// openFailed tells why there is no session. A login that goes on for one that was lost tries again.
func (l *login) openFailed(ctx context.Context, err error) error {
	if loginRefused(err) {
		err = l.client.doubted(ctx, err)
	}
	event := l.client.failure(ctx, err)
	if event.Status == StatusAuthFail {
		l.forgetPassword(l.currentPassword())
	}
	again := l.goesOn && event.Status != StatusAuthFail && l.install(nil)
	event.Final = !again
	l.tell(event)
	if again {
		go l.keep(nil) // owner: l, whose stop waits for it
	} else {
		l.cancel()
		l.lost.Abandon()
	}
	return event.Err
}

// forgetPassword drops a password that the server has refused: nothing may use it by itself again
// (protocol.md 4.5). The token stays. It returns false when Register or Connect has brought another
// password since, of which the refusal says nothing.
func (l *login) forgetPassword(refused string) bool {
	l.mu.Lock()
	renewed := l.password != "" && l.password != refused
	if !renewed {
		l.password = ""
	}
	l.mu.Unlock()
	if !renewed && l.client.currentLogin() == l {
		l.client.rest.ForgetPassword(l.username, refused)
	}
	return !renewed
}

// install makes s the session, or with nil has keep make one. It returns false when l has ended.
func (l *login) install(s *xmpp.Session) bool {
	l.mu.Lock()
	if l.ended() {
		l.mu.Unlock()
		return false
	}
	l.session = s
	l.registered = true // a Connect with bad arguments may have come between
	if !l.kept {
		l.kept = true
		l.keeping.Add(1) // under the lock: before stop waits
	}
	if s != nil {
		// Who the client is, whatever was asked for (RFC 6120 7.6.1).
		l.me.jid = s.JID().Bare().String()
	}
	l.mu.Unlock()
	l.client.logAs(l.account())
	l.tellKept(l.untoldReceipts()...)
	return true
}

// open returns the session, or why there is none. A call that has begun with l goes on with the
// login that has taken its place, if that is the same at the service.
func (l *login) open() (*xmpp.Session, error) {
	if current := l.client.currentLogin(); current != l {
		if current == nil || current.account().number != l.account().number {
			return nil, loginOver()
		}
		l = current
	}
	l.mu.Lock()
	s, kept, final := l.session, l.kept, l.final
	l.mu.Unlock()
	switch {
	case s != nil:
		return s, nil
	case kept && final == nil, l.client.isConnecting():
		return nil, errNotConnected
	}
	return nil, endedForGood(final)
}

// tell tells event, and keeps the reason why none follows it.
func (l *login) tell(event ConnectionEvent) {
	l.mu.Lock()
	l.setFinalLocked(event)
	l.mu.Unlock()
	l.client.tell(event)
}

func (l *login) setFinalLocked(event ConnectionEvent) {
	l.final = nil
	if event.Final {
		l.final, _ = event.Err.(*Error)
	}
}

// tellConnected tells that s is up. attempt is 0 for the first session of a login.
func (l *login) tellConnected(s *xmpp.Session, attempt int) {
	l.tell(ConnectionEvent{Status: StatusConnected, Attempt: attempt, Resumed: s.Resumed()})
	if (attempt > 0 || l.goesOn) && !s.Resumed() {
		emit(&l.client.listeners, &l.client.listeners.missed, MissedEvent{Gap: true})
	}
}

// closeTimeout is for saying goodbye to the XMPP server.
const closeTimeout = time.Second

// stop ends the session and keep, and waits for both. It is idempotent; of a nil login it does
// nothing.
func (l *login) stop() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.cancel() // under the lock: from here on it installs no session
	s := l.session
	l.mu.Unlock()
	if s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			l.client.cfg.Logger.DebugContext(ctx, "the XMPP session is not closed politely", "err", err)
		}
	}
	l.keeping.Wait()
}

// Logout ends the login at the service, then the XMPP session, and forgets credentials, token
// and host (protocol.md 5.11). It tells DISCONNECTED. When the service refuses, the session stays
// up.
//
// Errors: 400 ErrNotRegistered without a login; 500 with the service's text; ErrNetwork.
func (c *Client) Logout(ctx context.Context) (Result[None], error) {
	return run(ctx, c, "Logout", success, func(ctx context.Context) (None, error) {
		return None{}, c.leave(ctx, func(ctx context.Context, l *login) error {
			l.endQRSession(ctx)
			return in(stepRequest, c.rest.Logout(ctx))
		})
	})
}

// endQRSession tells the phone that this QR session is over, when it can be told (protocol.md
// 5.11.2).
func (l *login) endQRSession(ctx context.Context) {
	if l.qr == nil {
		return
	}
	s, err := l.open()
	if err != nil {
		return
	}
	if err := s.LogOutQR(ctx, l.qr.socketID); err != nil {
		l.client.cfg.Logger.DebugContext(ctx, "the phone was not told that the QR session ends", "err", err)
	}
}

// leave asks the service to end the login; when it agrees, nothing of it is left here.
func (c *Client) leave(ctx context.Context, ask func(context.Context, *login) error) error {
	if err := c.lockLogin(ctx); err != nil {
		return err
	}
	defer c.unlockLogin()
	l, err := c.registered()
	if err != nil {
		return err
	}
	defer l.holdReconnection()()
	if err := ask(ctx, l); err != nil {
		return err
	}
	c.forget(l)
	return nil
}

// forget drops all that Register and Connect have learned, and ends the session. Its caller has
// lockLogin.
func (c *Client) forget(l *login) {
	c.rest.Forget()
	c.setLogin(nil) // from here on calls that have l fail with ErrNotRegistered
	l.stop()
	l.lost.Abandon()
	c.tellEnded()
}

// loggedOut ends a login that the phone, or the service, has ended.
func (l *login) loggedOut() {
	c := l.client
	if c.lockLogin(l.ctx) != nil {
		return // Close, or another end of the login, came first
	}
	defer c.unlockLogin()
	if l.ended() {
		return
	}
	c.tell(ConnectionEvent{Status: StatusLoggedOut, Final: true})
	c.forget(l)
}
