package xmpp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mellium.im/sasl"

	"github.com/mirrorfly-go/sdk/internal/fips"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// Bounds of the SCRAM iteration count: fewer make the password guessable from
// what we send (RFC 7677 4), more keep us busy.
const (
	minIterations = 4096
	maxIterations = 1_000_000
)

// maxServerFirst is the most bytes of the server's first SCRAM message, whose nonce we send back.
const maxServerFirst = 4 << 10

// authenticate logs in with the best mechanism that the server offers:
// SCRAM-SHA-256, SCRAM-SHA-1, PLAIN; without channel binding (protocol.md 4.3).
//
// The password goes in as it is: like the service's other clients we do no
// SASLprep, which would change nothing in the ASCII that the service hands out.
func (h *handshake) authenticate(ctx context.Context, offered []string) error {
	mechanism, err := h.choose(offered)
	switch {
	case err != nil:
		return err
	case h.login != nil && h.login.mechanism.Name != mechanism.Name:
		// A login is under way with one that is worse, or gone.
		return errSurprise
	case h.login == nil:
		if h.login, err = h.begin(mechanism); err != nil {
			return err
		}
	}
	var following [][]byte
	if mechanism.Name == sasl.Plain.Name {
		following = h.afterLogin()
	}
	if err := h.pipeline.send(h.login.first, following...); err != nil {
		return fmt.Errorf("sasl: %w", err)
	}
	return h.converse(ctx, h.login)
}

// login is one that is under way.
type login struct {
	mechanism sasl.Mechanism
	client    *sasl.Negotiator
	// unproved: the server has still to show that it knows the password.
	unproved bool
	// first is the frame that begins it.
	first []byte
}

func (h *handshake) begin(mechanism sasl.Mechanism) (*login, error) {
	credentials := sasl.Credentials(func() (username, password, identity []byte) {
		return []byte(h.cfg.Username), []byte(h.cfg.Password), nil
	})
	l := &login{mechanism: mechanism, client: sasl.NewClient(mechanism, credentials)}
	var data []byte
	var err error
	if l.unproved, data, err = l.client.Step(nil); err != nil {
		return nil, &AuthError{Step: "sasl", Err: err}
	}
	l.first = saslFrame("auth", mechanism.Name, data)
	return l, nil
}

// converse goes from the server's first answer to its last.
func (h *handshake) converse(ctx context.Context, l *login) error {
	for challenges := 0; ; challenges++ {
		st, err := h.next(ctx)
		if err != nil {
			return fmt.Errorf("sasl: %w", err)
		}
		done, data, err := saslData(st)
		if err != nil {
			return err
		}
		if !done || l.unproved {
			l.unproved, data, err = l.step(challenges, data)
			if err != nil {
				return &AuthError{Step: "sasl", Err: err}
			}
		}
		switch {
		case done && l.unproved:
			return &AuthError{Step: "sasl", Err: errors.New("server did not prove that it knows the password")}
		case done:
			h.cfg.Memory.loggedIn(h.cfg.Domain, slices.IndexFunc(mechanisms[:], func(m sasl.Mechanism) bool {
				return m.Name == l.mechanism.Name
			}))
			return nil
		}
		if err := h.pipeline.send(saslFrame("response", "", data), h.afterLogin()...); err != nil {
			return fmt.Errorf("sasl: %w", err)
		}
	}
}

// mechanisms are those that we know, best first.
var mechanisms = [...]sasl.Mechanism{sasl.ScramSha256, sasl.ScramSha1, sasl.Plain}

// choose picks the best mechanism, and refuses one that is worse than what the
// server has taken before.
func (h *handshake) choose(offered []string) (sasl.Mechanism, error) {
	var forbidden error
	for i, m := range mechanisms {
		if !slices.Contains(offered, m.Name) {
			continue
		}
		if m.Name == sasl.ScramSha1.Name {
			if forbidden = fips.SHA1(); forbidden != nil {
				continue
			}
		}
		if h.cfg.Memory.weaker(h.cfg.Domain, i) {
			return m, fmt.Errorf("sasl: %w: %s", errDowngrade, m.Name)
		}
		return m, h.permit(m)
	}
	err := fmt.Errorf("sasl: no common mechanism, server offers: %s", clip(strings.Join(offered, " ")))
	if forbidden != nil {
		err = fmt.Errorf("%w: %w", err, forbidden)
	}
	return sasl.Mechanism{}, err
}

// permit refuses PLAIN where the password could be read.
func (h *handshake) permit(m sasl.Mechanism) error {
	switch {
	case m.Name != sasl.Plain.Name:
		return nil
	case !h.secure && !h.cfg.AllowInsecure:
		return fmt.Errorf("%w: PLAIN refused", ErrInsecure)
	case strings.ContainsRune(h.cfg.Password, 0):
		return &AuthError{Step: "sasl", Err: errors.New("NUL in the password")}
	}
	return nil
}

// step feeds a challenge to the mechanism, after what it leaves unchecked. In FIPS 140-only mode
// HMAC panics with a password of less than 14 bytes.
func (l *login) step(challenges int, data []byte) (more bool, resp []byte, err error) {
	defer func() {
		if refused := recover(); refused != nil {
			err = fmt.Errorf("%v", refused)
		}
	}()
	if challenges == 0 && l.client.State()&sasl.StepMask == sasl.AuthTextSent && len(data) > 0 {
		if err := checkServerFirst(string(data), string(l.client.Nonce())); err != nil {
			return false, nil, err
		}
	}
	return l.client.Step(data)
}

// checkServerFirst checks the server's first SCRAM message (RFC 5802 7): the nonce, the salt, a
// sane iteration count, and no field twice. Package sasl checks less, and loops for ever on a last
// field that is too short.
func checkServerFirst(msg, nonce string) error {
	if len(msg) > maxServerFirst {
		return errors.New("SCRAM challenge: too long")
	}
	fields := strings.Split(msg, ",")
	if len(fields) < 3 {
		return errors.New("SCRAM challenge: too short")
	}
	for i, want := range []string{"r=", "s=", "i="} {
		if !strings.HasPrefix(fields[i], want) {
			return errors.New("SCRAM challenge: fields missing")
		}
	}
	for _, f := range fields[3:] {
		if len(f) < 3 || f[1] != '=' || strings.ContainsRune("rsim", rune(f[0])) {
			return errors.New("SCRAM challenge: bad extension")
		}
	}
	if theirs := fields[0][2:]; !strings.HasPrefix(theirs, nonce) || len(theirs) == len(nonce) {
		return errors.New("SCRAM challenge: nonce is not ours")
	}
	if salt, err := base64.StdEncoding.DecodeString(fields[1][2:]); err != nil || len(salt) == 0 {
		return errors.New("SCRAM challenge: bad salt")
	}
	count, err := strconv.Atoi(fields[2][2:])
	if err != nil {
		return errors.New("SCRAM challenge: bad iteration count")
	}
	if count < minIterations || count > maxIterations {
		return fmt.Errorf("SCRAM challenge: %d iterations, want %d to %d", count, minIterations, maxIterations)
	}
	return nil
}

// saslData reads the server's turn: a challenge, or success (done), with its
// data. Anything else is an error.
func saslData(st *stanza) (done bool, data []byte, err error) {
	switch {
	case st.Is(nsSASL, "challenge"), st.Is(nsSASL, "success"):
		// "=" stands for no data.
		if text := strings.TrimSpace(st.Text()); text != "=" {
			if data, err = base64.StdEncoding.DecodeString(text); err != nil {
				return false, nil, &AuthError{Step: "sasl", Err: errors.New("server's data is not base64")}
			}
		}
		return st.Is(nsSASL, "success"), data, nil
	case st.Is(nsSASL, "failure"):
		c := conditionIn(st.Element, nsSASL)
		return false, nil, &AuthError{Step: "sasl", Condition: c.name, Text: c.text}
	}
	return false, nil, fmt.Errorf("sasl: got <%s> instead of an answer", clip(st.Local))
}

func saslFrame(name, mechanism string, data []byte) []byte {
	return xmltext.Markup{
		Space: nsSASL, Name: name, Attrs: []string{"mechanism", mechanism},
		Text: base64.StdEncoding.EncodeToString(data),
	}.Bytes()
}
