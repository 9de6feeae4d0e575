package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/body"
	"github.com/mirrorfly-go/sdk/internal/rest"
)

// talk is what a session does with messages. The zero talk: nothing.
type talk struct {
	// with is the bare JID of the other user.
	with string
	// iv is that of the service: bodies that were prepared beforehand are sealed with it.
	iv string
	// echo: what comes is answered by the same text.
	echo bool
	// heard is called for each text that has come: it is answered by then, and the receipt is sent,
	// or about to be. nil: none comes.
	heard func()
}

// text is what every message says.
const text = "The train at 17:40 is late by ten minutes; we meet at the north exit, by the clock, as the last time."

// prepared is how many messages are prepared. They are sent over and over: package sdk remembers
// the last 1,024, and takes the same again for new after that.
const prepared = 2048

func messageID(i int) string { return fmt.Sprintf("5f0c2a9e-6b1d-4f7a-8e35-%012d", i) }

// prepareMessages returns messages as package sdk sends them (protocol.md 14.2).
func prepareMessages(n int, to, iv string) ([][]byte, error) {
	frames := make([][]byte, n)
	for i := range frames {
		id := messageID(i)
		sealed, err := body.Body{Text: text, Type: "text"}.Seal(id, iv)
		if err != nil {
			return nil, err
		}
		frames[i] = fmt.Appendf(nil, `<message xmlns="jabber:client" id="%s" to="%s" type="chat">`+
			`<chatcontent xmlns="urn:xmpp:content" edit_msg_id="%[1]s" message_type="text" meta_data="{}" `+
			`broadcast_id=""></chatcontent><body message_type="text">%[3]s</body></message>`, id, to, sealed)
	}
	return frames, nil
}

// receipt tells the sender of a message that it has come (protocol.md 14.4).
func receipt(to, id string) string {
	return fmt.Sprintf(`<message xmlns="jabber:client" id="r-%s" to="%s" type="chat">`+
		`<delivered xmlns="urn:xmpp:receipts" id="%[1]s" group_id=""></delivered></message>`, id, to)
}

// chatIV asks the service for the IV of chats.
func (s service) chatIV(ctx context.Context) (string, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.Roots))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	var client rest.Client
	client.Init(rest.Config{
		LicenseKey: s.LicenseKey, BaseURL: s.APIBaseURL, Trial: true, HTTPClient: &http.Client{Transport: transport},
	})
	defer client.Close()
	found, err := client.Register(ctx, rest.Registration{UserIdentifier: "bench-iv", DeviceID: "bench", Force: true})
	if err != nil {
		return "", err
	}
	return found.Service.IV, nil
}

// saying is a session whose requests are texts.
type saying struct{ talker }

func (s saying) Ask(ctx context.Context) error { return s.Say(ctx) }

// askBySaying returns a session that says something where s would ask. The limit does so by itself.
func askBySaying(s session) (session, error) {
	if _, is := s.(*limit); is {
		return s, nil
	}
	t, is := s.(talker)
	if !is {
		return nil, errors.New("it sends no messages")
	}
	return saying{t}, nil
}

// ear counts the messages that come.
type ear struct {
	left atomic.Int64
	// all has an element when none is left.
	all chan struct{}
}

func newEar() *ear { return &ear{all: make(chan struct{}, 1)} }

func (e *ear) heard() {
	if e.left.Add(-1) == 0 {
		e.all <- struct{}{}
	}
}

// measure tells that the messages of a turn may come, and measures what they cost.
func (e *ear) measure(ctx context.Context, t turn, tell func(requestsResult) error) (r requestsResult, err error) {
	e.left.Store(int64(t.Calls))
	runtime.GC()
	before := used()
	if err := tell(r); err != nil {
		return r, err
	}
	select {
	case <-e.all:
		return before.each(t.Calls), nil
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
}

// messages is a scenario in which each peer has another user to talk to. mark is once in all that
// this one has to count.
func (b *bench) messages(name, mark string, inFlight int, hears, echo bool) scenario {
	return scenario{
		name: name, servers: []string{"ejabberd"}, without: []string{"ejabberd wss", "ejabberd tls"},
		accounts: 2 * len(peers()), ping: never,
		play: func(ctx context.Context, st *stage) error {
			iv, err := st.chatIV(ctx)
			if err != nil {
				return err
			}
			return b.takeTurns(ctx, st, []int{inFlight}, func(j requestsJob, other account) (*runner, error) {
				j.IV, j.Hears, j.Echo = iv, hears, echo
				return connectBoth(ctx, j, other, mark)
			})
		},
	}
}

func connectBoth(ctx context.Context, j requestsJob, other account, mark string) (*runner, error) {
	jid := func(who account) string { return who.Username + "@" + j.Service.Domain }
	j.With = jid(other)
	l, err := dialFar(ctx, j.Service, other, mark, jid(j.Account), j.IV)
	if err != nil {
		return nil, err
	}
	r, err := connect(ctx, j)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	r.far = l
	return r, nil
}

// turn has the worker take a turn, and does beside what belongs to it.
func (r *runner) turn(t turn, beside func() error) (result requestsResult, err error) {
	if err := r.worker.in.Encode(t); err != nil {
		return result, err
	}
	return r.await(beside)
}

// hear has far send the messages of a turn, and waits until all are answered.
func (r *runner) hear(t turn) (result requestsResult, err error) {
	if err := r.worker.in.Encode(t); err != nil {
		return result, err
	}
	if err := r.worker.answer(&result); err != nil { // they may come now
		return result, err
	}
	return r.await(func() error { return r.far.askMany(t.Calls, t.InFlight) })
}

// await waits for the answer of the worker, and for what is done beside.
func (r *runner) await(beside func() error) (result requestsResult, err error) {
	done := make(chan error, 1)
	// It ends at the latest with the connection of far.
	go func() {
		err := beside()
		if err != nil {
			_ = r.worker.stdin.Close() // else the worker waits in vain
		}
		done <- err
	}()
	if err := r.worker.answer(&result); err != nil {
		return result, err
	}
	select {
	case err := <-done:
		return result, err
	case <-time.After(patience):
		return result, errors.New("the other user waits in vain")
	}
}
