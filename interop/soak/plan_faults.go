package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// Fault is something that goes wrong at the service or on the way there.
type Fault struct {
	// steps of all sessions that were done in the round
	After int
	// 0: it is over at once
	For  time.Duration
	Kind faultKind
	// the session that it is about, if it is about one
	Who int

	// misbehave
	Step sdktest.Step
	How  sdktest.FaultKind

	// failNext: of so many requests
	Op     string
	Status int
	Times  int

	// delay
	Delay time.Duration
	// feature
	Feature string
}

type faultKind string

const (
	// all connections are cut
	faultDrop faultKind = "drop"
	// the service crashes and comes back
	faultRestart faultKind = "restart"
	// all tokens are stale
	faultTokens faultKind = "tokens"
	// all QR codes are stale
	faultQR faultKind = "qr"
	// requests are refused
	faultFailNext faultKind = "fail-next"
	// everything takes its time
	faultDelay faultKind = "delay"
	// a step of the protocol goes wrong
	faultMisbehave faultKind = "misbehave"
	// the plan is smaller
	faultFeature faultKind = "feature"
	// one login for each user
	faultSessions faultKind = "sessions"
	// a user is blocked by an administrator
	faultAdmin faultKind = "admin"
	// one is sent what is no XML
	faultGarbage faultKind = "garbage"
	// one is sent what is larger than anybody takes
	faultOversized faultKind = "oversized"
	// one is sent what strangers have made up
	faultForgery faultKind = "forgery"
	// one is sent away for good
	faultConflict faultKind = "conflict"
)

// The faults by how often they are planned.
var faultKinds = []faultKind{
	faultDrop, faultDrop, faultDrop, faultDrop, faultRestart, faultTokens, faultTokens, faultQR,
	faultFailNext, faultFailNext, faultFailNext, faultDelay, faultDelay,
	faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave, faultMisbehave,
	faultFeature, faultSessions, faultAdmin,
	faultGarbage, faultOversized, faultForgery, faultForgery, faultConflict,
}

// What failNext fails, and with what.
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
			// 10 MiB for each who asks
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

// name is what the table has a line for.
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
