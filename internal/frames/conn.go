package frames

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// MaxFrame is the most bytes that a frame may have.
const MaxFrame = 1 << 20

// The namespaces that the transports themselves use.
const (
	NSClient  = "jabber:client"
	NSStream  = "http://etherx.jabber.org/streams"
	NSFraming = "urn:ietf:params:xml:ns:xmpp-framing"
)

// CloseFrame is the end of a stream, as a frame.
const CloseFrame = `<close xmlns="` + NSFraming + `"/>`

var (
	// ErrTooLarge is what reading fails with when a frame is larger than MaxFrame.
	ErrTooLarge = errors.New("stanza larger than 1 MiB")
	// ErrStuck is what writing fails with when too much is late, or has been for too long.
	ErrStuck = errors.New("the peer does not read what is written")
)

// Conn is a connection to a server. Header, StartTLS, ReadFrame and Await are for one goroutine;
// the others may be called from any, at any time.
type Conn interface {
	// Header returns the frame that starts a stream. Whoever calls it writes that frame next. The
	// server's answer is read as a frame: <open/>.
	Header(to string) []byte
	// Footer returns the frame that ends the stream.
	Footer() []byte
	// StartTLS puts TLS over a connection that has none, when the server has agreed (RFC 6120
	// 5.4.3).
	StartTLS(ctx context.Context) error

	// ReadFrame returns the next element. The end of the stream is read as a frame: <close/>. A
	// context that ends meanwhile breaks the connection, since what was half read cannot be taken
	// up again.
	ReadFrame(ctx context.Context) (string, error)
	// Await waits until there is something to read, on less stack than ReadFrame takes. It may
	// return at once.
	Await()
	// Heard returns when bytes have last come, also of a frame that is not whole yet. Zero: never.
	Heard() time.Time

	// WriteFrames writes elements, together where the transport can, and does not wait for the
	// server. late: some of it is still to be written, and CatchUp waits for that. Its error may be
	// that of an earlier call.
	WriteFrames(frames ...[]byte) (late bool, err error)
	// CatchUp waits until nothing is late, or never will be written: then it returns why.
	CatchUp() error

	// Close closes the connection politely, but no later than ctx ends.
	Close(ctx context.Context) error
	// Cut breaks the connection at once, and every call that waits for it returns. It may be called
	// again.
	Cut()
}

// moment is a time that is noted again and again, by any goroutine. The zero moment was never
// noted.
type moment struct{ sinceEpoch atomic.Int64 }

// epoch is 50 years before the program began, so that it is before the year 2000 too, in which the
// time of package synctest begins.
var epoch = time.Now().Add(-50 * 365 * 24 * time.Hour)

func (m *moment) note() { m.sinceEpoch.Store(int64(time.Since(epoch))) }

func (m *moment) last() time.Time {
	since := time.Duration(m.sinceEpoch.Load())
	if since == 0 {
		return time.Time{}
	}
	return epoch.Add(since)
}
