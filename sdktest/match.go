package sdktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// Match says which requests meet a fault of [Server.SetFault]. What is set must all fit. The zero
// Match fits everything.
type Match struct {
	// User is whose request it is (id or JID). At StepDelivery it is the user whom the message is
	// for. It is known at the REST steps (for a login or a registration it is the user whom it is
	// about, for a part of an upload who has begun it), and over XMPP from the SASL exchange on.
	User string
	// Op is what is asked for, at the steps of REST, IQ and messages.
	//
	// Of a REST request it is the path below the API base URL, or its beginning up to a slash, as
	// for FailNext: "contacts/vcard", "media", "storage". A method may come before it, as in
	// "POST media".
	//
	// Of an IQ it is the name, the namespace or the attribute status of its child: "vCard" for a
	// profile, "block", "unblock" and "blocklist", "jabber:iq:last" for GetLastSeen, "block_user"
	// for GetUsersWhoBlockedMe. The type of the IQ may come before it, as in "set vCard".
	//
	// Of a message it is its type, as in Message.Type: "text", "image".
	Op string
	// Nth: it is the n-th that fits User and Op since SetFault, counted from 1. 0: it does not
	// matter which one. Retries of the client count, too.
	Nth int
	// Times is how many meet the fault, one after the other, from Nth on. Then the fault has ended.
	// 0: with Nth one, without it all. Negative: all.
	Times int
}

// The steps at which the user is known, and those at which Op says something.
var (
	stepsOfUser = []Step{
		StepREST, StepRESTAfter, StepStream, StepAuth, StepBind, StepResume, StepIQBefore, StepIQ,
		StepMessageBefore, StepMessage, StepDelivery,
	}
	stepsOfOp = []Step{
		StepREST, StepRESTAfter, StepIQBefore, StepIQ, StepMessageBefore, StepMessage, StepDelivery,
	}
)

// normal is m in the form in which it is compared. domain is the server's. It fails when nothing at
// step fits m.
func (m Match) normal(step Step, domain string) (Match, error) {
	switch {
	case !slices.Contains(Steps(), step):
		return m, fmt.Errorf("there is no step %q", step)
	case m.Nth < 0:
		return m, errors.New("Match.Nth is negative")
	case m.User != "" && !slices.Contains(stepsOfUser, step):
		return m, errors.New("Match.User cannot fit: no user is known here")
	case m.Op != "" && !slices.Contains(stepsOfOp, step):
		return m, errors.New("Match.Op cannot fit: there is only one kind of request here")
	}
	if m.User != "" {
		id := localpart(m.User)
		_, of, isJID := strings.Cut(m.User, "@")
		of, _, _ = strings.Cut(of, "/")
		if id == "" || strings.Trim(id, inIdentifier) != "" || isJID && !strings.EqualFold(of, domain) {
			return m, fmt.Errorf("Match.User %q is no user of %s", m.User, domain)
		}
		m.User = id
	}
	if m.Op != "" {
		verb, name := m.op()
		if step == StepREST || step == StepRESTAfter {
			name = strings.Trim(name, "/")
		}
		if wrong := wrongOp(step, verb, name); wrong != "" {
			return m, fmt.Errorf("Match.Op %q %s", m.Op, wrong)
		}
		m.Op = strings.TrimSpace(verb + " " + name)
	}
	return m, nil
}

// httpMethods are the methods that clients of the service use, preflights of browsers included.
var httpMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions,
}

// wrongOp says why no request at step has that verb and name. Empty: one can have them.
func wrongOp(step Step, verb, name string) string {
	if name == "" || strings.ContainsFunc(name, unicode.IsSpace) {
		return "is not one name"
	}
	switch step {
	case StepREST, StepRESTAfter:
		switch {
		case verb != "" && !slices.Contains(httpMethods, verb):
			return "has no HTTP method before the path"
		case slices.Contains(httpMethods, name):
			return "has no path"
		case underPath(name, "api"):
			return "has a path that does not begin below the API base URL"
		}
	case StepIQBefore, StepIQ:
		switch {
		case verb != "" && !slices.Contains(iqTypes, verb):
			return "has neither get nor set before the name"
		case slices.Contains(iqTypes, name):
			return "has no name"
		}
	default:
		if verb != "" || name != strings.ToLower(name) {
			return "is no type of a message"
		}
	}
	return ""
}

// iqTypes are the types of IQ requests (RFC 6120 8.2.3).
var iqTypes = []string{"get", "set"}

// op is Op taken apart. The verb may be empty.
func (m Match) op() (verb, name string) {
	verb, name, found := strings.Cut(strings.TrimSpace(m.Op), " ")
	if !found {
		return "", verb
	}
	return verb, strings.TrimSpace(name)
}

// meets reports whether the n-th that fits meets the fault.
func (m Match) meets(n int) bool { return n >= m.Nth && !m.usedUp(n-1) }

// usedUp reports whether none meets the fault after n have fit.
func (m Match) usedUp(n int) bool {
	times := m.Times
	if times == 0 && m.Nth > 0 {
		times = 1
	}
	return times > 0 && n-max(0, m.Nth-1) >= times
}

// subject is what a fault may be about. Its zero value is somebody unknown who asks something.
type subject struct {
	user, verb string
	// names are what Match.Op may say of it.
	names []string
	// path is that of a REST request.
	path string
}

func (about subject) fits(m Match) bool {
	if m.User != "" && m.User != about.user {
		return false
	}
	verb, name := m.op()
	if verb != "" && verb != about.verb {
		return false
	}
	return name == "" || underPath(about.path, name) || slices.Contains(about.names, name)
}

// underPath reports whether a path is another one, or below it.
func underPath(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }

// restSubject is a REST request.
func (s *Server) restSubject(op string, r Request) subject {
	about := subject{user: r.User, verb: r.Method, path: op}
	if about.user == "" {
		about.user = s.namedUser(op, r.Body)
	}
	return about
}

// namedUser is the user whom a request without a token is about. Empty: it is not said.
func (s *Server) namedUser(op, body string) string {
	if token, isPart := strings.CutPrefix(op, strings.Trim(storageRoot, "/")+"/"); isPart {
		token, _, _ = strings.Cut(token, "/")
		if u := s.media.upload(token); u != nil {
			return u.Owner
		}
		return ""
	}
	var named struct {
		Username       string `json:"username"`
		UserIdentifier string `json:"userIdentifier"`
	}
	if op != "login" && op != "register" && op != "sandbox/register" ||
		(&call{body: []byte(body)}).decode(&named) != nil {
		return ""
	}
	return strings.ToLower(named.Username + named.UserIdentifier)
}

// iqSubject is an IQ request of st.
func (st *stream) iqSubject(iq *element) subject {
	about := subject{user: st.user, verb: iq.attr("type")}
	if q := iq.first(); q != nil {
		about.names = []string{q.name.Local, q.name.Space, q.attr("status")}
	}
	return about
}

// messageSubject is a message with a body. user is whom it is from, or whom it is for.
func messageSubject(user string, m *element) subject {
	return subject{user: user, names: []string{typeOf(m)}}
}

// typeOf is the message_type of a message. Empty: it names none.
func typeOf(m *element) string {
	for _, name := range []string{"chatcontent", "body"} {
		if c := m.child(name); c != nil && c.attr("message_type") != "" {
			return c.attr("message_type")
		}
	}
	return ""
}
