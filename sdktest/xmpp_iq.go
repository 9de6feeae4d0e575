package sdktest

import (
	"cmp"
	"context"
	"strconv"
	"time"
)

// iqError is the error answer to an IQ.
func iqError(iq *element, kind, condition, text string) *element {
	return stanzaError(iq, kind, condition, text, nil)
}

// iqResult is the answer to an IQ, with payload if there is any.
func iqResult(iq, payload *element) *element {
	return el(nsClient, "iq", "type", "result", "id", iq.attr("id"), "from", iq.attr("to")).add(payload)
}

// iq answers an IQ, or forwards it to a stream of another user.
func (st *stream) iq(iq *element) error {
	id, kind := iq.attr("id"), iq.attr("type")
	user, resource, local := st.srv.hub.split(cmp.Or(iq.attr("to"), st.srv.jid(st.user)))
	stream := local && user != "" && resource != "" // it is for a stream, not for the service
	if kind == "result" || kind == "error" {
		if stream {
			st.srv.hub.relay(st, iq, user, resource)
		}
		return nil
	}
	valid := id != "" && (kind == "get" || kind == "set") && len(iq.children()) == 1
	if stream && valid && st.srv.hub.relay(st, iq, user, resource) {
		return nil
	}
	about := st.iqSubject(iq)
	refused, err := st.before(st.srv.fault(StepIQBefore, about))
	if err != nil {
		return err
	}
	fault := st.srv.fault(StepIQ, about)
	switch {
	case refused || fault == FaultError:
		return st.answer(iqError(iq, "wait", "internal-server-error", ""), FaultNone)
	case !valid:
		return st.answer(iqError(iq, "modify", "bad-request", ""), fault)
	case stream:
		return st.answer(iqError(iq, "cancel", "service-unavailable", ""), fault)
	case local && user != "" && user != st.user:
		return st.answer(st.askAbout(user, iq), fault)
	case !local:
		return st.answer(iqError(iq, "cancel", "remote-server-not-found", ""), fault)
	}
	reply, after := st.askMine(user, iq)
	if kind == "set" && st.srv.commit() != nil {
		reply, after = iqError(iq, "wait", "internal-server-error", ""), nil
	}
	done := reply.attr("type") == "result"
	err = st.answer(reply, fault)
	if after != nil && done { // whatever has become of the answer: the change has taken effect
		after()
	}
	return err
}

// answer sends the answer to an IQ, with the fault of StepIQ.
func (st *stream) answer(reply *element, kind FaultKind) error {
	reply.set("to", st.jid)
	if reply.attr("from") == "" { // an IQ without an address is for the account
		reply.set("from", st.srv.jid(st.user))
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	if kind == FaultWrongSender {
		reply.set("from", strangerJID)
	}
	st.send(reply.String())
	return nil
}

// before applies the fault of StepIQBefore or StepMessageBefore. refused: the request is refused.
func (st *stream) before(kind FaultKind) (refused bool, err error) {
	switch kind {
	case FaultClose:
		return false, errCut
	case FaultSilent:
		for err == nil {
			_, err = st.t.read() // until the client gives up
		}
	}
	return kind == FaultError, err
}

// askAbout answers an IQ to another user's bare JID.
func (st *stream) askAbout(user string, iq *element) *element {
	q := iq.first()
	a, exists := st.srv.store.view(user)
	switch {
	case iq.attr("type") == "set":
		return iqError(iq, "auth", "forbidden", "")
	case !exists:
		return iqError(iq, "cancel", "item-not-found", "")
	case st.srv.store.hasBlocked(st.user, user): // XEP-0191 3.4
		return stanzaError(iq, "cancel", "not-acceptable", "", el(nsBlockErr, "blocked"))
	case st.srv.store.hasBlocked(user, st.user):
		return iqError(iq, "cancel", "service-unavailable", "")
	case q.is(nsLast, "query"):
		return iqResult(iq, st.srv.lastSeen(user, a))
	case q.is(nsVCard, "vCard"):
		return iqResult(iq, storedVCard(a))
	}
	return iqError(iq, "cancel", "service-unavailable", "")
}

// lastSeen is XEP-0012: 0 while the user has a stream that has not sent unavailable
// presence (protocol.md 5.3).
func (s *Server) lastSeen(user string, a account) *element {
	seconds := 0
	if !s.hub.isOnline(user) {
		seconds = max(0, int(time.Since(a.LastSeen).Seconds()))
	}
	return el(nsLast, "query", "seconds", strconv.Itoa(seconds))
}

func storedVCard(a account) *element {
	if card, err := parseElement([]byte(a.VCard)); err == nil {
		return card
	}
	return el(nsVCard, "vCard")
}

// askMine answers an IQ to the service (user is "") or to the user's own account.
// after is called when the answer was queued.
func (st *stream) askMine(user string, iq *element) (reply *element, after func()) {
	q := iq.first()
	get := iq.attr("type") == "get"
	s := st.srv
	switch {
	case q.is(nsPing, "ping") && get:
		return iqResult(iq, nil), nil
	case q.is(nsSession, "session") && !get:
		return iqResult(iq, nil), nil
	case q.is(nsCarbons, "enable") && !get:
		s.hub.setCarbons(st, true)
		return iqResult(iq, nil), nil
	case q.is(nsCarbons, "disable") && !get:
		s.hub.setCarbons(st, false)
		return iqResult(iq, nil), nil
	case q.is(nsLast, "query") && get && user == "":
		return iqResult(iq, el(nsLast, "query", "seconds", strconv.Itoa(int(time.Since(s.hub.start).Seconds())))), nil
	case q.is(nsDiscoInfo, "query") && get:
		return iqResult(iq, discoInfo()), nil
	case q.is(nsDiscoItems, "query") && get:
		return iqResult(iq, el(nsDiscoItems, "query")), nil
	case user == "" && iq.attr("to") != "":
		return iqError(iq, "cancel", "service-unavailable", ""), nil
	}
	return st.askAccount(iq, q, get)
}

// askAccount answers an IQ to the user's own account.
func (st *stream) askAccount(iq, q *element, get bool) (reply *element, after func()) {
	s := st.srv
	a, _ := s.store.view(st.user)
	switch {
	case q.is(nsLast, "query") && get:
		return iqResult(iq, s.lastSeen(st.user, a)), nil
	case q.is(nsRoster, "query") && get:
		return iqResult(iq, s.roster(st.user)), nil
	case q.is(nsVCard, "vCard") && get:
		return iqResult(iq, storedVCard(a)), nil
	case q.is(nsVCard, "vCard"):
		if text := s.overLimit(st.user, q); text != "" {
			return iqError(iq, "modify", "not-acceptable", text), nil
		}
		if !s.store.setVCard(st.user, q.String()) {
			return iqError(iq, "cancel", "item-not-found", ""), nil
		}
		return iqResult(iq, nil), func() { yield(st.ctx, s.hub.pushVCard(st.user, q)) }
	case q.is(nsBlocking, "blocklist") && get:
		return iqResult(iq, blocklist(a)), nil
	case (q.is(nsBlocking, "block") || q.is(nsBlocking, "unblock")) && !get:
		return st.changeBlocklist(iq, q)
	case q.is(nsActivities, "query"):
		return st.activities(iq, q, get)
	}
	return iqError(iq, "cancel", "service-unavailable", ""), nil
}

// activities answers the queries of the service's own namespace (protocol.md 5.6, 5.11).
func (st *stream) activities(iq, q *element, get bool) (reply *element, after func()) {
	s := st.srv
	status := q.attr("status")
	switch {
	case get && status == "block_user":
		list := el("", "blocklist")
		for _, id := range s.store.blockers(st.user) {
			list.add(el("", "members").txt(s.jid(id)))
		}
		return iqResult(iq, el(nsActivities, "query", "status", status).add(list)), nil
	case get && historyStatuses[status] != nil:
		list := historyStatuses[status](st, q)
		if list == nil {
			return iqError(iq, "modify", "jid-malformed", ""), nil
		}
		return iqResult(iq, el(nsActivities, "query", "status", status).add(list)), nil
	case !get && status == "user_logout":
		s.signal.loggedOut(st.user, q.attr("socket_id"))
		return iqResult(iq, nil), nil
	case !get && status == "register_update":
		user, _, local := s.hub.split(q.attr("to_user"))
		if !local || user == "" {
			return iqError(iq, "modify", "jid-malformed", ""), nil
		}
		return iqResult(iq, nil), func() { s.hub.notifyFrom(st.user, user, el("", "register_update")) }
	}
	return iqError(iq, "modify", "bad-request", ""), nil
}

// roster lists the contacts with their profiles (protocol.md 6.5).
func (s *Server) roster(user string) *element {
	q := el(nsRoster, "query", "contact_permission", "1")
	for _, id := range s.store.ids() {
		a, exists := s.store.view(id)
		if !exists || !s.hub.contacts(user, id) {
			continue
		}
		card := el(nsVCard, "vCard")
		if !s.store.hasBlocked(id, user) {
			f := s.profileFields(context.Background(), id, a)
			for _, name := range vCardFields {
				card.add(el("", name).txt(f[name]))
			}
		}
		blocked := "0"
		if a.AdminBlocked {
			blocked = "1"
		}
		card.add(el("", "is_admin_blocked").txt(blocked))
		q.add(el("", "item", "jid", s.jid(id), "subscription", "both").add(el("", "profile").add(card)))
	}
	return q
}

func discoInfo() *element {
	q := el(nsDiscoInfo, "query").add(el("", "identity", "category", "server", "type", "im", "name", "sdktest"))
	for _, ns := range []string{nsDiscoInfo, nsPing, nsCarbons, nsVCard, nsLast, nsBlocking} {
		q.add(el("", "feature", "var", ns))
	}
	return q
}

func (h *hub) setCarbons(st *stream, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.carbons = on
}

// relay forwards an IQ to one stream of another user. It returns false when that is not possible.
func (h *hub) relay(st *stream, iq *element, user, resource string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.streams[user][resource]
	if to == nil || h.blockedEither(st.user, user) {
		return false
	}
	to.send(iq.readdressed(st.jid, to.jid).String())
	return true
}

// pushVCard sends a new profile to the user's own streams and to those of all
// contacts: an IQ result without a request (protocol.md 6.2). Streams that have not
// sent presence yet get it too, because their clients are connected. It returns the streams.
func (h *hub) pushVCard(user string, card *element) []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	targets := h.ofLocked(user)
	for _, other := range h.othersLocked(user) {
		targets = append(targets, h.ofLocked(other)...)
	}
	for _, st := range targets {
		push := el(nsClient, "iq", "type", "result", "id", randomHex(8), "from", h.srv.jid(user), "to", st.jid)
		st.send(push.add(card).String())
	}
	return targets
}

// notifyFrom sends a message of one user to all streams of another.
func (h *hub) notifyFrom(from, to string, child *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.blockedEither(from, to) {
		return
	}
	for _, st := range h.ofLocked(to) {
		m := el(nsClient, "message", "from", h.srv.jid(from), "to", st.jid, "id", randomHex(8), "type", "headline")
		st.send(m.add(child).String())
	}
}
