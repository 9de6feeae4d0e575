package main

import (
	"cmp"
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

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	phoneTimeout = 20 * time.Second // in which the web side has to log in
	maxDelay     = time.Minute
	maxFailures  = 100 // calls that will fail
)

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
	Feature string `json:"feature"`
	On      bool   `json:"on"`
	Count   int    `json:"count"`
}

// orders are by the last part of their address. Each returns a text about what it has done.
var orders = map[string]func(p *page, ctx context.Context, o order) (string, error){
	"register": (*page).register,
	"block":    (*page).block,
	"unblock":  (*page).unblock,
	"delete":   (*page).deleteAccount,
	"drop":     (*page).drop,
	"restart":  (*page).restartServer,
	"tokens":   (*page).expireTokens,
	"codes":    (*page).expireQR,
	"fail":     (*page).failNext,
	"refuse":   (*page).refuseNext,
	"delay":    (*page).delay,
	"fault":    (*page).setFault,
	"clear":    (*page).clearFaults,
	"feature":  (*page).setFeature,
	"sessions": (*page).setMaxSessions,
	"admin":    (*page).blockByAdmin,
	"profile":  (*page).setProfile,
	"push":     (*page).push,
	"write":    (*page).write,
	"typing":   (*page).typing,
	"scan":     (*page).scan,
	"reject":   (*page).reject,
	"logout":   (*page).logoutWeb,
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
	do, found := orders[req.PathValue("order")]
	if !found {
		reply(w, http.StatusNotFound, answer{
			Error: "there is no such order; there are " + strings.Join(slices.Sorted(maps.Keys(orders)), ", "),
		})
		return
	}
	// This cannot fail: the writers of net/http have deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
	var o order
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxOrder))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		reply(w, http.StatusBadRequest, answer{Error: err.Error()})
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		reply(w, http.StatusBadRequest, answer{Error: "more than one JSON object"})
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	said, err := do(p, req.Context(), o)
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, answer{Error: strings.TrimPrefix(err.Error(), "sdktest: ")})
		return
	}
	reply(w, http.StatusOK, answer{Said: said})
	if req.PathValue("order") == "restart" {
		p.wishRestart() // only now: it ends this connection, too
	}
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

func (p *page) failNext(_ context.Context, o order) (string, error) {
	op := strings.Trim(strings.TrimPrefix(strings.TrimSpace(o.Op), "/api/v1"), "/")
	switch {
	case op == "":
		return "", errors.New("which call? Its path below the API base URL is wanted, such as contacts/vcard")
	case o.Code < 200 || o.Code > 599:
		return "", errors.New("the status is a number from 200 to 599")
	case len(p.srv.Faults().Next) >= maxFailures:
		return "", errors.New("too many calls are going to fail already")
	}
	p.srv.FailNext(op, o.Code, o.Text)
	return fmt.Sprintf("The next call of %s fails with %d.", op, o.Code), nil
}

// inCondition are the characters of a stanza error's condition.
const inCondition = "abcdefghijklmnopqrstuvwxyz-"

func (p *page) refuseNext(_ context.Context, o order) (string, error) {
	condition := cmp.Or(strings.TrimSpace(o.Text), "policy-violation")
	switch {
	case len(condition) > 50 || strings.Trim(condition, inCondition) != "":
		return "", errors.New("the condition is a name of RFC 6120 8.3.3, such as policy-violation")
	case len(p.srv.Faults().Refusals) >= maxFailures:
		return "", errors.New("too many messages are going to be refused already")
	}
	p.srv.RefuseNextMessage(condition)
	return fmt.Sprintf("The next message is refused with %s.", condition), nil
}

func (p *page) delay(_ context.Context, o order) (string, error) {
	d := time.Duration(o.Count) * time.Millisecond
	if o.Count < 0 || o.Count > int(maxDelay/time.Millisecond) {
		return "", fmt.Errorf("the delay is a number of milliseconds, up to %d", maxDelay.Milliseconds())
	}
	p.srv.Delay(d)
	if d == 0 {
		return "Answers come at once.", nil
	}
	return fmt.Sprintf("Every answer waits %s.", d), nil
}

func (p *page) setFault(_ context.Context, o order) (string, error) {
	step, kind := sdktest.Step(o.Step), sdktest.FaultKind(o.Kind)
	if !slices.Contains(sdktest.Steps(), step) {
		return "", fmt.Errorf("there is no step %q; there are %q", o.Step, sdktest.Steps())
	}
	if kind != sdktest.FaultNone && !slices.Contains(sdktest.FaultKinds(), kind) {
		return "", fmt.Errorf("there is no fault %q; there are %q", o.Kind, sdktest.FaultKinds())
	}
	p.srv.SetFault(step, kind)
	switch {
	case kind == sdktest.FaultNone:
		p.locks.lift(step)
		return fmt.Sprintf("%s works again.", step), nil
	case step == sdktest.StepHTTPAccept || step == sdktest.StepHTTPTLS:
		p.locks.set(step)
		return fmt.Sprintf("%s: %s. That keeps the page out too, so it ends by itself after %s.",
			step, kind, lockOutTime), nil
	}
	return fmt.Sprintf("%s: %s, until it is cleared.", step, kind), nil
}

func (p *page) clearFaults(context.Context, order) (string, error) {
	p.srv.ClearFaults()
	return "No fault is set any more, and no delay.", nil
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
