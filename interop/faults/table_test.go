package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

// leastCases is how many combinations the table has at least.
const leastCases = 446

// faultCase is one combination.
type faultCase struct {
	place   place
	fault   fault
	way     way
	note    string // which variant, or what the fault means here
	through through
	// how long the service lets a stream be resumed (XEP-0198); 0: it does not offer that
	resume  time.Duration
	prepare func(*site) // before the client is made; may be nil
	begin   func(*site) // makes the fault
	call    call        // meets it; nil: the connection does
	until   string      // without a call: what was heard when the fault has been met
	again   call        // works when all is well, besides what always must; may be nil
	want    want
	peer    [2]int // how many messages and receipts the peer got in the end, at least and at most
}

// each makes cases of several faults of one place, for each of the ways.
func each(at place, by []way, what through, c call, faults []faultCase) []faultCase {
	var all []faultCase
	for _, f := range faults {
		for _, w := range by {
			f.place, f.way, f.through = at, w, what
			if f.call == nil && f.until == "" {
				f.call = c
			}
			all = append(all, f)
		}
	}
	return all
}

func join(parts ...[]faultCase) []faultCase {
	var all []faultCase
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// call is a call of the client and what came of it.
type call func(ctx context.Context, s *site) error

func (c *faultCase) name() string {
	name := fmt.Sprintf("%s/%s/%s", c.place, c.fault, c.way)
	if c.note != "" {
		name += "/" + c.note
	}
	if c.resume > 0 {
		name += "/resumed"
	}
	return name
}

// table is every case there is.
func table() []faultCase {
	return join(
		nameCases(), connectCases(), tlsCases(), upgradeCases(), streamCases(), authCases(), bindCases(),
		idleCases(), flightCases(), pushCases(), requestCases(), bodyCases(), chunkCases(), signalCases(),
		sendingCases(), arrivingCases(), handlingCases(),
	)
}

// report collects what was observed.
type report struct {
	mu   sync.Mutex
	rows map[string]row
}

type row struct {
	text   string
	failed bool
}

func (r *report) add(name, text string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[name] = row{text, failed}
}

// TestFaults runs the table and prints it. A case is one client and one service: the fault begins,
// a call or the connection meets it, it is healed, and then the client works as if nothing had
// been: a call answers 200, and what is pushed arrives once.
func TestFaults(t *testing.T) {
	t.Parallel()
	cases := table()
	require.GreaterOrEqual(t, len(cases), leastCases)
	seen := map[string]bool{}
	for i := range cases {
		require.False(t, seen[cases[i].name()], "twice: %s", cases[i].name())
		seen[cases[i].name()] = true
	}
	r := &report{rows: map[string]row{}}
	t.Run("case", func(t *testing.T) {
		for i := range cases {
			c := &cases[i]
			t.Run(c.name(), func(t *testing.T) {
				t.Parallel()
				c.run(t, r)
			})
		}
	})
	r.print(t, cases)
}

func (c *faultCase) run(t *testing.T, r *report) {
	r.add(c.name(), c.want.String()+"\tnot met", true)
	s := newSite(t, c.place, c.way, c.through, c.resume)
	s.cfg.RequestTimeout = c.want.limit.request
	if c.want.limit.interval > 0 {
		s.cfg.KeepAlive = sdk.KeepAlivePolicy{Interval: c.want.limit.interval, Timeout: c.want.limit.timeout}
	}
	if c.prepare != nil {
		c.prepare(s)
	}
	s.start()
	s.register()
	if c.ofMessages() {
		s.invitePeer()
	}
	if c.connected() {
		s.connect()
	}
	took, err := c.meet(s)
	observed := describe(err)
	defer func() {
		r.add(
			c.name(),
			fmt.Sprintf(
				"%s\t%s %s\t%.2f", c.want.String(), observed, s.heard(), float64(took)/float64(c.want.limit.bound),
			),
			t.Failed(),
		)
	}()
	c.check(t, err, took)
	s.heal()
	c.recover(s)
	require.Regexp(t, "^"+c.want.trace+"pp$", s.heard())
	s.end()
	require.Regexp(t, "^"+c.want.trace+"ppD$", s.heard())
	s.requireReached(c.peer)
	requireLegal(t, s.heard())
}

// connected reports whether the case begins with a client that is connected.
func (c *faultCase) connected() bool {
	switch c.place {
	case idle, inFlight, push, request, body, chunk:
		return true
	}
	return c.ofMessages()
}

// ofMessages reports whether the case is about messages between the client and a peer.
func (c *faultCase) ofMessages() bool {
	switch c.place {
	case sending, confirm, arriving, handling, receipt:
		return true
	}
	return false
}

// meet makes the fault, and waits until the client has met it.
func (c *faultCase) meet(s *site) (took time.Duration, err error) {
	c.begin(s)
	start := time.Now()
	if c.call == nil {
		s.await("the fault to be met", func(trace string) bool { return strings.Contains(trace, c.until) })
		return time.Since(start), nil
	}
	done := make(chan error, 1)
	// ends with the call: a hang is told below
	go labelled(s.label, func() { done <- c.call(s.t.Context(), s) })
	select {
	case err := <-done:
		return time.Since(start), err
	case <-time.After(c.want.limit.bound + patience):
		require.FailNow(s.t, "the call hangs", running(s.label))
		return 0, nil
	}
}

func (c *faultCase) check(t *testing.T, err error, took time.Duration) {
	t.Helper()
	require.LessOrEqual(t, took, c.want.limit.bound, "%v", err)
	if c.want.code == 0 {
		require.NoError(t, err)
		return
	}
	if c.want.err != nil {
		require.ErrorIs(t, err, c.want.err)
	}
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, c.want.code, e.StatusCode, "%v", err)
	require.Equal(t, c.want.outcome.String(), e.Outcome.String(), "%v", err)
}

// recover brings the client to where everything works, as a caller would.
func (c *faultCase) recover(s *site) {
	if c.again != nil {
		s.with(func(ctx context.Context) error { return c.again(ctx, s) })
	}
	if !c.connected() && s.client.State() != sdk.StatusConnected {
		s.connect()
	}
	s.requireWorks()
}

// print prints the table; where cases have failed these alone, so that they are found.
func (r *report) print(t *testing.T, cases []faultCase) {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\texpected\tobserved\ttime/bound")
	met := 0
	r.mu.Lock()
	for i := range cases {
		row, ran := r.rows[cases[i].name()]
		if ran && (row.failed || !t.Failed()) {
			fmt.Fprintf(w, "%s\t%s\n", cases[i].name(), row.text)
		}
		if ran && !row.failed {
			met++
		}
	}
	r.mu.Unlock()
	_ = w.Flush() // to memory
	t.Logf("\n%s%d of %d cases", out.String(), met, len(cases))
}
