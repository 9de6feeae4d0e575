package xmpp

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
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

	secure bool     // TLS is in place
	jid    JID      // what the server bound
	early  [][]byte // stanzas that came before their time

	management *management // nil: not offered
	resumed    bool        // the stream goes on where the old one broke
}

// streamFeatures is what the server offers (RFC 6120 4.3.2).
type streamFeatures struct {
	StartTLS   *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-tls starttls"`
	Mechanisms struct {
		Names []string `xml:"mechanism"`
	} `xml:"urn:ietf:params:xml:ns:xmpp-sasl mechanisms"`
	Bind    *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-bind bind"`
	Session *struct{} `xml:"urn:ietf:params:xml:ns:xmpp-session session"`
	Manage  *struct{} `xml:"urn:xmpp:sm:3 sm"`
}

// run does the handshake of protocol.md 4.3. early bounds the part of it up to
// the features of a secure stream, ctx the whole.
func (n *negotiation) run(ctx, early context.Context) error {
	features, err := n.secureStream(early)
	if err != nil {
		return err
	}
	if err := n.authenticate(ctx, features.Mechanisms.Names); err != nil {
		return err
	}
	if features, err = n.openStream(ctx); err != nil {
		return err
	}
	if features.Manage != nil {
		n.management = new(management)
		if r := n.cfg.Resume; r != nil {
			if done, err := n.resume(ctx, r); done || err != nil {
				return err
			}
		}
	}
	if err := n.bind(ctx, features); err != nil {
		return err
	}
	// Sent whenever it is offered, also where the server calls it optional:
	// that is what the service's own clients do.
	if features.Session != nil {
		return n.request(ctx, sessionID, "session", empty(nsSession, "session"), nil)
	}
	return nil
}

// secureStream opens a stream and puts TLS under it where that is still to do.
func (n *negotiation) secureStream(ctx context.Context) (*streamFeatures, error) {
	n.secure = n.addr.Scheme == schemeWSS || n.addr.Scheme == schemeXMPPS
	features, err := n.openStream(ctx)
	if err != nil || n.addr.Scheme != schemeXMPP {
		return features, err
	}
	t, ok := n.f.(*tcpFramer)
	if !ok || features.StartTLS == nil {
		if n.cfg.Memory.hasTLS(n.cfg.Domain) {
			return nil, fmt.Errorf("STARTTLS is missing: %w", errDowngrade)
		}
		if n.cfg.AllowInsecure {
			return features, nil
		}
		return nil, fmt.Errorf("%w: server offers no STARTTLS", ErrInsecure)
	}
	if err := n.send(ctx, empty(nsTLS, "starttls")); err != nil {
		return nil, err
	}
	st, err := n.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("STARTTLS: %w", err)
	}
	if !st.is(nsTLS, "proceed") {
		return nil, errors.New("STARTTLS refused by the server")
	}
	if err := st.skip(); err != nil {
		return nil, err
	}
	if err := t.startTLS(ctx, n.cfg); err != nil {
		return nil, err
	}
	n.secure = true
	n.cfg.Memory.sawTLS(n.cfg.Domain)
	return n.openStream(ctx)
}

// openStream sends our stream header and reads the server's and its features.
func (n *negotiation) openStream(ctx context.Context) (*streamFeatures, error) {
	if err := n.f.Open(ctx, n.cfg.Domain); err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	st, err := n.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("stream open: %w", err)
	}
	if !st.is(nsFraming, "open") || attr(st.root, "version") != "1.0" {
		return nil, errors.New("stream open: not an XMPP 1.0 stream")
	}
	if err := st.skip(); err != nil {
		return nil, err
	}
	if st, err = n.next(ctx); err != nil {
		return nil, fmt.Errorf("stream features: %w", err)
	}
	if !st.is(nsStream, "features") {
		return nil, fmt.Errorf("stream features: got <%s> instead", clip(st.root.Name.Local))
	}
	features := new(streamFeatures)
	return features, st.decode(features)
}

// bind asks for the resource (RFC 6120 7).
func (n *negotiation) bind(ctx context.Context, features *streamFeatures) error {
	if features.Bind == nil {
		return &AuthError{Step: "bind", Err: errors.New("server offers no resource binding")}
	}
	type bind struct {
		XMLName  xml.Name `xml:"urn:ietf:params:xml:ns:xmpp-bind bind"`
		Resource string   `xml:"resource"`
	}
	var reply struct {
		Bind struct {
			JID string `xml:"jid"`
		} `xml:"urn:ietf:params:xml:ns:xmpp-bind bind"`
	}
	if err := n.request(ctx, bindID, "bind", bind{Resource: n.cfg.Resource}, &reply); err != nil {
		return err
	}
	jid, err := ParseJID(reply.Bind.JID)
	if err != nil || jid.Local == "" || jid.Resource == "" {
		return &AuthError{Step: "bind", Err: fmt.Errorf("server bound no full JID: %q", clip(reply.Bind.JID))}
	}
	n.jid = jid
	return nil
}

// request does one iq set of the handshake. Other stanzas that come meanwhile
// are kept for the session.
func (n *negotiation) request(ctx context.Context, id, step string, payload, out any) error {
	if err := n.send(ctx, &iq{ID: id, Type: kindSet, Payload: payload}); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	for {
		frame, st, err := n.nextFrame(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", step, err)
		case st.root.Name.Local != "iq" || st.id != id || st.kind != kindResult && st.kind != kindError:
			if len(n.early) == maxEarly {
				return fmt.Errorf("%s: no answer among %d stanzas", step, maxEarly)
			}
			n.early = append(n.early, bytes.Clone(frame))
		case st.kind == kindError:
			var refused struct {
				Error condition `xml:"error"`
			}
			if err := st.decode(&refused); err != nil {
				return err
			}
			e := refused.Error.stanzaError()
			return &AuthError{Step: step, Condition: e.Condition, Text: e.Text, wait: e.Type == "wait"}
		case out == nil:
			return st.skip()
		default:
			return st.decode(out)
		}
	}
}

func (n *negotiation) send(ctx context.Context, v any) error {
	frame, err := encode(v)
	if err != nil {
		return err
	}
	logFrame(n.cfg.Logger, "send", frame)
	return n.f.WriteFrame(ctx, frame)
}

func (n *negotiation) next(ctx context.Context) (*stanza, error) {
	_, st, err := n.nextFrame(ctx)
	return st, err
}

// nextFrame reads one element; the end of the stream, in either form, is an error.
func (n *negotiation) nextFrame(ctx context.Context) ([]byte, *stanza, error) {
	frame, err := n.f.ReadFrame(ctx)
	if err != nil {
		return nil, nil, err
	}
	logFrame(n.cfg.Logger, "receive", frame)
	st, err := parse(frame)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case st.is(nsFraming, "close"):
		if uri := attr(st.root, "see-other-uri"); uri != "" {
			return nil, nil, &redirect{to: uri}
		}
		return nil, nil, errServerClosed
	case st.is(nsStream, "error"):
		return nil, nil, streamError(st)
	}
	return frame, st, nil
}

// streamError reads a stream error. One that only names another host is a redirect.
func streamError(st *stanza) error {
	var c condition
	if err := st.decode(&c); err != nil {
		return err
	}
	name, content := c.in(nsStreams)
	if name == "see-other-host" && content != "" {
		return &redirect{to: content}
	}
	return &StreamError{Condition: name, Text: clip(c.Text)}
}
