package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// Fault is something that goes wrong at the service or on the way to it.
type Fault struct {
	// After is how many steps all sessions have done in the round when it begins.
	After int
	// For is how long it lasts; 0: it is over at once.
	For  time.Duration
	Kind faultKind
	// Who is the session that it is about, if there is one.
	Who int

	// Step is for faultMisbehave.
	Step sdktest.Step
	How  sdktest.FaultKind

	// Op and what follows are for faultFailNext: how many requests fail.
	Op     string
	Status int
	Times  int

	// Delay is for faultDelay.
	Delay time.Duration
	// Feature is for faultFeature.
	Feature string
}

type faultKind string

const (
	// faultDrop cuts all connections.
	faultDrop faultKind = "drop"
	// faultRestart lets the service crash and come back.
	faultRestart faultKind = "restart"
	// faultTokens makes all tokens stale.
	faultTokens faultKind = "tokens"
	// faultQR makes all QR codes stale.
	faultQR faultKind = "qr"
	// faultFailNext refuses requests.
	faultFailNext faultKind = "fail-next"
	// faultDelay makes everything slow.
	faultDelay faultKind = "delay"
	// faultMisbehave lets a step of the protocol go wrong.
	faultMisbehave faultKind = "misbehave"
	// faultFeature takes a feature out of the plan.
	faultFeature faultKind = "feature"
	// faultSessions permits one login for each user.
	faultSessions faultKind = "sessions"
	// faultAdmin blocks a user as an administrator.
	faultAdmin faultKind = "admin"
	// faultGarbage sends a session something that is not XML.
	faultGarbage faultKind = "garbage"
	// faultOversized sends a session a stanza that is larger than any client accepts.
	faultOversized faultKind = "oversized"
	// faultForgery sends a session stanzas that strangers have made up.
	faultForgery faultKind = "forgery"
	// faultConflict ends a session for good.
	faultConflict faultKind = "conflict"
)

// The faults, each as often as its share of the plan.
var faultKinds = []faultKind{
	faultDrop, faultDrop, faultDrop, faultDrop, faultRestart, faultTokens, faultTokens, faultQR,
	faultFailNext, faultFailNext, faultFailNext, faultDelay, faultDelay,
	faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave,
	faultFeature, faultSessions, faultAdmin,
	faultGarbage, faultOversized, faultForgery, faultForgery, faultConflict,
}

// The requests that faultFailNext fails, and the answers.
var (
	failingOps = []string{
		"login", "register", "sandbox/register", "contacts/vcard", "moderation/feedback", "moderation/report",
		"media", "media/upload", "storage", "users/config", "users/deleteMyAccount", "logout",
	}
	failingStatuses = []int{400, 401, 403, 404, 429, 500, 502, 503, 504}
)

const faultsOfRound = 12

func planFaults(r *rand.Rand, sessions int) []Fault {
	var faults []Fault
	for range faultsOfRound {
		faults = append(faults, planFault(r, sessions))
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.After - b.After })
	return faults
}

func planFault(r *rand.Rand, sessions int) Fault {
	f := Fault{Kind: pick(r, faultKinds), After: r.IntN(sessions * stepsOfRound * 9 / 10), Who: r.IntN(sessions)}
	window := time.Duration(20+r.IntN(280)) * time.Millisecond
	switch f.Kind {
	case faultFailNext:
		f.Op, f.Status, f.Times = pick(r, failingOps), pick(r, failingStatuses), 1+r.IntN(8)
	case faultDelay:
		f.Delay, f.For = time.Duration(5+r.IntN(150))*time.Millisecond, window
	case faultMisbehave:
		f.Step, f.How, f.For = pick(r, sdktest.Steps()), pick(r, sdktest.FaultKinds()), window
		if f.How == sdktest.FaultHuge {
			// Each caller gets 10 MiB.
			f.For = min(f.For, 30*time.Millisecond)
		}
	case faultFeature:
		f.Feature, f.For = pick(r, []string{"block", "report"}), window
	case faultSessions, faultAdmin:
		f.For = window
	}
	return f
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (f Fault) String() string {
	text := fmt.Sprintf("after %d steps: %s", f.After, f.name())
	if f.Delay > 0 {
		text += fmt.Sprintf(" of %v", f.Delay)
	}
	if f.Times > 0 {
		text += fmt.Sprintf(", %d times", f.Times)
	}
	if f.For > 0 {
		text += fmt.Sprintf(", for %v", f.For)
	}
	return text + ", about " + label(f.Who)
}

// name is the name of its line in the table.
func (f Fault) name() string {
	switch f.Kind {
	case faultMisbehave:
		return fmt.Sprintf("%s %s", f.Step, f.How)
	case faultFailNext:
		return fmt.Sprintf("%s %s %d", f.Kind, f.Op, f.Status)
	case faultFeature:
		return fmt.Sprintf("%s %s", f.Kind, f.Feature)
	}
	return string(f.Kind)
}
