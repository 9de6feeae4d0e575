package sdk

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/mirrorfly-go/sdk/internal/dispatch"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// handling is the way of one message to having been handled. Until then it does not count in what
// the server is told (XEP-0198).
type handling struct {
	login  *login
	key    messageKey
	sender string // who gets a receipt; empty: nobody
	id     string
	own    bool

	// open is how many still have to say that they are done: the listeners, and each Defer.
	open atomic.Int32

	// Guarded by inbox.mu.
	stanza *xmpp.Message // the message, or the copy of it that came over the newest stream
	done   bool          // it is handled
	told   bool          // its sender has been told
}

// messageKey names a message by sender, id, and edit. It is a hash that nobody else can foresee, so
// that ids of any length can be remembered.
type messageKey [2]uint64

var keySeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func keyOf(m *xmpp.Message) (key messageKey) {
	edit := m.EditID
	if edit == m.ID {
		edit = ""
	}
	for i, seed := range keySeeds {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, part := range []string{m.From, m.To, m.ID, edit} {
			_, _ = h.WriteString(part) // no error: see package maphash
			_ = h.WriteByte(0)         // XML has no such character
		}
		key[i] = h.Sum64()
	}
	return key
}

// remembered is how many messages a client remembers, so that what comes twice is told once.
const remembered = 1024

// inbox is what a client remembers of the messages that have come.
type inbox struct {
	warned sync.Once

	mu sync.Mutex
	// recent are the last messages, by key, and order the same in their order from next on. nil:
	// none has come.
	recent map[messageKey]*handling
	order  []*handling
	next   int
}

// admit remembers a message that has come, and reports false for one that has come before. That is
// handled with the first, or has been.
func (b *inbox) admit(h *handling) (isNew bool) {
	first, spare := b.remember(h)
	if first != nil && first.told && h.sender != "" {
		h.login.sendReceipt(receiptDelivered, h.sender, h.id)
	}
	if spare != nil {
		spare.Handled()
	}
	return spare == nil
}

// remember returns nothing for a message that is new. Of a copy it returns the message that it is
// a copy of, if that is handled, and the stanza that is not needed. Of a message that waits for
// listeners only the first stanza in the newest stream is: what comes behind it counts only with
// it.
func (b *inbox) remember(h *handling) (first *handling, spare *xmpp.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch first = b.recent[h.key]; {
	case first != nil && first.done:
		return first, h.stanza
	case first != nil && h.stanza.SameStream(first.stanza):
		return nil, h.stanza
	case first != nil:
		spare, first.stanza = first.stanza, h.stanza
		h.stanza.KeepTicket()
		return nil, spare
	}
	if b.recent == nil {
		b.recent = make(map[messageKey]*handling)
	}
	if len(b.order) < remembered {
		b.order = append(b.order, h)
	} else {
		if old := b.order[b.next]; b.recent[old.key] == old {
			delete(b.recent, old.key)
		}
		b.order[b.next] = h
		b.next = (b.next + 1) % remembered
	}
	b.recent[h.key] = h
	return nil, nil
}

// end notes that h is handled, and returns what the server is to be told of. forget: it is told
// again if it comes again.
func (b *inbox) end(h *handling, told, forget bool) *xmpp.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.done {
		return nil
	}
	h.done, h.told = true, told
	if forget && b.recent[h.key] == h {
		delete(b.recent, h.key)
	}
	stanza := h.stanza
	h.stanza = nil
	return stanza
}

// postpone has h wait for done, unless it is handled already.
func (h *handling) postpone() (done func()) {
	for {
		n := h.open.Load()
		if n == 0 {
			return func() {}
		}
		if h.open.CompareAndSwap(n, n+1) {
			break
		}
	}
	var called atomic.Bool
	return func() {
		if called.CompareAndSwap(false, true) {
			h.oneDone()
		}
	}
}

// oneDone notes that one of those who have to say so is done.
func (h *handling) oneDone() {
	if h.open.Add(-1) == 0 {
		h.finish(h.sender != "", false)
	}
}

// settle gets what became of the message with the listeners.
func (h *handling) settle(fate dispatch.Fate) {
	switch fate {
	case dispatch.Returned:
		h.oneDone()
	case dispatch.Unheard:
		h.unheard()
	case dispatch.Dropped:
		// OnMissed tells it. It is gone, here and for the server.
		h.login.client.noteMessage(MessageDropped)
		h.finish(false, true)
	case dispatch.Failed:
		// It counts as handled: else one bad message would come for ever.
		h.finish(false, false)
	}
}

func (h *handling) unheard() {
	c := h.login.client
	if h.own {
		c.noteMessage(MessageDropped)
	} else {
		c.noteMessage(MessageUnhandled)
		c.inbox.warned.Do(func() {
			c.cfg.Logger.WarnContext(context.Background(),
				"messages come, and nobody listens: register OnMessage and OnMessageEdited before Connect, "+
					"or set Config.LeaveMessages")
		})
	}
	h.finish(false, true)
}

// finish tells the sender, then the server.
func (h *handling) finish(tell, forget bool) {
	stanza := h.login.client.inbox.end(h, tell, forget)
	if stanza == nil {
		return
	}
	if tell {
		h.login.sendReceipt(receiptDelivered, h.sender, h.id)
	}
	h.id = "" // what is remembered is small
	stanza.Handled()
	if !forget {
		h.login.client.noteMessage(MessageHandled)
	}
}

// Unhandled returns how many messages have come since New while nobody listened: neither OnMessage,
// nor OnMessageEdited for an edit. The server was told that they have arrived, their senders were
// told nothing.
func (c *Client) Unhandled() int { return int(c.observer.MessagesUnhandled.Load()) }
