package xmpp

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"mellium.im/sasl"
)

// A step of the handshake that waits for the answer to the one before costs a round trip. Over WebSocket
// what comes next can be written ahead (XEP-0305): frames stay apart there, also where the stream begins anew.
// But some servers put together again what they read at once, and then find a stream inside a stream: Prosody 0.12
// answers the bind, and breaks at the next stanza. So it is done only where the server says that it takes it, or where it is
// ejabberd, which takes it. That it is one it says after the login only. Before, its streams are known by
// their id, a number; who has such ids and does not say afterwards that it is ejabberd is asked again step by step.
//
// To a server that is new to us, everything up to the resource goes out with the last word of the login, once it has
// said which mechanisms it takes. To one that has taken that, it goes out with the first header. The
// handshake itself does not know: it sends each frame in its turn, and what was written ahead is not written again.

// ejabberd is how the capabilities of an ejabberd begin (XEP-0115).
const ejabberd = "http://www.process-one.net/en/ejabberd/"

// isNumber reports whether a stream has such an id as ejabberd gives.
func isNumber(id string) bool { return id != "" && strings.Trim(id, "0123456789") == "" }

// errUnconfirmed is that a server has only looked like an ejabberd.
var errUnconfirmed = errors.New("server does not say that it takes what is written ahead")

func (n *negotiation) unconfirmed() error {
	if n.foreseen != nil {
		return errSurprise // it was another one last time
	}
	return errUnconfirmed
}

// errSurprise is that the handshake takes another way than the one that was written ahead.
var errSurprise = errors.New("server has changed since the last login")

// send writes a frame, and with it those that will follow.
func (n *negotiation) send(ctx context.Context, frame []byte, following ...[]byte) error {
	if len(n.ahead) > 0 {
		if !bytes.Equal(n.ahead[0], frame) {
			return errSurprise
		}
		n.ahead = n.ahead[1:]
		return nil
	}
	n.ahead = following
	n.hasty = n.hasty || len(following) > 0
	frames := append([][]byte{frame}, following...)
	for _, frame := range frames {
		logFrame(n.cfg.Logger, "send", frame)
	}
	return n.f.WriteFrames(ctx, frames...)
}

// knowsServer reports whether the login goes out with the first header.
func (n *negotiation) knowsServer() bool {
	_, known := n.cfg.Memory.takes(n.cfg.Domain)
	return known && !n.stepwise && n.addr.webSocket()
}

// foresee begins the login with what the server has taken before, to be written with the first header.
func (n *negotiation) foresee() error {
	if !n.knowsServer() {
		return nil
	}
	n.mayWriteAhead = true
	i, _ := n.cfg.Memory.takes(n.cfg.Domain)
	mechanism := mechanisms[i]
	if err := n.permit(mechanism); err != nil {
		return err
	}
	var err error
	if n.login, err = n.begin(mechanism); err != nil {
		return err
	}
	n.foreseen = [][]byte{n.login.first}
	if mechanism.Name == sasl.Plain.Name {
		n.foreseen = append(n.foreseen, n.afterLogin()...)
	}
	return nil
}

// afterLogin is what follows the last word of the login.
func (n *negotiation) afterLogin() [][]byte {
	if !n.mayWriteAhead {
		return nil
	}
	request := n.bindRequest()
	if n.mayResume() {
		request = n.cfg.Resume.request()
	}
	return [][]byte{n.f.Header(n.cfg.Domain), request}
}

// dialOne connects to one address. A handshake that was written ahead and failed means nothing by itself: it is tried once more
// step by step, unless it is clear that haste is not why. What was learned is unlearned: a server that was known to take it is
// asked the next time, and one that says that it takes it, but only works step by step, is remembered for that.
func dialOne(ctx context.Context, cfg *Config, addr Address) (*Session, error) {
	failures := 0
	if cfg.Resume != nil {
		failures = cfg.Resume.failures
	}
	s, hasty, err := handshake(ctx, cfg, addr, cfg.Memory.stepwise(cfg.Domain))
	if err == nil || !hasty {
		return s, err
	}
	known := cfg.Memory.forgetAhead(cfg.Domain)
	blamed := !known && !errors.Is(err, errSurprise)
	switch {
	case ctx.Err() != nil:
		if blamed && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cfg.Memory.goStepwise(cfg.Domain) // no time is left to find out, nor may there be at the next attempt
		}
		return nil, err
	case !mayBeHaste(err):
		return nil, err
	}
	if cfg.Resume != nil {
		cfg.Resume.failures = failures // that it was not granted does not count yet, either
	}
	s, _, err = handshake(ctx, cfg, addr, true)
	if err == nil && blamed {
		cfg.Memory.goStepwise(cfg.Domain)
	}
	return s, err
}

// mayBeHaste reports whether a server that does not expect what it is not asked for yet could fail like this. A word on the
// password is none: it would be counted as wrong twice. Nor is what holds for everybody.
func mayBeHaste(err error) bool {
	var auth *AuthError
	var stream *StreamError
	var elsewhere *redirect
	switch {
	case errors.As(err, &auth):
		return !auth.wait && !slices.Contains([]string{
			"account-disabled", "credentials-expired", "not-authorized", "temporary-auth-failure", // RFC 6120 6.5
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
