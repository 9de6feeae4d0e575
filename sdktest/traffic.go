package sdktest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	maxUnseen  = 1024     // pieces of traffic that wait for one watcher
	maxShown   = 16 << 10 // bytes of Traffic.Text
	hiddenText = "•••"    // stands for what is not shown
)

// Traffic is one thing that has gone over the wire, for people to look at:
// passwords, tokens and what is sealed with the licence key are replaced by "•••".
// What tests want to check is in [Server.Requests].
type Traffic struct {
	Time     time.Time `json:"time"`               // when it was read, or was about to be written
	Missed   int       `json:"missed,omitempty"`   // how many before this one are lost, as the watcher was too slow
	Kind     string    `json:"kind"`               // "rest", "xmpp", "signal", or "session": a client has bound its resource, or has gone
	ToClient bool      `json:"toClient"`           // the server has sent it
	User     string    `json:"user,omitempty"`     // id, as far as it is known
	Resource string    `json:"resource,omitempty"` // XMPP: the session's, as far as it is known

	Method string `json:"method,omitempty"` // REST: of the request, in its answer too
	Path   string `json:"path,omitempty"`   // REST: likewise, below the API base URL
	Query  string `json:"query,omitempty"`  // REST: likewise
	Status int    `json:"status,omitempty"` // REST: HTTP status of the answer; 0 in one: the connection was cut instead

	Text string `json:"text,omitempty"` // JSON body, element, event; "connected" or "disconnected"; in parentheses what is said in place of others
	Left int    `json:"left,omitempty"` // bytes that were cut off the end of Text
}

// Watch tells of everything that clients and the server send each other from now
// on, stanzas before the login among it, and goes on over a Restart. Two things
// that one connection carries come in their order. The server never waits for a
// watcher: of one that does not keep up with it the oldest are dropped, about a
// thousand being kept, and the next one says in Missed how many. The channel is
// closed when ctx ends or the server is closed.
func (s *Server) Watch(ctx context.Context) <-chan Traffic {
	return s.feed.watch(ctx)
}

// feed carries traffic to those who watch. Its lock is a leaf: nothing else is locked under it.
type feed struct {
	count atomic.Int32 // of watchers

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	ended    chan struct{} // closed by end
	wg       sync.WaitGroup
}

// watcher is what waits for one channel; it is guarded by feed.mu.
type watcher struct {
	unseen []Traffic
	missed int
	wake   chan struct{} // capacity 1: look at unseen
}

func newFeed() *feed {
	return &feed{watchers: map[*watcher]struct{}{}, ended: make(chan struct{})}
}

// watched tells whether anybody looks: what is for them alone need not be made else.
func (f *feed) watched() bool { return f.count.Load() > 0 }

func (f *feed) watch(ctx context.Context) <-chan Traffic {
	out := make(chan Traffic)
	w := &watcher{wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ended:
		close(out)
		return out
	default:
	}
	f.watchers[w] = struct{}{}
	f.count.Add(1)
	f.wg.Go(func() { // ends with ctx, or when end is called, which waits for it
		defer close(out)
		defer f.leave(w)
		f.hand(ctx, w, out)
	})
	return out
}

func (f *feed) leave(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watchers, w)
	f.count.Add(-1)
}

// hand gives a watcher one after the other.
func (f *feed) hand(ctx context.Context, w *watcher, out chan<- Traffic) {
	for {
		t, found := f.next(w)
		if !found {
			select {
			case <-w.wake:
				continue
			case <-ctx.Done():
				return
			case <-f.ended:
				return
			}
		}
		select {
		case out <- t:
		case <-ctx.Done():
			return
		case <-f.ended:
			return
		}
	}
}

// next takes the oldest.
func (f *feed) next(w *watcher) (t Traffic, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(w.unseen) == 0 {
		return t, false
	}
	t = w.unseen[0]
	w.unseen[0] = Traffic{} // let go of what it holds
	w.unseen = w.unseen[1:]
	t.Missed, w.missed = w.missed, 0
	return t, true
}

// tell passes t on. It never blocks.
func (f *feed) tell(t Traffic) {
	if !f.watched() {
		return
	}
	t.Time = time.Now()
	t.Text, t.Left = shorten(t.Text)
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watchers {
		if len(w.unseen) >= maxUnseen {
			w.unseen[0] = Traffic{}
			w.unseen = w.unseen[1:]
			w.missed++
		}
		w.unseen = append(w.unseen, t)
		select {
		case w.wake <- struct{}{}:
		default: // a look is due already
		}
	}
}

// end closes all channels.
func (f *feed) end() {
	f.mu.Lock()
	close(f.ended)
	f.mu.Unlock()
	f.wg.Wait()
}

// shorten cuts a text that is too long to be shown, and never a character.
func shorten(text string) (_ string, left int) {
	if len(text) <= maxShown {
		return text, 0
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], len(text) - end
}
