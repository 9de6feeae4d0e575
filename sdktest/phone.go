package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Errors of a phone.
var (
	errQRContent = errors.New("this is no QR code of the service, or it is of another licence")
	errQRToken   = errors.New("the QR code is not valid any more")
	errNoWeb     = errors.New("no web session of this user: it begins with Scan")
	errPhoneUser = errors.New("not a user identifier: lowercase letters, digits, - and _")
)

// Phone is the app on a user's phone, as far as QR logins need it. How the real app
// uses the signalling server is not known (protocol.md 7.4); what the web side sees
// of it is as documented.
type Phone struct {
	srv  *Server
	user string
}

// Phone is the phone of a user (id or JID). Scan registers a user who is not registered.
func (s *Server) Phone(user string) *Phone { return &Phone{srv: s, user: localpart(user)} }

// Scan reads the content of a QR code and lets the web side log in. It returns when
// the web side has reported the outcome. A failed login is an error.
func (p *Phone) Scan(ctx context.Context, qrContent string) error {
	if err := p.ensure(ctx); err != nil {
		return fmt.Errorf("sdktest: scan: %w", err)
	}
	a, _ := p.srv.store.view(p.user)
	st, err := p.approve(ctx, qrContent, a.Password, p.user)
	if err == nil && st.StatusCode != http.StatusOK {
		err = fmt.Errorf("web side: %s (%d)", st.Message, st.StatusCode)
	}
	if err != nil {
		return fmt.Errorf("sdktest: scan: %w", err)
	}
	return nil
}

// Reject reads the content of a QR code and refuses it: the web side gets credentials
// that are not valid, which is the only way to refuse in this protocol. It returns
// when the web side has reported its failure.
func (p *Phone) Reject(ctx context.Context, qrContent string) error {
	st, err := p.approve(ctx, qrContent, "rejected", "")
	if err == nil && st.StatusCode == http.StatusOK {
		err = errors.New("the web side logged in nevertheless")
	}
	if err != nil {
		return fmt.Errorf("sdktest: reject: %w", err)
	}
	return nil
}

// LogoutWeb ends the user's QR sessions from the phone: the message logout, and
// the event logoutweb where the signalling connection of the login is still
// there (protocol.md 7.5). It fails when there is no session. When a scan is under
// way, it waits for its session: the web side knows of its login before the phone.
func (p *Phone) LogoutWeb(ctx context.Context) error {
	err := ctx.Err()
	for err == nil {
		tokens, scan := p.endWeb()
		if len(tokens) > 0 {
			p.srv.hub.tell(p.user, el("", "logout", "socket_id", strings.Join(tokens, ",")))
			return nil
		}
		if scan == nil {
			err = errNoWeb
			break
		}
		select {
		case <-scan:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return fmt.Errorf("sdktest: logout web: %w", err)
}

// endWeb ends the present sessions and returns their tokens. scan is closed when a
// scan that is under way has ended; nil: there is none.
func (p *Phone) endWeb() (tokens []string, scan <-chan struct{}) {
	h := p.srv.signal
	h.mu.Lock()
	defer h.mu.Unlock()
	tokens, web := h.endLoginsLocked(p.user, func(string) bool { return true })
	for _, k := range web {
		h.emitLocked(k, "logoutweb")
	}
	for _, to := range h.waiting {
		if to.user == p.user && !to.ended {
			scan = to.settled
		}
	}
	return tokens, scan
}

// ensure registers the phone's user.
func (p *Phone) ensure(ctx context.Context) error {
	if p.srv.store.exists(p.user) {
		return nil
	}
	b := registerBody{
		DeviceType: "android", DeviceID: randomHex(8), UserIdentifier: p.user, LicenseKey: p.srv.opts.LicenseKey,
	}
	if _, valid := b.validate(p.srv.opts.LicenseKey); !valid {
		return errPhoneUser
	}
	if r := p.srv.register(ctx, p.srv.httpAddr(), b); r.Status != http.StatusOK {
		return errors.New(r.Message)
	}
	return p.srv.commit()
}

// approve sends credentials to the web side and waits for its loginStatus. If that
// reports success, and owner is not empty, owner has a session then.
func (p *Phone) approve(ctx context.Context, content, password, owner string) (signalStatus, error) {
	h := p.srv.signal
	key := seal.Triple(p.srv.opts.LicenseKey)
	plain, err := seal.OpenStrict(content, key, seal.ConstIV)
	var code struct{ Token, Browser, Platform string }
	if err != nil || json.Unmarshal([]byte(plain), &code) != nil || code.Token == "" {
		return signalStatus{}, errQRContent
	}
	phoneID := randomHex(10)
	answer, err := json.Marshal(map[string]string{"username": p.user, "password": password, "socketId": phoneID})
	if err != nil {
		return signalStatus{}, err
	}
	to := &waiter{user: owner, token: code.Token, got: make(chan signalStatus, 1), settled: make(chan struct{})}
	h.mu.Lock()
	web := h.byTokenLocked(code.Token)
	if web != nil {
		to.web = web
		h.waiting[phoneID] = to
		h.emitLocked(web, "response", map[string]string{"id": seal.Seal(string(answer), key, seal.ConstIV)})
	}
	h.mu.Unlock()
	if web == nil {
		return signalStatus{}, errQRToken
	}
	defer h.forget(phoneID)
	select {
	case st := <-to.got:
		return st, nil
	case <-web.done:
		select {
		case st := <-to.got: // it has reported before it went
			return st, nil
		default:
			return signalStatus{}, errors.New("the web side has gone")
		}
	case <-ctx.Done():
		return signalStatus{}, ctx.Err()
	}
}

// byTokenLocked finds the client that shows a code and is not logged in. h.mu must be held.
func (h *signalHub) byTokenLocked(token string) *socket {
	for _, k := range h.sockets {
		if k.token == token && k.user == "" {
			return k
		}
	}
	return nil
}

func (h *signalHub) forget(phoneID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settleLocked(phoneID)
}

// settleLocked ends the waiting of a phone. h.mu must be held.
func (h *signalHub) settleLocked(phoneID string) {
	if to := h.waiting[phoneID]; to != nil {
		delete(h.waiting, phoneID)
		close(to.settled)
	}
}

// tell sends a message from the service to one user.
func (h *hub) tell(user string, child *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notifyLocked(user, child)
}

// scanRequest is POST /_test/qr/scan: the phone for tools in other languages.
func (s *Server) scanRequest(w http.ResponseWriter, req *http.Request) {
	var b struct {
		UserIdentifier string `json:"userIdentifier"`
		Text           string `json:"text"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody)).Decode(&b); err != nil {
		writeReply(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "Request body is not JSON"))
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), handshakeTimeout)
	defer cancel()
	if err := s.Phone(b.UserIdentifier).Scan(ctx, b.Text); err != nil {
		writeReply(w, http.StatusBadRequest, refuse(http.StatusBadRequest, err.Error()))
		return
	}
	writeReply(w, http.StatusOK, ok(nil))
}
