package dispatch

// A batch is bounded by a part of either bound of the queue, since what is in it is outside of
// these bounds.
const (
	batchPart  = 32
	maxBatch   = defaultLimit / batchPart
	batchBytes = maxBytes / batchPart
)

// batch is calls that have left the queue together for their turn. In a burst that costs one lock
// and one look at the clock for all of them, which is a quarter of the CPU time of an event
// (docs/performance.md). It belongs to the goroutine that drains the queue. nil is an empty batch:
// an event that comes alone needs none.
type batch struct {
	calls     [maxBatch]deliverer
	next, end int
}

func (b *batch) empty() bool { return b == nil || b.next == b.end }

// pop takes the next call; nil: the batch is empty.
func (b *batch) pop() deliverer {
	if b.empty() {
		return nil
	}
	d := b.calls[b.next]
	b.calls[b.next] = nil
	b.next++
	return d
}

// fillLocked moves the oldest calls of the queue to b, which must be empty, and returns b. It makes
// a batch only when there are calls to move.
func (q *Queue) fillLocked(b *batch) *batch {
	n, bytes := 0, int32(0)
	for _, c := range q.slots[q.head:min(len(q.slots), q.head+min(q.limit()/batchPart, maxBatch))] {
		if bytes += c.Bytes; bytes > batchBytes {
			break
		}
		n++
	}
	if n == 0 {
		return b
	}
	if b == nil {
		b = new(batch)
	}
	for i := range n {
		b.calls[i] = q.popLocked()
	}
	b.next, b.end = 0, n
	return b
}
