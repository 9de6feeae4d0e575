package xmpp

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The ids of the two requests of the handshake (protocol.md 4.3).
const (
	bindID    = "_bind_auth_2"
	sessionID = "_session_auth_2"
)

// maxEarly is how many stanzas may come before the session is up.
const maxEarly = 64

// negotiation takes a connection from its first byte to a bound resource.
type negotiation struct {
	cfg  *Config
	f    framer
	addr Address

	authorized bool // Config.Authorize was asked

	secure bool   // TLS is in place
	login  *login // nil: not begun

	stepwise      bool     // nothing is written ahead, whatever the server says
	mayWriteAhead bool     // the server says that it takes it
	hasty         bool     // it was done
	foreseen      [][]byte // what goes out with the first header
	ahead         [][]byte // what was written before its turn

	jid   JID      // what the server bound
	early []string // stanzas that came before their time

	management *management // nil: not offered
	resumed    bool        // the stream goes on where the old one broke
	unheard    bool        // the answer to the session request is still to come
}

// streamFeatures is what the server offers (RFC 6120 4.3.2).
type streamFeatures struct {
	startTLS, bind, manage   bool
	session, sessionOptional bool
	ahead                    bool // it says that it takes what is written ahead
	numbered                 bool // it looks as if it did: the id of the stream is a number
	mechanisms               []string
}

func readFeatures(e element) *streamFeatures {
	f := new(streamFeatures)
	for child := range e.children() {
		switch {
		case child.is(nsTLS, "starttls"):
			f.startTLS = true
		case child.is(nsBind, "bind"):
			f.bind = true
		case child.is(nsSession, "session"):
			f.session = true
			_, f.sessionOptional = child.child("", "optional")
		case child.is(nsPipelining, "pipelining"), child.is(nsCaps, "c") && strings.HasPrefix(child.attr("node"), ejabberd):
			f.ahead = true
		case child.is(nsManagement, "sm"):
			f.manage = true
		case child.is(nsSASL, "mechanisms"):
			for mechanism := range child.children() {
				if mechanism.local == "mechanism" {
					f.mechanisms = append(f.mechanisms, mechanism.text())
				}
			}
		}
	}
	return f
}

// run does the handshake of protocol.md 4.3. early bounds the part of it up to
// the features of a secure stream, ctx the whole.
func (n *negotiation) run(ctx, early context.Context) error {
	n.secure = n.addr.Scheme == schemeWSS || n.addr.Scheme == schemeXMPPS
	if err := n.foresee(); err != nil {
		return err
	}
	features, err := n.secureStream(early)
	if err != nil {
		return err
	}
	said := features.ahead
	if n.mayWriteAhead = (said || features.numbered) && n.addr.webSocket() && !n.stepwise; n.hasty && !n.mayWriteAhead {
		return errSurprise
	}
	if err := n.authorize(ctx); err != nil {
		return err
	}
	if err := n.authenticate(ctx, features.mechanisms); err != nil {
		return err
	}
	if features, err = n.openStream(ctx); err != nil {
		return err
	}
	if n.hasty && !said && !features.ahead {
		return n.unconfirmed()
	}
	if features.manage {
		n.management = new(management)
		if n.mayResume() {
			if done, err := n.resume(ctx, n.cfg.Resume); done || err != nil {
				return err
			}
		}
	}
	if err := n.bind(ctx, features); err != nil {
		return err
	}
	// Sent whenever it is offered, also where the server calls it optional:
	// that is what the service's own clients do.
	switch {
	case features.session && features.sessionOptional:
		n.unheard = true // nothing depends on the answer
		return n.send(ctx, sessionRequest())
	case features.session:
		_, err = n.request(ctx, sessionID, "session", sessionRequest())
		return err
	}
	return nil
}

// authorize waits until the login may begin.
func (n *negotiation) authorize(ctx context.Context) error {
	if n.authorized || n.cfg.Authorize == nil {
		return nil
	}
	n.authorized = true
	return n.cfg.Authorize(ctx)
}

func sessionRequest() []byte {
	return (&iq{id: sessionID, kind: kindSet, payload: empty(nsSession, "session")}).frame()
}

// bindRequest asks for the resource (RFC 6120 7).
func (n *negotiation) bindRequest() []byte {
	resource := markup{space: nsBind, name: "bind", children: []markup{{name: "resource", text: n.cfg.Resource}}}
	return (&iq{id: bindID, kind: kindSet, payload: resource}).frame()
}

// secureStream opens a stream, with TLS under it unless it may do without.
func (n *negotiation) secureStream(ctx context.Context) (*streamFeatures, error) {
	if n.addr.Scheme == schemeXMPP {
		if features, err := n.startTLS(ctx); features != nil || err != nil {
			return features, err
		}
	}
	return n.openStream(ctx, n.foreseen...)
}

// startTLS puts TLS under the connection. It returns the features of the stream instead where the server offers none, and that
// is permitted.
func (n *negotiation) startTLS(ctx context.Context) (*streamFeatures, error) {
	features, err := n.openStream(ctx)
	if err != nil {
		return nil, err
	}
	t, ok := n.f.(*tcpFramer)
	switch missing := !ok || !features.startTLS; {
	case missing && !n.cfg.AllowInsecure:
		return nil, fmt.Errorf("%w: server offers no STARTTLS", ErrInsecure)
	case missing && n.cfg.Memory.hasTLS(n.cfg.Domain):
		return nil, fmt.Errorf("STARTTLS is missing: %w", errDowngrade)
	case missing:
		return features, nil
	}
	if err := n.send(ctx, empty(nsTLS, "starttls").frame()); err != nil {
		return nil, err
	}
	st, err := n.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("STARTTLS: %w", err)
	}
	if !st.is(nsTLS, "proceed") {
		return nil, errors.New("STARTTLS refused by the server")
	}
	if err := t.startTLS(ctx, n.cfg); err != nil {
		return nil, err
	}
	n.secure = true
	n.cfg.Memory.sawTLS(n.cfg.Domain)
	return nil, nil
}

// unproven reports whether anybody on the way may say what comes now: TLS is still to come, and is demanded.
func (n *negotiation) unproven() bool {
	return !n.secure && n.addr.Scheme == schemeXMPP && (!n.cfg.AllowInsecure || n.cfg.Memory.hasTLS(n.cfg.Domain))
}

// openStream sends our stream header and reads the server's and its features.
func (n *negotiation) openStream(ctx context.Context, following ...[]byte) (*streamFeatures, error) {
	if err := n.send(ctx, n.f.Header(n.cfg.Domain), following...); err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	st, err := n.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	if !st.is(nsFraming, "open") || st.attr("version") != "1.0" {
		return nil, errors.New("stream open: not an XMPP 1.0 stream")
	}
	numbered := isNumber(st.attr("id"))
	if st, err = n.next(ctx); err != nil {
		return nil, fmt.Errorf("stream features: %w", err)
	}
	if !st.is(nsStream, "features") {
		return nil, fmt.Errorf("stream features: got <%s> instead", clip(st.local))
	}
	features := readFeatures(st.element)
	features.numbered = numbered
	return features, nil
}

// bind gets the resource.
func (n *negotiation) bind(ctx context.Context, features *streamFeatures) error {
	if !features.bind {
		return &AuthError{Step: "bind", Err: errors.New("server offers no resource binding")}
	}
	reply, err := n.request(ctx, bindID, "bind", n.bindRequest())
	if err != nil {
		return err
	}
	bound, _ := reply.child(nsBind, "bind")
	full, _ := bound.child("", "jid")
	jid, err := ParseJID(strings.Clone(full.text())) // not to hold the frame
	if err != nil || jid.Local == "" || jid.Resource == "" {
		return &AuthError{Step: "bind", Err: fmt.Errorf("server bound no full JID: %q", clip(full.text()))}
	}
	n.jid = jid
	return nil
}

// request does one iq set of the handshake. Other stanzas that come meanwhile
// are kept for the session.
func (n *negotiation) request(ctx context.Context, id, step string, request []byte) (*stanza, error) {
	if err := n.send(ctx, request); err != nil {
		return nil, fmt.Errorf("%s: %w", step, err)
	}
	for {
		frame, st, err := n.nextFrame(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", step, err)
		case st.local != "iq" || st.id != id || st.kind != kindResult && st.kind != kindError:
			if len(n.early) == maxEarly {
				return nil, fmt.Errorf("%s: no answer among %d stanzas", step, maxEarly)
			}
			n.early = append(n.early, frame)
		case st.kind == kindError:
			e := st.refusal()
			return nil, &AuthError{Step: step, Condition: e.Condition, Text: e.Text, wait: e.Type == "wait"}
		default:
			return st, nil
		}
	}
}

func (n *negotiation) next(ctx context.Context) (*stanza, error) {
	_, st, err := n.nextFrame(ctx)
	return st, err
}

// nextFrame reads one element; the end of the stream, in either form, is an error.
func (n *negotiation) nextFrame(ctx context.Context) (string, *stanza, error) {
	frame, err := n.f.ReadFrame(ctx)
	if err != nil {
		return "", nil, err
	}
	logFrame(n.cfg.Logger, "receive", frame)
	st, err := parse(frame)
	if err != nil {
		return "", nil, err
	}
	switch {
	case st.is(nsFraming, "close"):
		if uri := st.attr("see-other-uri"); uri != "" {
			return "", nil, n.believed(&redirect{to: uri})
		}
		return "", nil, errServerClosed
	case st.is(nsStream, "error"):
		return "", nil, n.believed(streamError(st))
	}
	return frame, st, nil
}

// believed is how the server has ended the stream. What was said before TLS is discarded (RFC 6120 5.4.3.3) but for its text:
// neither is a redirect taken, nor does anything about the account follow from it.
func (n *negotiation) believed(err error) error {
	var elsewhere *redirect
	switch {
	case !n.unproven():
		return err
	case errors.As(err, &elsewhere):
		return errors.New("sent elsewhere before TLS: refused")
	}
	return fmt.Errorf("before TLS: %v", err)
}

// streamError reads a stream error. One that only names another host is a redirect.
func streamError(st *stanza) error {
	c := conditionIn(st.element, nsStreams)
	if c.name == "see-other-host" && c.content != "" {
		return &redirect{to: c.content}
	}
	return &StreamError{Condition: c.name, Text: c.text}
}
