package xmpp

import "time"

// checkAlive is what the keepalive timer runs, never twice at once. A server
// that has been silent for the interval is pinged (XEP-0199); if it stays silent
// for the timeout the session is ended from here: the read loop may be stuck in
// a read that will never return.
func (s *Session) checkAlive() {
	now := time.Since(s.started)
	heard := time.Duration(s.lastRead.Load())
	next := s.keepAliveInterval - (now - heard)
	if s.pingedAt > heard {
		s.end(errNoAnswer)
		return
	}
	if next <= 0 {
		s.pingedAt = now
		next = s.keepAliveTimeout
		// Fails only when the session has ended.
		_ = s.tell(&iq{to: s.jid.Domain, kind: kindGet, payload: empty(nsPing, "ping")}, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.keepAlive.Reset(next)
	}
}
