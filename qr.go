package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"image"
	"image/draw"
	"net/http"
	"runtime"
	"time"

	"github.com/mirrorfly-go/sdk/internal/qr"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/signal"
)

// QROptions says how a QR login is offered. All fields may stay zero when the service's
// signalling server is known from Register.
type QROptions struct {
	// SignalServerURL begins with https, wss, http or ws; empty: what the service handed out at
	// Register.
	SignalServerURL string
	// Logo is drawn in the middle of the code; nil: none.
	Logo image.Image
	// Size is in pixels a side; default 240.
	Size int
	// LogoSize is in pixels a side, at most a quarter of Size; default 50.
	LogoSize int
	// Browser is shown on the phone; by default it is this library's name and version. It is in the
	// code, as Platform is. For a code that fits into a terminal of 80x24 they may have 32
	// characters of ASCII together, and more where the ids of the signalling server have fewer than
	// 24 characters, see QRCode.TerminalSize.
	Browser string
	// Platform is shown on the phone; by default it is the operating system.
	Platform string
	// Timeout is how long the phone has to scan a code until ErrQRExpired; default 5 minutes.
	Timeout time.Duration
}

// QRLogin is a login that waits for a phone to scan its code.
type QRLogin struct {
	client *Client
	opts   QROptions
	signal *signal.Conn
	// socketID is the signalling id that the login was made with (protocol.md 7.2). It is set
	// before there is a login.
	socketID    string
	codes       chan *QRCode
	waiting     context.Context // ends with the client, and when Close is called
	stopWaiting context.CancelCauseFunc
	done        chan struct{} // closed when login, result and err are set
	ended       chan struct{} // has an element when the phone has ended the session over XMPP

	login  *login // nil: the login has failed
	result Result[Credentials]
	err    error
}

// QRCode is one code of a QR login: black on white. Pictures have error correction level H, which
// the logo needs (protocol.md 7.3).
type QRCode struct{ code *qr.Code }

// Content is the text that the phone reads.
func (c *QRCode) Content() string { return c.code.Content() }

// Image draws the code, with a quiet zone and the logo.
func (c *QRCode) Image() image.Image { return c.code.Image() }

// PNG is Image as a PNG file.
func (c *QRCode) PNG() ([]byte, error) { return c.code.PNG() }

// SVG draws the code as an SVG document that scales.
func (c *QRCode) SVG() string { return c.code.SVG() }

// Terminal draws the code with half-block characters, two modules a character, in black on white
// whatever the terminal's own colours are. The logo is left out, and with it error correction that
// nothing else needs: the code is as small as can be.
func (c *QRCode) Terminal() string { return c.code.Terminal() }

// TerminalSize is how many columns and rows a terminal must have for Terminal, without the line
// after it: 45 and 22 unless QROptions say otherwise. A code that wraps or scrolls cannot be read.
func (c *QRCode) TerminalSize() (columns, rows int) { return c.code.TerminalSize() }

const (
	defaultQRTimeout = 5 * time.Minute
	reportTimeout    = 3 * time.Second // for telling the phone, while Wait still waits
)

// GenerateQRCode offers a login to the phone app: show the codes of Codes until Wait returns
// (protocol.md 7). ctx bounds reaching the signalling server, not the waiting. When the phone has
// scanned a code, the client is connected with the credentials that it sends, and Wait returns
// them. The phone may end that session later: OnConnection is then told StatusLoggedOut.
//
// Errors: 400 ErrInvalidArgument for options that make no readable code or no signalling server;
// 400 ErrInsecure; 599 ErrNetwork.
func (c *Client) GenerateQRCode(ctx context.Context, opts QROptions) (*QRLogin, error) {
	res, err := run(ctx, c, "GenerateQRCode", success, func(ctx context.Context) (*QRLogin, error) {
		if err := c.checkQROptions(&opts); err != nil {
			return nil, err
		}
		conn, err := signal.Dial(ctx, signal.Config{
			URL: opts.SignalServerURL, AllowInsecure: c.cfg.AllowInsecure, HTTPClient: c.http,
			UserAgent: c.cfg.userAgent(), Logger: c.cfg.Logger,
			MinDelay: c.cfg.Reconnect.MinDelay, MaxDelay: c.cfg.Reconnect.MaxDelay,
		})
		if err != nil {
			return nil, in(stepSignal, err)
		}
		return c.startQRLogin(opts, conn)
	})
	return res.Data, err
}

func (c *Client) checkQROptions(o *QROptions) error {
	if l := c.currentLogin(); l != nil {
		o.SignalServerURL = cmp.Or(o.SignalServerURL, l.account().service().SignalServer)
	}
	if err := validate(required(same("SignalServerURL"), o.SignalServerURL)); err != nil {
		return err
	}
	if o.Timeout < 0 {
		return invalid("Timeout", "Timeout is negative: 0 is the default, %v", defaultQRTimeout)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultQRTimeout
	}
	o.Browser = cmp.Or(o.Browser, "mirrorfly-go "+Version)
	o.Platform = cmp.Or(o.Platform, runtime.GOOS+" "+runtime.GOARCH)
	const usualToken = "0123456789abcdefghij" // as long as a Socket.IO id
	if _, err := c.drawQRCode(*o, usualToken); err != nil {
		return invalid("", "%v", err)
	}
	// the caller may change it while we draw the next code; its size has been checked
	if o.Logo != nil {
		own := image.NewNRGBA(o.Logo.Bounds())
		draw.Draw(own, own.Bounds(), o.Logo, own.Bounds().Min, draw.Src)
		o.Logo = own
	}
	return nil
}

// drawQRCode makes the code for a signalling id (protocol.md 7.3).
func (c *Client) drawQRCode(o QROptions, token string) (*QRCode, error) {
	content, err := seal.JSON(struct {
		Token    string `json:"token"`
		Browser  string `json:"browser"`
		Platform string `json:"platform"`
	}{token, o.Browser, o.Platform})
	if err != nil {
		return nil, err
	}
	sealed, err := seal.SealShort(content, seal.Triple(c.cfg.LicenseKey), seal.ConstIV)
	if err != nil {
		return nil, err
	}
	code, err := qr.New(sealed, qr.Options{Size: o.Size, Logo: o.Logo, LogoSize: o.LogoSize})
	if err != nil {
		return nil, err
	}
	return &QRCode{code: code}, nil
}

func (c *Client) startQRLogin(opts QROptions, conn *signal.Conn) (*QRLogin, error) {
	q := &QRLogin{
		client: c, opts: opts, signal: conn, codes: make(chan *QRCode, 1),
		done: make(chan struct{}), ended: make(chan struct{}, 1),
	}
	q.waiting, q.stopWaiting = context.WithCancelCause(c.ctx)
	// It ends with Close, with the login's failure or with its session.
	if !c.goInBackground(q.run) {
		_ = conn.Close() // it never fails
		return nil, errClosed
	}
	return q, nil
}

// run waits for the phone, and after a login for its end.
func (q *QRLogin) run() {
	defer func() { _ = q.signal.Close() }() // it never fails
	defer q.stopWaiting(nil)
	credentials, err := q.await()
	q.finish(credentials, err)
	if err == nil {
		q.awaitEnd()
	}
}

// finish publishes the outcome.
func (q *QRLogin) finish(credentials Credentials, err error) {
	select {
	case <-q.codes: // nobody may scan it any more
	default:
	}
	close(q.codes)
	if err != nil {
		e := explain(q.client.deciding(q.waiting), "GenerateQRCode", err)
		q.result, q.err = Result[Credentials]{StatusCode: e.StatusCode, Message: e.Message}, e
	} else {
		q.result = Result[Credentials]{StatusCode: statusOK, Message: "Login Success", Data: credentials}
	}
	close(q.done)
}

// await shows a code for every id, until a phone has answered one of them.
func (q *QRLogin) await() (Credentials, error) {
	expired := time.NewTimer(q.opts.Timeout)
	defer expired.Stop()
	socketID := "" // the last id (protocol.md 7.2)
	for {
		select {
		case event, open := <-q.signal.Events():
			switch {
			case !open && q.waiting.Err() == nil:
				return Credentials{}, in(stepSignal, q.signal.Err())
			case !open:
				return Credentials{}, context.Cause(q.waiting)
			case event.Name == "id":
				socketID = q.show(event, socketID)
			case event.Name == "response" && socketID != "":
				if answer, ok := q.open(event); ok {
					return q.logIn(answer, socketID)
				}
			}
		case <-expired.C:
			return Credentials{}, errQRExpired
		case <-q.waiting.Done():
			return Credentials{}, context.Cause(q.waiting)
		}
	}
}

// show offers the code for a new id, and returns the id that now counts.
func (q *QRLogin) show(event signal.Event, last string) string {
	var id string
	if len(event.Args) == 0 || json.Unmarshal(event.Args[0], &id) != nil || id == "" || id == last {
		return last
	}
	code, err := q.client.drawQRCode(q.opts, id)
	if err != nil {
		q.client.cfg.Logger.WarnContext(q.waiting, "signalling id makes no QR code", "err", err)
		return last
	}
	select {
	case <-q.codes: // nobody has looked at the last one
	default:
	}
	q.codes <- code // never blocks: this is the only sender
	return id
}

// phoneAnswer is what the phone hands over (protocol.md 7.2).
type phoneAnswer struct {
	Username string `json:"username"`
	Password string `json:"password"`
	SocketID string `json:"socketId"`
}

// open reads the phone's answer. What is not sealed with our licence key is ignored.
func (q *QRLogin) open(event signal.Event) (phoneAnswer, bool) {
	var sealed struct {
		ID string `json:"id"`
	}
	if len(event.Args) == 0 || json.Unmarshal(event.Args[0], &sealed) != nil {
		return phoneAnswer{}, false
	}
	var answer phoneAnswer
	plain, err := seal.OpenStrict(sealed.ID, seal.Triple(q.client.cfg.LicenseKey), seal.ConstIV)
	if err != nil || json.Unmarshal([]byte(plain), &answer) != nil || answer.Username == "" || answer.Password == "" {
		q.client.cfg.Logger.WarnContext(q.waiting, "answer to the QR code cannot be opened: ignored")
		return phoneAnswer{}, false
	}
	return answer, true
}

// logIn connects with what the phone sent, and tells the phone how it went.
func (q *QRLogin) logIn(answer phoneAnswer, socketID string) (Credentials, error) {
	c := q.client
	done, err := awaitTurn(q.waiting, c.cfg.Dials)
	if err != nil {
		q.report(answer.SocketID, false)
		return Credentials{}, cmp.Or(context.Cause(q.waiting), err)
	}
	defer done()
	ctx, cancel := context.WithTimeout(q.waiting, c.cfg.RequestTimeout)
	defer cancel()
	q.socketID = socketID
	q.login, err = c.connect(ctx, answer.Username, answer.Password, q)
	if err != nil && q.waiting.Err() != nil {
		err = stopped(q.waiting, err)
	} else if err != nil {
		err = explain(c.deciding(ctx), "GenerateQRCode", err)
	}
	q.report(answer.SocketID, err == nil)
	if err != nil {
		return Credentials{}, err
	}
	trial, _ := c.rest.Trial(ctx) // known since connect
	me := q.login.account()
	return Credentials{
		Username: answer.Username, Password: answer.Password, IsSandbox: trial, UserJID: me.bareJID(),
	}, nil
}

// stopped is why ctx ended, with what became of the login that this broke off.
func stopped(ctx context.Context, err error) error {
	cause, ok := context.Cause(ctx).(*Error)
	if !ok {
		return context.Cause(ctx)
	}
	e := *cause
	e.Outcome = outcomeOf(err)
	return &e
}

// report emits loginStatus, a JSON text inside JSON (protocol.md 7.2).
func (q *QRLogin) report(phone string, ok bool) {
	ctx, cancel := context.WithTimeout(q.client.ctx, reportTimeout)
	defer cancel()
	status := struct {
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
		PublicKey  string `json:"public_key"`
	}{http.StatusInternalServerError, "Login Failed", phone}
	if ok {
		status.StatusCode, status.Message = statusOK, "Login Success"
	}
	text, err := seal.JSON(status)
	if err == nil {
		err = q.signal.Emit(ctx, "loginStatus", text)
	}
	if err != nil {
		q.client.cfg.Logger.WarnContext(ctx, "the phone was not told how the QR login went", "err", err)
	}
}

// awaitEnd ends the session when the phone does (protocol.md 7.5).
func (q *QRLogin) awaitEnd() {
	for {
		select {
		case event, open := <-q.signal.Events():
			if open && event.Name == "logoutweb" {
				q.login.loggedOut()
				return
			}
			if !open {
				q.awaitXMPPEnd()
				return
			}
		case <-q.ended:
			q.login.loggedOut()
			return
		case <-q.login.ctx.Done():
			return
		}
	}
}

// awaitXMPPEnd is what remains when the signalling server has sent us away for good.
func (q *QRLogin) awaitXMPPEnd() {
	select {
	case <-q.ended:
		q.login.loggedOut()
	case <-q.login.ctx.Done():
	}
}

// Codes delivers the first code and each renewed one; only the newest waits. It is closed when the
// login has ended either way.
func (q *QRLogin) Codes() <-chan *QRCode { return q.codes }

// Wait returns when a phone has scanned a code and the client is connected, or when that cannot
// happen any more. It may be called any number of times.
//
// Errors: those of Connect; 410 ErrQRExpired; 500 ErrClosed after Close; 599 ErrNetwork when the
// signalling server has refused us; 499 or 599 when ctx ends, which does not end the login.
func (q *QRLogin) Wait(ctx context.Context) (Result[Credentials], error) {
	select {
	case <-q.done:
		return q.result, q.err
	case <-ctx.Done():
		e := explain(ctx, "GenerateQRCode", ctx.Err())
		return Result[Credentials]{StatusCode: e.StatusCode, Message: e.Message}, e
	}
}

// Close ends the waiting. It does nothing to a login that has succeeded: Logout ends that. It is
// idempotent and always returns nil.
func (q *QRLogin) Close() error {
	select {
	case <-q.done:
	default:
		q.stopWaiting(errQRClosed)
		<-q.done
	}
	return nil
}
