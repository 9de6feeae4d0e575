package main

import (
	"bytes"
	"context"
	"strconv"
)

// smRequest asks how many stanzas the server has handled (XEP-0198).
const smRequest = `<r xmlns="urn:xmpp:sm:3"/>`

// What a stream of messages has once for each, and an answer to smRequest.
const (
	bodyMark      = "</body>"
	deliveredMark = "<delivered "
	// countMark is as long as an answer to smRequest may be: half of it is not lost between reads.
	countMark = `<a xmlns='urn:xmpp:sm:3' h='4294967295'/>`
)

// limitTalk is what a limit does with messages.
type limitTalk struct {
	talk
	// sends: it sends texts, and otherwise gets them. asking is a message that is to be confirmed,
	// with those before it.
	sends  bool
	asking [][]byte
	// confirms is how many stanzas the server has counted.
	confirms int
	// answers are sent for the messages that come, in their order, and then from the first on
	// again. answered is how many were.
	answers  [][]byte
	answered int
	// frames is what is written in one go.
	frames [][]byte
}

// prepare has l do what t says instead of asking.
func (l *limit) prepare(t talk) (err error) {
	switch {
	case t.with == "":
		return nil
	case t.heard == nil:
		// The server counts the messages and tells it: nothing is cheaper.
		if l.requests, err = prepareMessages(1, t.with, t.iv); err != nil {
			return err
		}
		l.managed, l.mark = true, countMark
		l.talk = &limitTalk{talk: t, sends: true, asking: [][]byte{l.requests[0], []byte(smRequest)}}
		return nil
	}
	l.mark, l.talk = bodyMark, &limitTalk{talk: t, answers: make([][]byte, prepared)}
	for i := range l.talk.answers {
		// Each message has come once, in order: that is what a limit believes.
		l.talk.answers[i] = []byte(receipt(t.with, messageID(i)))
	}
	if t.echo {
		l.requests, err = prepareMessages(1, t.with, t.iv)
	}
	return err
}

// confirmed returns how many messages the server has counted since the last time.
func (t *limitTalk) confirmed(b []byte) (n int) {
	at := bytes.LastIndex(b, []byte("<a "))
	if at < 0 {
		return 0
	}
	_, h, found := bytes.Cut(b[at:], []byte(" h="))
	end := bytes.IndexAny(h[min(len(h), 1):], `'"`)
	if !found || end < 0 {
		return 0 // the rest has not come
	}
	// What is no number confirms nothing.
	handled, _ := strconv.Atoi(string(h[1 : 1+end]))
	n = max(0, handled-t.confirms)
	t.confirms += n
	return n
}

// reply answers so many messages: all that were read at a time together, where the wire can.
func (l *limit) reply(n int) error {
	t := l.talk
	if n == 0 {
		return nil
	}
	frames := t.frames[:0]
	for range n {
		if t.echo {
			frames = append(frames, l.requests[0])
		}
		frames = append(frames, t.answers[t.answered%len(t.answers)])
		t.answered++
	}
	t.frames = frames
	if err := l.writeAll(frames); err != nil {
		return err
	}
	for range n {
		t.heard()
	}
	return nil
}

// dialFar connects the other user of a peer, in the process that measures nothing: a limit whose
// messages package sdk can open. mark is once in all that it has to count.
func dialFar(ctx context.Context, at service, who account, mark, to, iv string) (*limit, error) {
	transport := overTCP
	if at.Addresses[transport] == "" {
		transport = overTLS
	}
	where, err := at.by(transport)
	if err != nil {
		return nil, err
	}
	l := &limit{domain: at.Domain, mark: mark, end: "</stream:stream>"}
	if l.requests, err = prepareMessages(prepared, to, iv); err != nil {
		return nil, err
	}
	return l, l.dial(ctx, where, who)
}
