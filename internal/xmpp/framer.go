package xmpp

import "context"

// framer is the seam between a session and its transport: whole elements, one
// per frame, in the form that RFC 7395 gives them on either transport.
//
// A context that ends during a call breaks the connection: what was half read
// or half written cannot be taken up again.
type framer interface {
	// Open starts a stream, anew after SASL. The answer comes as a frame: <open/>.
	Open(ctx context.Context, to string) error
	// ReadFrame returns the next element, valid until the next call. The end of
	// the stream comes as a frame: <close/>. Not for concurrent use.
	ReadFrame(ctx context.Context) ([]byte, error)
	// WriteFrames writes elements, together where the transport can. Safe for concurrent use.
	WriteFrames(ctx context.Context, frames ...[]byte) error
	// End writes the end of the stream.
	End(ctx context.Context) error
	// Close closes the connection politely, but no later than ctx ends.
	Close(ctx context.Context) error
	// Cut breaks the connection at once and wakes who waits for it. Idempotent.
	Cut()
}
