package xmpp

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/observe"
)

// A pipeline sends the frames of a handshake, some of them ahead of their turn (XEP-0305): each
// step that waits for the answer to the one before it costs a round trip.
//
//   - Script: a step is sent with those that will follow it, as far as they are known. The
//     handshake goes on as if they were not: it sends each in its turn, and what is on the wire
//     already is not written again.
//   - Confirm: what comes after the login is not written with it unless the server announces that
//     it takes that, in this handshake or in an earlier one, or is known for it. What was written
//     before the announcement has to be announced still.
//   - Fall back: a handshake that was written ahead and failed means nothing by itself. It is made
//     once more, step by step, over another connection.
//
// Over TCP nothing is written ahead: the stream begins anew in the middle of what is read there.
// Some servers put together what they read at once over WebSocket, too, and then find a stream
// inside a stream: Prosody 0.12 answers the bind, and breaks at the next stanza. So passing the
// login takes an announcement. The bind goes with the header before it to any server: they are of
// one stream.
type pipeline struct {
	conn frames.Conn
	log  *slog.Logger

	observer *observe.Observer

	// off: nothing is written ahead, whatever the server announces.
	off bool
	// expected is how the server has announced it earlier, announced how it has in this handshake.
	// hoped: it has not been asked yet, and is known for announcing it after the login.
	expected, announced announcement
	hoped               bool
	// used: something was written ahead.
	used bool
	// ahead are the frames that are written and whose turn has not come.
	ahead [][]byte
}

// announcement is how a server says that it takes what is written ahead: in the features of the
// first stream, or, as ejabberd does by naming itself, only in those after the login.
type announcement int

const (
	notAnnounced announcement = iota
	beforeLogin
	afterLogin
)

// ejabberd is how the capabilities of an ejabberd begin (XEP-0115).
const ejabberd = "http://www.process-one.net/en/ejabberd/"

// errSurprise is that the handshake takes another way than the one that was written ahead.
var errSurprise = errors.New("server has changed since the last login")

// known reports whether the script begins with the first header.
func (p *pipeline) known() bool { return !p.off && p.expected != notAnnounced }

// pastLogin reports whether what comes after the login is written with it.
func (p *pipeline) pastLogin() bool {
	return p.known() || !p.off && (p.hoped || p.announced == beforeLogin)
}

// send writes a frame, and ahead of their turn those that will follow.
func (p *pipeline) send(frame []byte, following ...[]byte) error {
	if len(p.ahead) > 0 {
		if !bytes.Equal(p.ahead[0], frame) {
			return errSurprise
		}
		p.ahead = p.ahead[1:]
		return nil
	}
	p.ahead = following
	p.used = p.used || len(following) > 0
	all := append([][]byte{frame}, following...)
	for _, frame := range all {
		noteFrame(p.observer, p.log, frameSent, frame)
	}
	// Nothing waits for what is late: if it never gets out, there will be no answer.
	_, err := p.conn.WriteFrames(all...)
	return err
}

// confirm notes whether the server announces that it takes what is written ahead. It fails where
// something was and the announcement should have come by now.
func (p *pipeline) confirm(f *streamFeatures, when announcement) error {
	if f.pipelining && p.announced == notAnnounced {
		p.announced = when
	}
	if p.pastLogin() && p.announced == notAnnounced && (when == afterLogin || p.expected == beforeLogin) {
		return errSurprise
	}
	return nil
}

// mayBeWhy reports whether a server that does not expect what it was not asked for yet could fail
// like this. A refusal of the password is no such failure, since it would be counted as wrong
// twice. Nor is one that holds for everybody, nor a refusal of the bind that only went with its
// header.
func (p *pipeline) mayBeWhy(err error) bool {
	var auth *AuthError
	var stream *StreamError
	var elsewhere *redirect
	switch {
	case errors.As(err, &auth):
		// RFC 6120 6.5.
		return p.pastLogin() && !auth.wait && !slices.Contains([]string{
			"account-disabled", "credentials-expired", "not-authorized", "temporary-auth-failure",
		}, auth.Condition)
	case errors.As(err, &stream):
		return !slices.Contains([]string{
			"host-gone", "host-unknown", "internal-server-error", "remote-connection-failed",
			"reset", "resource-constraint", "system-shutdown",
		}, stream.Condition)
	case errors.As(err, &elsewhere), errors.Is(err, ErrInsecure), errors.Is(err, errDowngrade):
		return false
	}
	return true
}
