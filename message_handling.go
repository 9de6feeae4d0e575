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
	stanzas []*xmpp.Message // the message, and copies of it that have come meanwhile
	done    bool            // it is handled
	told    bool            // its sender has been told
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
		for _, part := range []string{m.From, m.ID, edit} {
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
	unhandled atomic.Int64
	warned    sync.Once

	mu sync.Mutex
	// recent are the last messages, by key, and keys the same in their order from next on. nil:
	// none has come.
	recent map[messageKey]*handling
	keys   []messageKey
	next   int
}

// admit remembers a message that has come, and reports false for one that has come before. That is
// handled with the first, or has been.
func (b *inbox) admit(h *handling) (isNew bool) {
	first, isNew := b.remember(h)
	if isNew {
		return true
	}
	if first != nil { // it is handled already
		if first.told {
			h.login.sendReceipt(receiptDelivered, h.sender, h.id)
		}
		h.stanzas[0].Handled()
	}
	return false
}

// remember returns the message that h is a copy of, if that is handled.
func (b *inbox) remember(h *handling) (first *handling, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first = b.recent[h.key]; first != nil {
		if !first.done {
			first.stanzas = append(first.stanzas, h.stanzas[0])
			return nil, false
		}
		return first, false
	}
	if b.recent == nil {
		b.recent = make(map[messageKey]*handling)
	}
	if len(b.keys) < remembered {
		b.keys = append(b.keys, h.key)
	} else {
		delete(b.recent, b.keys[b.next])
		b.keys[b.next] = h.key
		b.next = (b.next + 1) % remembered
	}
	b.recent[h.key] = h
	return nil, true
}

// end notes that h is handled, and returns what the server is to be told of. forget: it is told
// again if it comes again.
func (b *inbox) end(h *handling, told, forget bool) []*xmpp.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.done {
		return nil
	}
	h.done, h.told = true, told
	if forget && b.recent[h.key] == h {
		delete(b.recent, h.key)
	}
	stanzas := h.stanzas
	h.stanzas = nil
	return stanzas
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
		h.finish(false, true)
	case dispatch.Failed:
		// It counts as handled: else one bad message would come for ever.
		h.finish(false, false)
	}
}

func (h *handling) unheard() {
	c := h.login.client
	if !h.own {
		c.inbox.unhandled.Add(1)
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
	stanzas := h.login.client.inbox.end(h, tell, forget)
	if stanzas == nil {
		return
	}
	if tell {
		h.login.sendReceipt(receiptDelivered, h.sender, h.id)
	}
	for _, st := range stanzas {
		st.Handled()
	}
}

// Unhandled returns how many messages have come since New while nobody listened: neither OnMessage,
// nor OnMessageEdited for an edit. The server was told that they have arrived, their senders were
// told nothing.
func (c *Client) Unhandled() int { return int(c.inbox.unhandled.Load()) }
