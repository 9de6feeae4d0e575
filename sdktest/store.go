package sdktest

import (
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"
)

// Bounds of what the server remembers.
const (
	maxAccounts = 100_000
	maxBlocked  = 10_000 // per user
	maxTokens   = 64     // per user
	maxEntries  = 1000   // of feedback, reports and deletions each: the oldest are dropped
	tokenLife   = time.Hour
)

// store is everything that the service remembers. mu is never held during I/O, and only the lock of
// changes is taken while it is held.
type store struct {
	domain string
	// saved is Options.StateStore. nil: nothing is saved.
	saved StateStore
	// kept are the certificates that saved had, by their key. Only Start uses it.
	kept map[string]*tls.Certificate
	// saving is held by the commit that saves now.
	saving sync.Mutex
	// changes are told of every change of state.
	changes *changes

	mu sync.Mutex
	// pending are the changes of state that are not saved yet, as JSON. nil: the entry is gone.
	pending map[entry][]byte
	state   state
	// tokens and salted are not saved. The keys of salted are mechanism and user.
	tokens map[string]token
	salted map[string]salted
}

// state is what a StateStore keeps. Code that changes it calls keepLocked or forgetLocked.
type state struct {
	// IV is for chat texts, IVProfile for profiles (protocol.md 3).
	IV        string
	IVProfile string
	Accounts  map[string]*account
	Media     map[string]medium
	Feedback  series[Feedback]
	Reports   series[Report]
	Deleted   series[Deletion]
	// Waiting are by user. nil: nothing waits.
	Waiting map[string]*mailbox
	// Conversations are by both users, either first. nil: there are none.
	Conversations map[string]map[string]*conversation
	// messages is how many there are in Conversations, rows how many there ever were.
	messages int
	rows     uint64
}

// account is a registered user. Its key is the user id, which is the identifier.
type account struct {
	Password string    `json:"password"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"lastSeen"`
	// VCard is XML, as it was set.
	VCard          string `json:"vCard,omitempty"`
	ProfileUpdated bool   `json:"profileUpdated,omitempty"`
	AdminBlocked   bool   `json:"adminBlocked,omitempty"`
	// Blocked are bare JIDs, oldest first.
	Blocked []string `json:"blocked,omitempty"`
	// Contacts are the ids of users with whom a message was exchanged.
	Contacts map[string]bool `json:"contacts,omitempty"`
	Metadata map[string]any  `json:"metadata,omitempty"`
	// Sessions are the ids of registrations that were not logged out, oldest first.
	Sessions []string `json:"sessions,omitempty"`
}

// token is a REST authorization.
type token struct {
	user string
	// session is the registration that the token belongs to. Empty: it comes from a login without a
	// registration.
	session string
	expires time.Time
}

// Feedback is what a user sent with SendFeedback.
type Feedback struct {
	// Time is when it came.
	Time time.Time `json:"time"`
	// User is the id of the user.
	User string `json:"user"`
	// Title is as sent.
	Title string `json:"title"`
	// Description is as sent.
	Description string `json:"description"`
}

// Report is what a user sent with ReportUserOrGroup.
type Report struct {
	// Time is when it came.
	Time time.Time `json:"time"`
	// From is the id of the user who reports.
	From string `json:"from"`
	// To is the JID of the user or the group.
	To string `json:"to"`
	// ChatType is "chat" or "groupchat".
	ChatType string `json:"chatType"`
	// Data are the reported messages as JSON, as sent.
	Data string `json:"data"`
}

// Deletion is an account that was deleted.
type Deletion struct {
	// Time is when it was deleted.
	Time time.Time `json:"time"`
	// User is the id of the user.
	User string `json:"user"`
	// Reason is as sent.
	Reason string `json:"reason"`
	// Feedback is as sent. It may be empty.
	Feedback string `json:"feedback"`
}

var (
	errNoUser      = errors.New("no such user")
	errMaxSessions = errors.New("too many sessions")
	errFull        = errors.New("too many entries")
)

func newStore(domain string, saved StateStore, told *changes) (*store, error) {
	st := &store{
		domain: domain, saved: saved, changes: told, tokens: map[string]token{}, salted: map[string]salted{},
	}
	st.state = state{
		IV: randomHex(8), IVProfile: randomHex(8),
		Accounts: map[string]*account{}, Media: map[string]medium{},
	}
	if saved == nil {
		return st, nil
	}
	st.pending, st.kept = map[entry][]byte{}, map[string]*tls.Certificate{}
	if err := st.load(); err != nil {
		return nil, err
	}
	return st, nil
}

// randomHex is n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func (st *store) ivs() (chat, profile string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.state.IV, st.state.IVProfile
}

// registration is what register returns.
type registration struct {
	password          string
	existing, updated bool
	token             string
	// sessionsEnded is how many old sessions were ended, because the limit was reached.
	sessionsEnded int
	// remainingOnlineMax is how many older XMPP sessions may stay. -1: all.
	remainingOnlineMax int
}

// register makes an account or finds it, and opens a session of it.
func (st *store) register(id string, force bool, meta map[string]any, limit int) (registration, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	a, existing := st.state.Accounts[id]
	if !existing {
		if len(st.state.Accounts) >= maxAccounts {
			return registration{}, errFull
		}
		a = &account{Password: randomHex(8), Created: time.Now(), LastSeen: time.Now()}
		st.state.Accounts[id] = a
	}
	r := registration{password: a.Password, existing: existing, updated: a.ProfileUpdated, remainingOnlineMax: -1}
	if limit > 0 && len(a.Sessions) >= limit {
		if !force {
			return registration{}, errMaxSessions
		}
		r.sessionsEnded = len(a.Sessions) - limit + 1
		for _, s := range a.Sessions[:r.sessionsEnded] {
			st.dropTokensLocked(func(t token) bool { return t.user == id && (t.session == s || t.session == "") })
		}
		a.Sessions = slices.Clone(a.Sessions[r.sessionsEnded:])
		r.remainingOnlineMax = limit - 1
	}
	session := randomHex(8)
	a.Sessions = append(a.Sessions, session)
	if len(a.Sessions) > maxTokens {
		a.Sessions = slices.Clone(a.Sessions[len(a.Sessions)-maxTokens:])
	}
	if meta != nil {
		a.Metadata = meta
	}
	r.token = st.issueLocked(id, session)
	st.keepLocked(kindAccounts, id, a)
	return r, nil
}

// login opens a REST token. It belongs to the newest session, or to a new one.
func (st *store) login(id string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return ""
	}
	if len(a.Sessions) == 0 {
		a.Sessions = []string{randomHex(8)}
		st.keepLocked(kindAccounts, id, a)
	}
	return st.issueLocked(id, a.Sessions[len(a.Sessions)-1])
}

// issueLocked makes a token. st.mu must be held.
func (st *store) issueLocked(user, session string) string {
	now := time.Now()
	n := 0
	oldest, oldestAt := "", now.Add(2*tokenLife)
	for k, t := range st.tokens {
		if t.user != user {
			continue
		}
		if n++; t.expires.Before(oldestAt) {
			oldest, oldestAt = k, t.expires
		}
	}
	if n >= maxTokens {
		delete(st.tokens, oldest)
	}
	key := randomHex(24)
	st.tokens[key] = token{user: user, session: session, expires: now.Add(tokenLife)}
	return key
}

// dropTokensLocked forgets tokens. st.mu must be held.
func (st *store) dropTokensLocked(which func(token) bool) {
	for k, t := range st.tokens {
		if which(t) {
			delete(st.tokens, k)
		}
	}
}

// userOf is the user whose valid token this is, or "".
func (st *store) userOf(key string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	t, ok := st.tokens[key]
	if !ok || time.Now().After(t.expires) || st.state.Accounts[t.user] == nil {
		return ""
	}
	return t.user
}

func (st *store) expireTokens() {
	st.mu.Lock()
	defer st.mu.Unlock()
	clear(st.tokens)
}

// logout ends the session that a token belongs to.
func (st *store) logout(key string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	t, ok := st.tokens[key]
	if !ok {
		return
	}
	delete(st.tokens, key)
	if a := st.state.Accounts[t.user]; a != nil {
		a.Sessions = slices.DeleteFunc(a.Sessions, func(s string) bool { return s == t.session })
		st.keepLocked(kindAccounts, t.user, a)
	}
}

// checkPassword reports whether id has that password.
func (st *store) checkPassword(id, password string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	return a != nil && subtle.ConstantTimeCompare([]byte(a.Password), []byte(password)) == 1
}

func (st *store) exists(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.state.Accounts[id] != nil
}

func (st *store) ids() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := make([]string, 0, len(st.state.Accounts))
	for id := range st.state.Accounts {
		out = append(out, id)
	}
	sort.Strings(out)
	return out
}

// view is a copy of an account without contacts, sessions and metadata.
func (st *store) view(id string) (account, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return account{}, false
	}
	c := *a
	c.Blocked, c.Contacts, c.Sessions, c.Metadata = slices.Clone(a.Blocked), nil, nil, nil
	return c, true
}

func (st *store) setAdminBlocked(id string, blocked bool) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return false
	}
	a.AdminBlocked = blocked
	if blocked {
		st.dropTokensLocked(func(t token) bool { return t.user == id })
	}
	st.keepLocked(kindAccounts, id, a)
	return true
}

func (st *store) setVCard(id, xml string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return false
	}
	a.VCard, a.ProfileUpdated = xml, true
	st.keepLocked(kindAccounts, id, a)
	return true
}

func (st *store) seen(id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if a := st.state.Accounts[id]; a != nil {
		a.LastSeen = time.Now()
		st.keepLocked(kindAccounts, id, a)
	}
}

// remove deletes an account and everything that refers to it.
func (st *store) remove(id, reason, feedback string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state.Accounts[id] == nil {
		return false
	}
	delete(st.state.Accounts, id)
	st.forgetLocked(kindAccounts, id)
	st.forgetMessagesLocked(id)
	st.dropTokensLocked(func(t token) bool { return t.user == id })
	for k, s := range st.salted {
		if s.user == id {
			delete(st.salted, k)
		}
	}
	jid := id + "@" + st.domain
	for other, a := range st.state.Accounts {
		i := slices.Index(a.Blocked, jid)
		if i >= 0 {
			a.Blocked = slices.Delete(a.Blocked, i, i+1)
		}
		if i >= 0 || a.Contacts[id] {
			delete(a.Contacts, id)
			st.keepLocked(kindAccounts, other, a)
		}
	}
	deleted := Deletion{Time: time.Now(), User: id, Reason: reason, Feedback: feedback}
	st.state.Deleted.addLocked(st, kindDeleted, deleted)
	return true
}

// block puts bare JIDs on the list of id and returns those that were not on it.
func (st *store) block(id string, jids []string) ([]string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return nil, errNoUser
	}
	if len(a.Blocked)+len(jids) > maxBlocked {
		return nil, errFull
	}
	var added []string
	for _, j := range jids {
		if !slices.Contains(a.Blocked, j) {
			a.Blocked = append(a.Blocked, j)
			added = append(added, j)
		}
	}
	st.keepLocked(kindAccounts, id, a)
	return added, nil
}

// unblock takes JIDs off the list of id and returns those that were on it. Without JIDs it takes
// all off.
func (st *store) unblock(id string, jids []string) []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return nil
	}
	if len(jids) == 0 {
		jids = slices.Clone(a.Blocked)
	}
	var removed []string
	for _, j := range jids {
		if i := slices.Index(a.Blocked, j); i >= 0 {
			a.Blocked = slices.Delete(a.Blocked, i, i+1)
			removed = append(removed, j)
		}
	}
	st.keepLocked(kindAccounts, id, a)
	return removed
}

// hasBlocked reports whether owner blocked other; both are user ids.
func (st *store) hasBlocked(owner, other string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[owner]
	return a != nil && slices.Contains(a.Blocked, other+"@"+st.domain)
}

// blockers are the ids of those who blocked id.
func (st *store) blockers(id string) []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := []string{}
	for other, a := range st.state.Accounts {
		if slices.Contains(a.Blocked, id+"@"+st.domain) {
			out = append(out, other)
		}
	}
	sort.Strings(out)
	return out
}

func (st *store) addFeedback(f Feedback) {
	st.mu.Lock()
	defer st.mu.Unlock()
	f.Time = time.Now()
	st.state.Feedback.addLocked(st, kindFeedback, f)
}

func (st *store) addReport(r Report) {
	st.mu.Lock()
	defer st.mu.Unlock()
	r.Time = time.Now()
	st.state.Reports.addLocked(st, kindReports, r)
}
