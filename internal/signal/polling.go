package signal

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

// idlePause comes after an answer without messages. A server, or a cache before it, may give such
// answers at once, which must not keep us busy.
const idlePause = 100 * time.Millisecond

// polling is the transport that receives packets by a GET, which waits for them, and sends by POST.
type polling struct {
	d       *dialer
	hs      handshake
	cookies []*http.Cookie
	// pending are packets of the last answer. Only read uses it.
	pending []string
	// idle: the last answer had no messages. Only read uses it.
	idle bool
	// posting has an element during a POST: the server accepts one at a time.
	posting chan struct{}
	// ctx ends with close.
	ctx    context.Context
	cancel context.CancelFunc
}

// dialPolling connects and reads the open packet.
func (d *dialer) dialPolling(ctx context.Context, protocol int) (*polling, handshake, error) {
	p := &polling{d: d, hs: handshake{protocol: protocol}, posting: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	packet, err := p.read(ctx, func() {})
	if err != nil {
		p.close()
		return nil, handshake{}, err
	}
	hs, err := parseOpen(packet)
	if err != nil {
		p.close()
		return nil, handshake{}, err
	}
	hs.protocol = protocol
	p.hs = hs
	return p, hs, nil
}

func (p *polling) read(ctx context.Context, heard func()) (string, error) {
	for len(p.pending) == 0 {
		if err := p.pause(ctx); err != nil {
			return "", err
		}
		body, err := p.request(ctx, http.MethodGet, "", heard)
		if err != nil {
			return "", err
		}
		packets, err := decodePayload(p.hs.protocol, body)
		if err != nil {
			return "", err
		}
		// The handshake may come alone.
		p.idle = p.hs.sid != ""
		for _, packet := range packets {
			if packet == "" || packet[0] == eioBinary {
				continue
			}
			p.pending = append(p.pending, packet)
			p.idle = p.idle && packet[0] != eioMessage
		}
	}
	packet := p.pending[0]
	p.pending = p.pending[1:]
	return packet, nil
}

// pause waits when the last answer was idle.
func (p *polling) pause(ctx context.Context) error {
	if !p.idle {
		return nil
	}
	select {
	case <-time.After(idlePause):
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *polling) write(ctx context.Context, packets ...string) error {
	select {
	case p.posting <- struct{}{}:
		defer func() { <-p.posting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := p.request(ctx, http.MethodPost, encodePayload(p.hs.protocol, packets), func() {})
	return err
}

func (p *polling) close() { p.cancel() }

// request returns the body of the server's answer.
func (p *polling) request(ctx context.Context, method, body string, heard func()) (string, error) {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	answer, err := p.do(within, method, body, heard)
	if err != nil && p.ctx.Err() != nil && ctx.Err() == nil {
		// The caller's context has not ended: close has ended the request.
		return "", net.ErrClosed
	}
	return answer, err
}

func (p *polling) do(ctx context.Context, method, body string, heard func()) (string, error) {
	req, err := http.NewRequestWithContext(
		ctx, method, p.d.url(p.hs.protocol, "polling", p.hs.sid), strings.NewReader(body),
	)
	if err != nil {
		return "", httpguard.WithoutURL(err)
	}
	req.Header = p.d.header(p.cookies)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	resp, err := p.d.client.Do(req)
	if err != nil {
		return "", httpguard.WithoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", statusError(resp)
	}
	if p.hs.sid == "" {
		p.cookies = resp.Cookies()
	}
	return readBody(hearing{resp.Body, heard}, maxBody)
}

// statusError is the error for an answer other than 200. It may be errProtocol.
func statusError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	var answer struct {
		Code int `json:"code"`
	}
	// This is "Unsupported protocol version" in Engine.IO 4. Other servers say so in words.
	const unsupported = 5
	known := json.Unmarshal(body, &answer) == nil && answer.Code == unsupported
	if resp.StatusCode == http.StatusBadRequest &&
		(known || strings.Contains(strings.ToLower(string(body)), "unsupported")) {
		return errProtocol
	}
	return fmt.Errorf("server answered %d", resp.StatusCode)
}
