package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxDelay    = time.Minute
	maxFailures = 100 // calls that will fail
	maxFaults   = 100 // faults with a match
	maxName     = 300 // bytes of what an order names: an operation, the header Retry-After
)

func (p *page) failNext(_ context.Context, o order) (string, error) {
	op := strings.Trim(strings.TrimPrefix(strings.TrimSpace(o.Op), "/api/v1"), "/")
	retryAfter := strings.TrimSpace(o.RetryAfter)
	switch {
	case op == "":
		return "", errors.New("which call? Its path below the API base URL is wanted, such as contacts/vcard")
	case o.Code < 200 || o.Code > 599:
		return "", errors.New("the status is a number from 200 to 599")
	case len(p.srv.Faults().Next) >= maxFailures:
		return "", errors.New("too many calls are going to fail already")
	case len(retryAfter) > maxName || strings.ContainsFunc(retryAfter, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", errors.New("Retry-After is a number of seconds or a date")
	}
	if retryAfter == "" {
		p.srv.FailNext(op, o.Code, o.Text)
		return fmt.Sprintf("The next call of %s fails with %d.", op, o.Code), nil
	}
	p.srv.FailNext(op, o.Code, o.Text, http.Header{"Retry-After": {retryAfter}})
	return fmt.Sprintf("The next call of %s fails with %d and Retry-After: %s.", op, o.Code, retryAfter), nil
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
	match := sdktest.Match{User: o.User, Op: o.Op, Nth: o.Nth, Times: o.Times}
	if err := p.faultAt(step, kind, match); err != nil {
		return "", err
	}
	what := fmt.Sprint(step) + matched(match)
	switch {
	case kind == sdktest.FaultNone:
		if match == (sdktest.Match{}) {
			p.locks.lift(step)
		}
		return what + " works again.", nil
	case step == sdktest.StepHTTPAccept || step == sdktest.StepHTTPTLS:
		p.locks.set(step)
		return fmt.Sprintf("%s: %s. That keeps the page out too, so it ends by itself after %s.",
			what, kind, lockOutTime), nil
	}
	return fmt.Sprintf("%s: %s, until it is cleared.", what, kind), nil
}

// faultAt sets a fault, or ends it. SetFault panics for a match that cannot be: in a test that is a
// mistake of the program, here it comes from outside.
func (p *page) faultAt(step sdktest.Step, kind sdktest.FaultKind, match sdktest.Match) (err error) {
	defer func() {
		if wrong := recover(); wrong != nil {
			err = fmt.Errorf("%v", wrong)
		}
	}()
	switch {
	case match == (sdktest.Match{}):
		p.srv.SetFault(step, kind)
	case len(match.User) > maxName || len(match.Op) > maxName:
		return fmt.Errorf("the user or the operation has more than %d bytes", maxName)
	case kind != sdktest.FaultNone && len(p.srv.Faults().Matched) >= maxFaults:
		return errors.New("too many faults are set already")
	default:
		p.srv.SetFault(step, kind, match)
	}
	return nil
}

// matched says what fits a match, in parentheses. Everything: it says nothing.
func matched(m sdktest.Match) string {
	var parts []string
	for _, part := range []struct {
		name, value string
	}{
		{"user", m.User}, {"op", m.Op}, {"nth", number(m.Nth)}, {"times", number(m.Times)},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+part.value)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (p *page) clearFaults(context.Context, order) (string, error) {
	p.srv.ClearFaults()
	return "No fault is set any more, and no delay.", nil
}
