package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// book has the figures of the table, and the violations, of the whole run.
type book struct {
	mu sync.Mutex
	// calls are by method.
	calls  map[string]map[told]int
	faults map[string]int
	events map[string]int
	// checks is how many comparisons were made.
	checks     map[string]int
	violations []violation
	// more is how many violations are not kept.
	more int
}

// violation is a check that failed.
type violation struct {
	// where is round, session and step.
	where string
	what  string
	// told is what the caller was told.
	told string
	// held is what the service has, or what was seen.
	held string
}

const mostViolations = 20

func newBook() *book {
	return &book{
		calls: map[string]map[told]int{}, faults: map[string]int{}, events: map[string]int{}, checks: map[string]int{},
	}
}

func (b *book) called(method string, how told) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls[method] == nil {
		b.calls[method] = map[told]int{}
	}
	b.calls[method][how]++
}

func (b *book) faulted(name string) { b.count(b.faults, name) }
func (b *book) seen(event string)   { b.count(b.events, event) }
func (b *book) checked(what string) { b.count(b.checks, what) }

func (b *book) count(in map[string]int, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in[name]++
}

func (b *book) fail(v violation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.violations) >= mostViolations {
		b.more++
		return
	}
	b.violations = append(b.violations, v)
}

func (b *book) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.violations) > 0
}

// report lists the violations; empty: there are none.
func (b *book) report(p Plan) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.violations) == 0 {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "soak: FAILED with seed %d and %d sessions\n", p.Seed, p.Sessions)
	for _, v := range b.violations {
		fmt.Fprintf(&out, "  %s: %s\n", v.where, v.what)
		if v.told != "" {
			fmt.Fprintf(&out, "    told: %s\n", v.told)
		}
		if v.held != "" {
			fmt.Fprintf(&out, "    held: %s\n", v.held)
		}
	}
	if b.more > 0 {
		fmt.Fprintf(&out, "  and %d more\n", b.more)
	}
	fmt.Fprintf(
		&out, "The plan again: make soak SEED=%d; to read it: go run ./soak -seed %d -sessions %d -plan N\n", p.Seed,
		p.Seed, p.Sessions,
	)
	return out.String()
}

// table shows all figures.
func (b *book) table() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "CALLS\t%s\t%s\t%s\t%s\n", toldOK, toldRefused, toldNotSent, toldUnknown)
	sum := map[told]int{}
	for _, method := range slices.Sorted(maps.Keys(b.calls)) {
		by := b.calls[method]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", method, by[toldOK], by[toldRefused], by[toldNotSent], by[toldUnknown])
		for how, n := range by {
			sum[how] += n
		}
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%d\n", sum[toldOK], sum[toldRefused], sum[toldNotSent], sum[toldUnknown])
	for _, part := range []struct {
		title  string
		counts map[string]int
	}{{"FAULTS", b.faults}, {"EVENTS", b.events}, {"CHECKS", b.checks}} {
		fmt.Fprintf(w, "\n%s\n", part.title)
		all := 0
		for _, name := range slices.Sorted(maps.Keys(part.counts)) {
			fmt.Fprintf(w, "%s\t%d\n", name, part.counts[name])
			all += part.counts[name]
		}
		fmt.Fprintf(w, "all\t%d\n", all)
	}
	// It writes into memory.
	_ = w.Flush()
	return out.String()
}
