package xmpp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mellium.im/sasl"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// The ids of the two requests of the handshake (protocol.md 4.3).
const (
	bindID    = "_bind_auth_2"
	sessionID = "_session_auth_2"
)

// maxEarly is how many stanzas may come before the session is up.
const maxEarly = 64

// handshake takes a connection from its first byte to a bound resource.
type handshake struct {
	cfg      *Config
	conn     frames.Conn
	addr     Address
	pipeline pipeline

	// secure: TLS is in place. answered: the features of a secure stream have come.
	secure, answered bool
	// login is the one that is under way. nil: none.
	login *login

	// jid is what the server bound.
	jid JID
	// earlyFrames are the stanzas that came before the session was up.
	earlyFrames []string
	// management is nil where the server does not offer it. resumed: the stream goes on where the
	// old one broke.
	management *management
	resumed    bool
	// resumeFrame asks for the old stream, from resumeAt on. comesAgain are the stanzas behind that
	// which have come already. out are the messages that were sent over it and are not confirmed.
	resumeFrame          []byte
	resumeAt, comesAgain uint32
	out                  *outbox
	// sessionAsked: the answer to the session request is still to come.
	sessionAsked bool
}

func newHandshake(cfg *Config, conn frames.Conn, addr Address, stepByStep bool) *handshake {
	return &handshake{cfg: cfg, conn: conn, addr: addr, pipeline: pipeline{
		conn: conn, log: cfg.Logger, observer: cfg.Observer, off: stepByStep || !addr.WebSocket(),
		expected: cfg.Memory.pipelines(cfg.Domain),
		hoped:    cfg.ExpectPipelining && !cfg.Memory.disappointed(cfg.Domain),
	}}
}

// streamFeatures is what the server offers (RFC 6120 4.3.2).
type streamFeatures struct {
	startTLS, bind, manage   bool
	session, sessionOptional bool
	// pipelining: it takes what is written ahead.
	pipelining bool
	mechanisms []string
}

func readFeatures(e xmltext.Element) *streamFeatures {
	f := new(streamFeatures)
	for child := range e.Children() {
		switch {
		case child.Is(nsTLS, "starttls"):
			f.startTLS = true
		case child.Is(nsBind, "bind"):
			f.bind = true
		case child.Is(nsSession, "session"):
			f.session = true
			_, f.sessionOptional = child.Child("", "optional")
		case child.Is(nsPipelining, "pipelining"),
			child.Is(nsCaps, "c") && strings.HasPrefix(child.Attr("node"), ejabberd):
			f.pipelining = true
		case child.Is(nsManagement, "sm"):
			f.manage = true
		case child.Is(nsSASL, "mechanisms"):
			for mechanism := range child.Children() {
				if mechanism.Local == "mechanism" {
					f.mechanisms = append(f.mechanisms, mechanism.Text())
				}
			}
		}
	}
	return f
}

// run does the handshake of protocol.md 4.3. secureCtx bounds the part of it up to the features of
// a secure stream, ctx the whole.
func (h *handshake) run(ctx, secureCtx context.Context) error {
	h.secure = h.addr.Secure()
	script, err := h.foresee()
	if err != nil {
		return err
	}
	features, err := h.secureStream(secureCtx, script)
	if err != nil {
		return err
	}
	h.answered = true
	if err := h.pipeline.confirm(features, beforeLogin); err != nil {
		return err
	}
	if !h.pipeline.known() {
		if err := h.cfg.authorize(ctx); err != nil {
			return err
		}
	}
	if err := h.authenticate(ctx, features.mechanisms); err != nil {
		return err
	}
	if features, err = h.openStream(ctx, h.afterHeader()...); err != nil {
		return err
	}
	if err := h.pipeline.confirm(features, afterLogin); err != nil {
		return err
	}
	if features.manage {
		h.management = new(management)
		if h.mayResume() {
			if done, err := h.resume(ctx, h.cfg.Resume); done || err != nil {
				return err
			}
		}
	}
	if err := h.bind(ctx, features); err != nil {
		return err
	}
	return h.requestSession(ctx, features)
}

// foresee begins the login with what the server has taken before, and returns the frames that are
// written with the first header.
func (h *handshake) foresee() (script [][]byte, err error) {
	if !h.pipeline.known() {
		return nil, nil
	}
	mechanism := mechanisms[h.cfg.Memory.strongest(h.cfg.Domain)]
	if err := h.permit(mechanism); err != nil {
		return nil, err
	}
	if h.login, err = h.begin(mechanism); err != nil {
		return nil, err
	}
	script = [][]byte{h.login.first}
	if mechanism.Name == sasl.Plain.Name {
		script = append(script, h.afterLogin()...)
	}
	return script, nil
}

// afterLogin returns what follows the last frame of the login, if it may be written ahead.
func (h *handshake) afterLogin() [][]byte {
	if !h.pipeline.pastLogin() {
		return nil
	}
	request := h.bindRequest()
	if h.mayResume() {
		request = h.resumption()
	}
	return [][]byte{h.conn.Header(h.cfg.Domain), request}
}

// afterHeader returns what follows the header of the second stream. Before a resumption is asked
// for, the server has to say that it manages streams.
func (h *handshake) afterHeader() [][]byte {
	if h.pipeline.off || h.mayResume() {
		return nil
	}
	return [][]byte{h.bindRequest()}
}

// requestSession asks for the session of RFC 3921 wherever it is offered, also where the server
// calls it optional: that is what the service's own clients do.
func (h *handshake) requestSession(ctx context.Context, features *streamFeatures) error {
	switch {
	case features.session && features.sessionOptional:
		// Nothing depends on the answer.
		h.sessionAsked = true
		return h.pipeline.send(sessionRequest())
	case features.session:
		_, err := h.request(ctx, sessionID, "session", sessionRequest())
		return err
	}
	return nil
}

func sessionRequest() []byte {
	return (&iq{id: sessionID, kind: kindSet, payload: empty(nsSession, "session")}).frame()
}

// bindRequest asks for the resource (RFC 6120 7).
func (h *handshake) bindRequest() []byte {
	resource := xmltext.Markup{Name: "resource", Text: h.cfg.Resource}
	bind := xmltext.Markup{Space: nsBind, Name: "bind", Children: []xmltext.Markup{resource}}
	return (&iq{id: bindID, kind: kindSet, payload: bind}).frame()
}

// secureStream opens a stream, with TLS under it unless it may do without. What follows is written
// with its header.
func (h *handshake) secureStream(ctx context.Context, following [][]byte) (*streamFeatures, error) {
	if h.mayStartTLS() {
		if features, err := h.startTLS(ctx); features != nil || err != nil {
			return features, err
		}
	}
	return h.openStream(ctx, following...)
}

// mayStartTLS reports whether TLS comes after the first features.
func (h *handshake) mayStartTLS() bool { return !h.addr.WebSocket() && !h.addr.Secure() }

// startTLS puts TLS under the connection. It returns the features of the stream instead where the
// server offers none, and that is permitted.
func (h *handshake) startTLS(ctx context.Context) (*streamFeatures, error) {
	features, err := h.openStream(ctx)
	if err != nil {
		return nil, err
	}
	switch {
	case features.startTLS:
	case !h.cfg.AllowInsecure:
		return nil, fmt.Errorf("%w: server offers no STARTTLS", ErrInsecure)
	case h.cfg.Memory.hasTLS(h.cfg.Domain):
		return nil, fmt.Errorf("STARTTLS is missing: %w", errDowngrade)
	default:
		return features, nil
	}
	if err := h.pipeline.send(empty(nsTLS, "starttls").Bytes()); err != nil {
		return nil, err
	}
	st, err := h.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("STARTTLS: %w", err)
	}
	if !st.Is(nsTLS, "proceed") {
		return nil, errors.New("STARTTLS refused by the server")
	}
	if err := h.conn.StartTLS(ctx); err != nil {
		return nil, err
	}
	h.secure = true
	h.cfg.Memory.sawTLS(h.cfg.Domain)
	return nil, nil
}

// unproven reports whether what comes now may be from anybody on the way: TLS is still to come, and
// is demanded.
func (h *handshake) unproven() bool {
	return !h.secure && h.mayStartTLS() && (!h.cfg.AllowInsecure || h.cfg.Memory.hasTLS(h.cfg.Domain))
}

// openStream sends our stream header and reads the server's and its features.
func (h *handshake) openStream(ctx context.Context, following ...[]byte) (*streamFeatures, error) {
	if err := h.pipeline.send(h.conn.Header(h.cfg.Domain), following...); err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	st, err := h.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	if !st.Is(nsFraming, "open") || st.Attr("version") != "1.0" {
		return nil, errors.New("stream open: not an XMPP 1.0 stream")
	}
	if st, err = h.next(ctx); err != nil {
		return nil, fmt.Errorf("stream features: %w", err)
	}
	if !st.Is(nsStream, "features") {
		return nil, fmt.Errorf("stream features: got <%s> instead", clip(st.Local))
	}
	return readFeatures(st.Element), nil
}

// bind gets the resource.
func (h *handshake) bind(ctx context.Context, features *streamFeatures) error {
	if !features.bind {
		return &AuthError{Step: "bind", Err: errors.New("server offers no resource binding")}
	}
	reply, err := h.request(ctx, bindID, "bind", h.bindRequest())
	if err != nil {
		return err
	}
	bound, _ := reply.Child(nsBind, "bind")
	full, _ := bound.Child("", "jid")
	// A clone, not to hold the frame.
	jid, err := ParseJID(strings.Clone(full.Text()))
	if err != nil || jid.Local == "" || jid.Resource == "" {
		return &AuthError{Step: "bind", Err: fmt.Errorf("server bound no full JID: %q", clip(full.Text()))}
	}
	h.jid = jid
	return nil
}

// request does one iq set of the handshake. Other stanzas that come meanwhile are kept for the
// session.
func (h *handshake) request(ctx context.Context, id, step string, request []byte) (*stanza, error) {
	if err := h.pipeline.send(request); err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	for {
		frame, st, err := h.nextFrame(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", step, err)
		case st.Local != "iq" || st.id != id || st.kind != kindResult && st.kind != kindError:
			if len(h.earlyFrames) == maxEarly {
				return nil, fmt.Errorf("%s: no answer among %d stanzas", step, maxEarly)
			}
			h.earlyFrames = append(h.earlyFrames, frame)
		case st.kind == kindError:
			e := st.refusal()
			return nil, &AuthError{Step: step, Condition: e.Condition, Text: e.Text, wait: e.Type == "wait"}
		default:
			return st, nil
		}
	}
}

func (h *handshake) next(ctx context.Context) (*stanza, error) {
	_, st, err := h.nextFrame(ctx)
	return st, err
}

// nextFrame reads one element; the end of the stream, in either form, is an error.
func (h *handshake) nextFrame(ctx context.Context) (string, *stanza, error) {
	frame, err := h.conn.ReadFrame(ctx)
	if err != nil {
		return "", nil, err
	}
	noteFrame(h.cfg.Observer, h.cfg.Logger, frameReceived, frame)
	st, err := parse(frame)
	if err != nil {
		return "", nil, err
	}
	switch {
	case st.Is(nsFraming, "close"):
		if uri := st.Attr("see-other-uri"); uri != "" {
			return "", nil, h.believed(&redirect{to: uri})
		}
		return "", nil, errServerClosed
	case st.Is(nsStream, "error"):
		return "", nil, h.believed(streamError(st))
	}
	return frame, st, nil
}

// believed returns the error with which the server has ended the stream. Of one from before TLS
// only the text is kept (RFC 6120 5.4.3.3): a redirect is not followed, and nothing about the
// account follows from it.
func (h *handshake) believed(err error) error {
	var elsewhere *redirect
	switch {
	case !h.unproven():
		return err
	case errors.As(err, &elsewhere):
		return errors.New("sent elsewhere before TLS: refused")
	}
	return fmt.Errorf("before TLS: %v", err)
}
