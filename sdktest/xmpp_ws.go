package sdktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

// wsTransport is RFC 7395: one element per text message.
type wsTransport struct {
	c   *websocket.Conn
	ctx context.Context
}

// serveWebSocket is GET /websocket.
func (r *run) serveWebSocket(w http.ResponseWriter, req *http.Request) {
	switch r.srv.fault(StepUpgrade, subject{}) {
	case FaultSilent:
		<-req.Context().Done()
		panic(http.ErrAbortHandler) // a return would answer 200
	case FaultClose:
		panic(http.ErrAbortHandler)
	case FaultError:
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	case FaultMalformed, FaultHuge:
		_, _ = io.WriteString(w, "<!doctype html><title>Login to the guest network</title>")
		return
	case FaultSlow:
		if c := connOf(req); c != nil {
			c.mode.Store(FaultSlow)
		}
	}
	if !slices.ContainsFunc(req.Header.Values("Sec-WebSocket-Protocol"), offersXMPP) {
		http.Error(w, "WebSocket subprotocol xmpp is required", http.StatusBadRequest)
		return
	}
	// Pages of any origin may connect, as the service's own server allows.
	options := websocket.AcceptOptions{Subprotocols: []string{"xmpp"}, InsecureSkipVerify: true}
	c, err := websocket.Accept(w, req, &options)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	// Above this limit the connection just ends. Between maxStanza and the limit there is a stream
	// error.
	c.SetReadLimit(4 * maxStanza)
	r.serve(&wsTransport{c: c, ctx: r.ctx}, connOf(req))
}

func offersXMPP(header string) bool {
	isXMPP := func(protocol string) bool { return strings.TrimSpace(protocol) == "xmpp" }
	return slices.ContainsFunc(strings.Split(header, ","), isXMPP)
}

func (t *wsTransport) read() (*element, error) {
	kind, raw, err := t.c.Read(t.ctx)
	if err != nil {
		// There was no <close/>, so that the stream has not ended in order, also with io.EOF.
		return nil, errCut
	}
	if kind != websocket.MessageText {
		return nil, &streamError{"bad-format", "not a text frame"}
	}
	if len(raw) > maxStanza {
		return nil, &streamError{"policy-violation", "XML stanza is too big"}
	}
	e, err := parseElement(raw)
	if err != nil {
		return nil, xmlError(err)
	}
	switch {
	case e.is(nsFraming, "close"):
		return nil, io.EOF
	case e.name.Local == "open" && e.name.Space != nsFraming, e.name.Space == nsFraming && e.name.Local != "open":
		return nil, &streamError{"invalid-namespace", ""}
	}
	return e, nil
}

func (t *wsTransport) write(raw string) error {
	ctx, cancel := context.WithTimeout(t.ctx, writeTimeout)
	defer cancel()
	return t.c.Write(ctx, websocket.MessageText, []byte(raw))
}

func (t *wsTransport) header(id, from string) string {
	e := el(nsFraming, "open", "from", from, "id", id, "version", "1.0")
	e.attrs = append(e.attrs, langAttr())
	return e.String()
}

func (t *wsTransport) restart()        {}
func (t *wsTransport) secure() bool    { return true } // there is no HTTP port without TLS
func (t *wsTransport) framed() bool    { return true }
func (t *wsTransport) startTLS() error { return errCut }

func (t *wsTransport) finish() {
	_ = t.write(el(nsFraming, "close").String())
	_ = t.c.Close(websocket.StatusNormalClosure, "")
}

// xmlError is a stream error (RFC 6120 4.9.3) that says what is wrong with the XML.
func xmlError(err error) error {
	switch {
	case errors.Is(err, errRestricted):
		return &streamError{"restricted-xml", err.Error()}
	case errors.Is(err, errDepth):
		return &streamError{"policy-violation", err.Error()}
	case errors.Is(err, errTrailing), errors.Is(err, errAttribute):
		return &streamError{"bad-format", err.Error()}
	}
	return &streamError{"not-well-formed", ""}
}
