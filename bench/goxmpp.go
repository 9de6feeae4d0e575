package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/xmppo/go-xmpp"
)

// goXMPP is a client of github.com/xmppo/go-xmpp. It has no requests: a caller who wants
// an answer has to look at everything that comes.
type goXMPP struct {
	*xmpp.Client
	bare string
	talk talk
	last atomic.Int64

	// ended is closed when receive has ended.
	ended chan struct{}

	mu sync.Mutex
	// waiting is by the id of the request; nil once the connection has ended.
	waiting map[string]chan xmpp.IQ
}

func dialGoXMPP(_ context.Context, at *place, who account) (session, error) {
	options := xmpp.Options{
		Host: at.address(), User: at.jid(who), Password: who.Password, Resource: "bench", Mechanism: "PLAIN",
		NoTLS: at.transport == overTCP, InsecureAllowUnencryptedAuth: at.transport == overTCP, TLSConfig: at.tlsFor(),
	}
	client, err := options.NewClient()
	if err != nil {
		return nil, err
	}
	g := &goXMPP{
		Client: client, bare: at.jid(who), talk: at.talk, ended: make(chan struct{}),
		waiting: make(map[string]chan xmpp.IQ),
	}
	// Close owns it. It ends with the connection.
	go g.receive()
	return g, nil
}

func (g *goXMPP) receive() {
	defer close(g.ended)
	for {
		v, err := g.Recv()
		if err != nil {
			break
		}
		switch v := v.(type) {
		case xmpp.IQ:
			if w := g.take(v.ID); w != nil {
				w <- v
			}
		case xmpp.Chat:
			err = g.hear(v)
		}
		if err != nil {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.waiting {
		close(w)
	}
	g.waiting = nil
}

// Close lets the server end the stream first: the client's own Close must not run beside Recv.
func (g *goXMPP) Close() error {
	if _, err := g.SendOrg("</stream:stream>"); err != nil {
		return err
	}
	<-g.ended
	// It only reports that the stream has ended.
	_ = g.Client.Close()
	return nil
}

func (g *goXMPP) take(id string) chan xmpp.IQ {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.waiting[id]
	delete(g.waiting, id)
	return w
}

func (g *goXMPP) wait(id string) (chan xmpp.IQ, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting == nil {
		return nil, errors.New("go-xmpp: connection lost")
	}
	w := make(chan xmpp.IQ, 1)
	g.waiting[id] = w
	return w, nil
}

func (g *goXMPP) Ask(ctx context.Context) error {
	iq, err := g.request(ctx, g.bare, `<query xmlns="jabber:iq:last"/>`)
	if err != nil {
		return err
	}
	// The payload comes as bytes that are not well-formed XML, so this search is all that can be
	// done with it.
	_, seconds, found := bytes.Cut(iq.Query, []byte(`seconds="`))
	if iq.Type != xmpp.IQTypeResult || !found || len(seconds) == 0 {
		return fmt.Errorf("go-xmpp: answered %s %q", iq.Type, iq.Query)
	}
	return nil
}

func (g *goXMPP) request(ctx context.Context, to, payload string) (xmpp.IQ, error) {
	id := strconv.FormatInt(g.last.Add(1), 36)
	w, err := g.wait(id)
	if err != nil {
		return xmpp.IQ{}, err
	}
	if _, err := g.RawInformation(g.JID(), to, id, xmpp.IQTypeGet, payload); err != nil {
		return xmpp.IQ{}, err
	}
	select {
	case iq, alive := <-w:
		if !alive {
			return xmpp.IQ{}, errors.New("go-xmpp: connection lost")
		}
		return iq, nil
	case <-ctx.Done():
		g.take(id)
		return xmpp.IQ{}, ctx.Err()
	}
}

// Say has the server answer a ping behind the message: it handles a stream in its order (RFC 6120
// 10.1).
func (g *goXMPP) Say(ctx context.Context) error {
	if _, _, err := g.Send(xmpp.Chat{Remote: g.talk.with, Type: "chat", Text: text}); err != nil {
		return err
	}
	_, domain, _ := strings.Cut(g.bare, "@")
	_, err := g.request(ctx, domain, `<ping xmlns="urn:xmpp:ping"/>`)
	return err
}

func (g *goXMPP) hear(m xmpp.Chat) error {
	if m.Text == "" || g.talk.heard == nil {
		return nil
	}
	if g.talk.echo {
		if _, _, err := g.Send(xmpp.Chat{Remote: g.talk.with, Type: "chat", Text: m.Text}); err != nil {
			return err
		}
	}
	_, err := g.SendOrg(receipt(g.talk.with, m.ID))
	g.talk.heard()
	return err
}
