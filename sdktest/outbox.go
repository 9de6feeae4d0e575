package sdktest

import "sync"

const (
	queueLength = 16 << 10 // frames that wait for one client. With more it is cut off
	queueBytes  = 32 << 20 // bytes of these frames, likewise

	// From these on, who sends messages to the client has to wait (see yield).
	crowdLength = 1 << 10
	crowdBytes  = 4 << 20
)

// frame is one thing in the outgoing queue.
type frame struct {
	raw string
	// end: the stream ends after this frame.
	end bool
	// spared: it was kept for the client before, so that it does not count for the bounds.
	spared bool
	// back is set for a message that must not get lost.
	back *returnable
}

// outbox is what waits for one client. No other lock is taken while mu is held.
type outbox struct {
	// ready has an element when something may wait.
	ready chan struct{}

	mu     sync.Mutex
	frames []frame
	// bytes counts all frames. length and counted are of those that are not spared.
	bytes, length, counted int
	// room is closed when the queue has become short again. nil: nobody waits for that.
	room chan struct{}
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

// put adds a frame. It returns false when too much waits already.
func (o *outbox) put(f frame) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !f.spared {
		if !f.end && (o.length >= queueLength || o.counted+len(f.raw) > queueBytes) {
			return false
		}
		o.length++
		o.counted += len(f.raw)
	}
	o.bytes += len(f.raw)
	o.frames = append(o.frames, f)
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return true
}

// take removes the oldest frame. It returns false when there is none.
func (o *outbox) take() (frame, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) == 0 {
		return frame{}, false
	}
	f := o.frames[0]
	o.frames[0] = frame{} // let go of what it holds
	if o.frames = o.frames[1:]; len(o.frames) == 0 {
		o.frames = nil
	}
	o.bytes -= len(f.raw)
	if !f.spared {
		o.length--
		o.counted -= len(f.raw)
	}
	if o.room != nil && len(o.frames) <= crowdLength/2 && o.bytes <= crowdBytes/2 {
		close(o.room)
		o.room = nil
	}
	return f, true
}

// crowded returns a channel that is closed when the queue has become short again. nil: it is short.
func (o *outbox) crowded() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) <= crowdLength && o.bytes <= crowdBytes {
		return nil
	}
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// reclaim removes the messages that must not get lost, and returns them.
func (o *outbox) reclaim() (out []*returnable) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, f := range o.frames {
		if f.back != nil {
			out = append(out, f.back)
			o.bytes -= len(f.raw)
			if !f.spared {
				o.counted -= len(f.raw)
			}
			o.frames[i].raw, o.frames[i].back = "", nil
		}
	}
	return out
}
