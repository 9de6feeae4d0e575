package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	leastSessions = 4
	// for more, a round would be more than the service remembers
	mostSessions = 400

	// stepsOfRound is how many steps each session has in a round.
	stepsOfRound = 20
	// roundsOfSeason is bounded, since the service keeps 10,000 files and a season has one service.
	roundsOfSeason = 60
	// mortals: one in so many sessions may delete its account.
	mortals = 10
)

// Plan says what is done: who does what in which step of which round, and which faults there are
// when. It is a function of the seed and the number of sessions alone. What a session has to do to
// get back in after a fault is a consequence, and not planned.
type Plan struct {
	Seed     uint64
	Sessions int
}

// source is the random source of a round. Round 0 is for the season itself.
func (p Plan) source(season, round int) *rand.Rand {
	return rand.New(rand.NewPCG(p.Seed, uint64(season)<<32|uint64(round)))
}

// Season is one service and its clients.
type Season struct {
	Trial  bool
	Actors []Actor
}

// Actor is what distinguishes a session.
type Actor struct {
	// Way is "websocket", "starttls" or "tls".
	Way string
	// Mortal: it may delete its account.
	Mortal bool
}

// Season is the plan of season n.
func (p Plan) Season(n int) Season {
	r := p.source(n, 0)
	s := Season{Trial: r.IntN(4) == 0}
	for i := range p.Sessions {
		way := [...]string{"websocket", "websocket", "starttls", "tls"}[r.IntN(4)]
		s.Actors = append(s.Actors, Actor{Way: way, Mortal: i%mortals == mortals-1})
	}
	return s
}

// Round is what happens from one settlement to the next.
type Round struct {
	Season, Number int
	// Steps are by session.
	Steps [][]Step
	// Faults are ordered by when they begin.
	Faults []Fault
}

// Step is something that a session does.
type Step struct {
	// Think is how long it waits before the step.
	Think time.Duration
	// Eager: it does not even wait for the connection to be back.
	Eager bool
	// Calls are made all at once.
	Calls []Call
}

// Call is a call of the API, or something else that a session has done to it.
type Call struct {
	Op op
	// Patience is when the caller gives up; 0: when the library does.
	Patience time.Duration
	// Arg decides the details.
	Arg uint32
}

// op is a kind of call.
type op string

const (
	opOwnProfile  op = "own-profile"
	opPeerProfile op = "peer-profile"
	opLastSeen    op = "last-seen"
	opMyBlocks    op = "my-blocks"
	opWhoBlocked  op = "who-blocked-me"
	opWhoAmI      op = "who-am-i"
	opSetProfile  op = "set-profile"
	opBlock       op = "block"
	opUnblock     op = "unblock"
	opFeedback    op = "feedback"
	opReport      op = "report"
	opUpload      op = "upload"
	opUploadLarge op = "upload-large"
	opDownload    op = "download"
	opEncrypt     op = "encrypt"
	opRegister    op = "register"
	opConnect     op = "connect"
	opLogout      op = "logout"
	// opReplace is Close, and a new Client.
	opReplace op = "replace"
	// opQR is Logout, and a login by QR code.
	opQR     op = "qr"
	opDelete op = "delete"
	// opPush: the service pushes to this session.
	opPush op = "push"
	// opFlood: it pushes more than can wait for a stuck listener.
	opFlood op = "flood"
)

// kind says how often an op is planned.
type kind struct {
	op     op
	weight int
	// most is the number in one round; 0: any number.
	most int
	// class: ops of the same class are never done at once, since their result could not be
	// predicted.
	class class
}

type class int

const (
	// reading has no effect and may go with all others.
	reading class = iota
	ofProfile
	ofBlocks
	ofFeedback
	ofReports
	ofMedia
	ofLogin
	ofPushes
)

var kinds = []kind{
	{opOwnProfile, 8, 0, reading},
	{opPeerProfile, 8, 0, reading},
	{opLastSeen, 6, 0, reading},
	{opMyBlocks, 8, 0, reading},
	{opWhoBlocked, 4, 0, reading},
	{opWhoAmI, 1, 0, reading},
	{opSetProfile, 14, 0, ofProfile},
	{opBlock, 12, 0, ofBlocks},
	{opUnblock, 8, 0, ofBlocks},
	// The service keeps 1000.
	{opFeedback, 10, 900, ofFeedback},
	{opReport, 8, 900, ofReports},
	{opUpload, 2, 100, ofMedia},
	{opUploadLarge, 1, 2, ofMedia},
	{opDownload, 4, 0, ofMedia},
	{opEncrypt, 1, 0, ofMedia},
	{opRegister, 1, 0, ofLogin},
	{opConnect, 1, 0, ofLogin},
	{opLogout, 1, 0, ofLogin},
	{opReplace, 1, 0, ofLogin},
	{opQR, 1, 12, ofLogin},
	{opDelete, 1, 20, ofLogin},
	{opPush, 20, 0, ofPushes},
	{opFlood, 1, 3, ofPushes},
}

// Round is the plan of a round, 1 being the first.
func (p Plan) Round(season, number int) Round {
	r := p.source(season, number)
	round := Round{Season: season, Number: number, Steps: make([][]Step, p.Sessions)}
	left := map[op]int{}
	for _, k := range kinds {
		left[k.op] = k.most
	}
	// step by step, so that what is rare is not the first sessions' alone
	for range stepsOfRound {
		for i := range p.Sessions {
			round.Steps[i] = append(round.Steps[i], planStep(r, i%mortals == mortals-1, left))
		}
	}
	round.Faults = planFaults(r, p.Sessions)
	return round
}

func planStep(r *rand.Rand, mortal bool, left map[op]int) Step {
	s := Step{Think: time.Duration(r.IntN(150)) * time.Millisecond, Eager: r.IntN(4) == 0}
	taken := map[class]bool{}
	for range 1 + [...]int{0, 0, 0, 0, 0, 0, 1, 1, 1, 2}[r.IntN(10)] {
		k := choose(r)
		c := Call{Op: k.op, Arg: r.Uint32()}
		if r.IntN(12) == 0 {
			c.Patience = time.Duration(1+r.IntN(60)) * time.Millisecond
		}
		if taken[k.class] || k.most > 0 && left[k.op] == 0 || k.op == opDelete && !mortal {
			// The op that was drawn is not possible here.
			c.Op = opOwnProfile
		} else {
			taken[k.class] = k.class != reading
			left[k.op]--
		}
		s.Calls = append(s.Calls, c)
	}
	return s
}

func choose(r *rand.Rand) kind {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := r.IntN(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k
		}
	}
	panic("unreachable: n is below the sum of the weights")
}

// steps is how many there are in all.
func (r Round) steps() int {
	n := 0
	for _, s := range r.Steps {
		n += len(s)
	}
	return n
}

// String is the whole plan, a line for each step and each fault.
func (r Round) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "round %d.%d\n", r.Season, r.Number)
	for i, steps := range r.Steps {
		for n, s := range steps {
			fmt.Fprintf(&b, "%s step %d: after %v", label(i), n+1, s.Think)
			if s.Eager {
				b.WriteString(", whatever the connection,")
			}
			for _, c := range s.Calls {
				fmt.Fprintf(&b, " %s(%d)", c.Op, c.Arg)
				if c.Patience > 0 {
					fmt.Fprintf(&b, " within %v", c.Patience)
				}
			}
			b.WriteByte('\n')
		}
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "%s\n", f)
	}
	return b.String()
}

// Hash is a short name for the plan.
func (r Round) Hash() string {
	sum := sha256.Sum256([]byte(r.String()))
	return hex.EncodeToString(sum[:6])
}

func label(session int) string { return fmt.Sprintf("s%03d", session) }
