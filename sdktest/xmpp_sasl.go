package sdktest

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"

	"mellium.im/sasl"
)

const scramIterations = 4096 // the lowest number that clients accept (protocol.md 4.3)

// salted is a password in the form that SCRAM needs.
type salted struct {
	// user and password are what it was made from.
	user, password string
	salt, key      []byte
}

func mechanismsFor(trial bool) []string {
	if trial {
		return []string{sasl.ScramSha256.Name, sasl.ScramSha1.Name, sasl.Plain.Name}
	}
	return []string{sasl.Plain.Name}
}

// mechanism finds a mechanism that is offered.
func (s *Server) mechanism(name string) (sasl.Mechanism, bool) {
	if !slices.Contains(s.ctl.offered(), name) {
		return sasl.Mechanism{}, false
	}
	for _, m := range []sasl.Mechanism{sasl.Plain, sasl.ScramSha1, sasl.ScramSha256} {
		if m.Name == name {
			return m, true
		}
	}
	return sasl.Mechanism{}, false
}

// authenticate takes one SASL element (RFC 6120 6).
func (st *stream) authenticate(e *element) error {
	switch e.name.Local {
	case "auth":
		m, found := st.srv.mechanism(e.attr("mechanism"))
		if !found {
			return st.authFailure("invalid-mechanism", "")
		}
		st.claimed = ""
		st.sasl = sasl.NewServer(m, st.plainPermission, sasl.SaltedCredentials(st.saltedCredentials))
		if e.text() == "" { // RFC 6120 6.4.2: the server asks for the initial response
			return st.t.write(el(nsSASL, "challenge").String())
		}
	case "response":
		if st.sasl == nil {
			return st.authFailure("malformed-request", "")
		}
	case "abort":
		return st.authFailure("aborted", "")
	default:
		return &streamError{"bad-format", "not a SASL request"}
	}
	return st.authStep(e.text())
}

func (st *stream) authStep(text string) error {
	var in []byte
	if text != "=" {
		var err error
		if in, err = base64.StdEncoding.DecodeString(text); err != nil {
			return st.authFailure("incorrect-encoding", "")
		}
	}
	more, out, err := st.sasl.Step(in)
	kind := st.srv.fault(StepAuth, subject{user: st.claimed}) // only now it is known who it is
	if kind == FaultError {
		return st.authFailure("not-authorized", "")
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	if err != nil {
		text := "Invalid username or password"
		if errors.Is(st.refused, errStale) {
			text = st.refused.Error()
		}
		return st.authFailure("not-authorized", text)
	}
	data := base64.StdEncoding.EncodeToString(out)
	if more {
		return st.t.write(el(nsSASL, "challenge").txt(data).String())
	}
	success := el(nsSASL, "success")
	if data != "" {
		success.txt(data)
	}
	if err := st.t.write(success.String()); err != nil {
		return err
	}
	st.opened, st.sasl = false, nil
	st.user = st.claimed
	st.t.restart()
	return nil
}

func (st *stream) authFailure(condition, text string) error {
	st.sasl, st.refused = nil, nil
	f := el(nsSASL, "failure").add(el(nsSASL, condition))
	if text != "" {
		f.add(el(nsSASL, "text").txt(text))
	}
	if err := st.t.write(f.String()); err != nil {
		return err
	}
	if st.failures++; st.failures >= maxAuthFailures {
		return &streamError{"policy-violation", "too many failed authentications"}
	}
	return nil
}

// plainPermission is SASL PLAIN: the password is the wire password (protocol.md 4.2).
func (st *stream) plainPermission(n *sasl.Negotiator) bool {
	user, password, identity := n.Credentials()
	id := strings.ToLower(string(user))
	if !st.mayActAs(id, identity) {
		return false
	}
	st.claimed = id
	if a, _ := st.srv.store.view(id); a.AdminBlocked {
		return false
	}
	st.refused = st.srv.checkWirePassword(id, string(password))
	return st.refused == nil
}

// mayActAs reports whether the authorization identity is empty, or the user's own (RFC 6120 6.3.8).
func (st *stream) mayActAs(id string, identity []byte) bool {
	as := string(identity)
	return as == "" || strings.EqualFold(as, id) || strings.EqualFold(as, st.srv.jid(id))
}

// saltedCredentials is for SCRAM, which needs the password in clear.
func (st *stream) saltedCredentials(user, identity []byte, mechanism string) ([]byte, []byte, int64, error) {
	id := strings.ToLower(string(user))
	a, exists := st.srv.store.view(id)
	if !st.mayActAs(id, identity) {
		return nil, nil, 0, sasl.ErrAuthn
	}
	st.claimed = id
	if !exists || a.AdminBlocked {
		return nil, nil, 0, sasl.ErrAuthn
	}
	s := st.srv.store.saltedPassword(id, a.Password, mechanism)
	return s.salt, s.key, scramIterations, nil
}

// saltedPassword derives the key from a password, once: for every login it would cost more than all
// the rest.
func (st *store) saltedPassword(id, password, mechanism string) salted {
	name := mechanism + " " + id
	st.mu.Lock()
	s, found := st.salted[name]
	st.mu.Unlock()
	if found && s.password == password {
		return s
	}
	s = salted{user: id, password: password, salt: make([]byte, 16)}
	_, _ = rand.Read(s.salt) // never fails
	var h func() hash.Hash = sha256.New
	if mechanism == sasl.ScramSha1.Name {
		h = sha1.New
	}
	s.key = sasl.SCRAMSaltPassword(h, []byte(password), s.salt, scramIterations)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.salted[name] = s
	return s
}
