package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const phoneTimeout = 20 * time.Second // in which the web side has to log in

// order is what the forms of the page send. Each form uses some of the fields.
type order struct {
	User    string `json:"user"`
	To      string `json:"to"`
	Text    string `json:"text"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Op      string `json:"op"`
	Code    int    `json:"code"`
	Step    string `json:"step"`
	Kind    string `json:"kind"`
	Nth     int    `json:"nth"`
	Times   int    `json:"times"`
	Feature string `json:"feature"`
	On      bool   `json:"on"`
	Count   int    `json:"count"`
	// RetryAfter is the header Retry-After: seconds or a date (RFC 9110 10.2.3).
	RetryAfter string `json:"retryAfter"`
}

// orders are by the last part of their address.
var orders = map[string]struct {
	// fields are the names of those that the order uses.
	fields string
	// do returns a text about what it has done.
	do func(p *page, ctx context.Context, o order) (string, error)
}{
	"register": {"user", (*page).register},
	"block":    {"user to", (*page).block},
	"unblock":  {"user to", (*page).unblock},
	"delete":   {"user text", (*page).deleteAccount},
	"drop":     {"", (*page).drop},
	"restart":  {"", (*page).restartServer},
	"tokens":   {"", (*page).expireTokens},
	"codes":    {"", (*page).expireQR},
	"fail":     {"op code text retryAfter", (*page).failNext},
	"refuse":   {"text", (*page).refuseNext},
	"delay":    {"count", (*page).delay},
	"fault":    {"step kind user op nth times", (*page).setFault},
	"clear":    {"", (*page).clearFaults},
	"feature":  {"feature on", (*page).setFeature},
	"sessions": {"count", (*page).setMaxSessions},
	"admin":    {"user on", (*page).blockByAdmin},
	"profile":  {"user name status", (*page).setProfile},
	"push":     {"user text", (*page).push},
	"write":    {"user to text", (*page).write},
	"typing":   {"user to on", (*page).typing},
	"scan":     {"user text", (*page).scan},
	"reject":   {"user text", (*page).reject},
	"logout":   {"user", (*page).logoutWeb},
}

// answer is the answer to an order.
type answer struct {
	Said  string `json:"said,omitempty"`
	Error string `json:"error,omitempty"`
}

// order serves POST /_dev/do/{order}. It only takes JSON, which a form of another site cannot send.
func (p *page) order(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		reply(w, http.StatusUnsupportedMediaType, answer{Error: "want application/json"})
		return
	}
	wanted, found := orders[req.PathValue("order")]
	if !found {
		reply(w, http.StatusNotFound, answer{
			Error: "there is no such order; there are " + strings.Join(slices.Sorted(maps.Keys(orders)), ", "),
		})
		return
	}
	// This cannot fail: the writers of net/http have deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
	o, err := readOrder(http.MaxBytesReader(w, req.Body, maxOrder), strings.Fields(wanted.fields))
	if err != nil {
		reply(w, http.StatusBadRequest, answer{Error: err.Error()})
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	said, err := wanted.do(p, req.Context(), o)
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, answer{Error: strings.TrimPrefix(err.Error(), "sdktest: ")})
		return
	}
	reply(w, http.StatusOK, answer{Said: said})
	if req.PathValue("order") == "restart" {
		p.wishRestart() // only now: it ends this connection, too
	}
}

// readOrder reads one JSON object that has none but the named fields: an order with another one is
// a slip of the pen, and would do less or more than it says.
func readOrder(body io.Reader, names []string) (o order, err error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return o, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, errors.New("more than one JSON object")
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return o, err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		// As package encoding/json, which ignores the case of names.
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return o, fmt.Errorf("this order has no field %q; it has %q", name, names)
		}
	}
	// As the service does: the case of a user id does not matter.
	o.User, o.To = strings.ToLower(o.User), strings.ToLower(o.To)
	return o, nil
}

func reply(w http.ResponseWriter, status int, a answer) {
	raw, err := json.Marshal(a)
	if err != nil {
		panic(err) // two strings cannot fail
	}
	w.Header().Set("Content-Type", "application/json")
	// With a length the answer is complete when it is flushed.
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw) // it fails when the page was closed
	_ = http.NewResponseController(w).Flush()
}

func (p *page) drop(context.Context, order) (string, error) {
	p.srv.DropConnections()
	return "All connections are cut, but the page's.", nil
}

func (p *page) restartServer(context.Context, order) (string, error) {
	return "The service restarts. The page comes back by itself.", nil
}

func (p *page) wishRestart() {
	select {
	case p.restart <- struct{}{}:
	default: // a restart is already wanted
	}
}

func (p *page) expireTokens(context.Context, order) (string, error) {
	p.srv.ExpireTokens()
	return "All REST tokens have expired.", nil
}

func (p *page) expireQR(context.Context, order) (string, error) {
	p.srv.ExpireQR()
	return "All QR codes that nobody has scanned are replaced.", nil
}

func (p *page) setFeature(_ context.Context, o order) (string, error) {
	features := p.srv.Features()
	if _, known := features[o.Feature]; !known {
		return "", fmt.Errorf("there is no feature %q; there are %q", o.Feature, slices.Sorted(maps.Keys(features)))
	}
	p.srv.SetFeature(o.Feature, o.On)
	return fmt.Sprintf("Feature %s: %s. Clients see it when they next register or connect.",
		o.Feature, onOff(o.On)), nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (p *page) setMaxSessions(_ context.Context, o order) (string, error) {
	if o.Count < 0 {
		return "", errors.New("the number of sessions is 0 (no limit) or more")
	}
	p.srv.SetMaxSessions(o.Count)
	if o.Count == 0 {
		return "A user may have any number of sessions.", nil
	}
	return fmt.Sprintf("Sessions that a user may have: %d.", o.Count), nil
}

func (p *page) blockByAdmin(_ context.Context, o order) (string, error) {
	if err := p.knows(o.User); err != nil {
		return "", err
	}
	p.srv.BlockByAdmin(o.User, o.On)
	if o.On {
		return o.User + " is blocked by the administrator.", nil
	}
	return o.User + " is not blocked any more.", nil
}

func (p *page) knows(user string) error {
	if !slices.Contains(p.srv.Users(), user) {
		return fmt.Errorf("there is no user %q", user)
	}
	return nil
}

func (p *page) setProfile(ctx context.Context, o order) (string, error) {
	pr := p.srv.Profile(o.User) // the other fields stay as they are
	pr.NickName, pr.Status = o.Name, o.Status
	if err := p.srv.SetProfile(ctx, o.User, pr); err != nil {
		return "", err
	}
	return o.User + " has another profile.", nil
}

func (p *page) push(_ context.Context, o order) (string, error) {
	if err := p.knows(o.User); err != nil {
		return "", err
	}
	n := p.srv.Push(o.User, o.Text)
	if n == 0 {
		return "", fmt.Errorf("%s is not connected", o.User)
	}
	return fmt.Sprintf("Sent to %s, sessions: %d.", o.User, n), nil
}

// write sends a message as the chat window of the user does, or without one as an app would.
func (p *page) write(ctx context.Context, o order) (string, error) {
	if err := p.knows(o.To); err != nil {
		return "", err
	}
	s, err := p.chats.of(o.User)
	switch {
	case err == nil:
		_, err = s.SendTextMessage(ctx, p.jid(o.To), o.Text)
	case strings.TrimSpace(o.Text) == "":
		err = errors.New("the text is empty")
	default:
		_, err = p.srv.SendMessage(ctx, o.User, o.To, o.Text)
	}
	return "The message is sent.", err
}

func (p *page) typing(ctx context.Context, o order) (string, error) {
	s, err := p.chats.of(o.User)
	if err != nil {
		return "", err
	}
	tell := s.SendTypingGoneStatus
	if o.On {
		tell = s.SendTypingStatus
	}
	_, err = tell(ctx, p.jid(o.To))
	return o.To + " knows.", err
}

func (p *page) scan(ctx context.Context, o order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, phoneTimeout)
	defer cancel()
	if err := p.srv.Phone(o.User).Scan(ctx, strings.TrimSpace(o.Text)); err != nil {
		return "", err
	}
	return o.User + " has logged in by QR code.", nil
}

func (p *page) reject(ctx context.Context, o order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, phoneTimeout)
	defer cancel()
	if err := p.srv.Phone(o.User).Reject(ctx, strings.TrimSpace(o.Text)); err != nil {
		return "", err
	}
	return "The QR login is refused.", nil
}

func (p *page) logoutWeb(ctx context.Context, o order) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, phoneTimeout)
	defer cancel()
	if err := p.srv.Phone(o.User).LogoutWeb(ctx); err != nil {
		return "", err
	}
	return "The QR sessions of " + o.User + " have ended.", nil
}
