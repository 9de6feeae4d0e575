package sdk

import (
	"errors"
	"slices"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// receiptKind is what a receipt says (protocol.md 14.4).
type receiptKind string

const (
	receiptDelivered receiptKind = "delivered"
	receiptSeen      receiptKind = "seen"
)

// maxReceipts is how many receipts wait for a connection. The oldest go first.
const maxReceipts = 1024

// sendReceipt tells the sender of a message what became of it. Without a connection that is told
// with the next one.
func (l *login) sendReceipt(kind receiptKind, toJID, messageID string) {
	current := l.client.currentLogin()
	if !current.isOf(l.username) || kind == receiptDelivered && l.client.cfg.NoDeliveryReceipts {
		return
	}
	current.tellOrKeep(xmpp.Receipt(string(kind), toJID, messageID))
}

func (l *login) tellOrKeep(receipt xmpp.Outgoing) {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if s != nil {
		err := s.Tell(receipt, true)
		if err != nil && !errors.Is(err, xmpp.ErrNotConnected) {
			l.client.cfg.Logger.DebugContext(l.ctx, "a receipt is not sent", "err", err)
		}
		if !errors.Is(err, xmpp.ErrNotConnected) {
			return
		}
	}
	l.mu.Lock()
	missed := l.session != nil && l.session != s
	if !missed {
		l.keepReceiptsLocked(receipt)
	}
	l.mu.Unlock()
	if missed {
		l.tellKept(receipt) // a new session has come meanwhile
	}
}

// tellKept tells what could not be told without a connection.
func (l *login) tellKept(receipts ...xmpp.Outgoing) {
	for _, receipt := range receipts {
		l.tellOrKeep(receipt)
	}
}

// untoldReceipts takes those that could not be told without a connection.
func (l *login) untoldReceipts() []xmpp.Outgoing {
	l.mu.Lock()
	defer l.mu.Unlock()
	untold := l.receipts
	l.receipts = nil
	return untold
}

// keepReceipts keeps what the login before l could not tell.
func (l *login) keepReceipts(receipts []xmpp.Outgoing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keepReceiptsLocked(receipts...)
}

func (l *login) keepReceiptsLocked(receipts ...xmpp.Outgoing) {
	l.receipts = append(l.receipts, receipts...)
	l.receipts = slices.Delete(l.receipts, 0, max(0, len(l.receipts)-maxReceipts))
}
