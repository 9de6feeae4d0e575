package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// requestsJob connects one session, which makes requests when it has its turn, or exchanges
// messages.
type requestsJob struct {
	Peer      string
	Transport string
	Service   service
	Account   account
	// With is the user with whom it exchanges messages. Empty: it makes requests.
	With string `json:",omitempty"`
	IV   string `json:",omitempty"`
	// Hears: messages come. Otherwise it sends them.
	Hears, Echo bool `json:",omitempty"`
}

// turn is a number of requests, or of messages, of which so many are in flight.
type turn struct{ Calls, InFlight int }

// warmUp is how many go first and are not measured.
func (t turn) warmUp() int { return t.Calls/5 + t.InFlight }

// requestsResult is what one call costs.
type requestsResult struct {
	// CPU is that of the whole process, user and system.
	Wall, CPU     time.Duration
	Allocs, Bytes float64
}

// run tells an empty result when it is connected, and a result for each turn; before that another
// empty one where it hears messages: they may come now. It ends with the turns.
func (j *requestsJob) run(ctx context.Context, turns <-chan turn, tell func(requestsResult) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s over %s: %w", j.Peer, j.Transport, err)
		}
	}()
	p, err := findPeer(j.Peer)
	if err != nil {
		return err
	}
	at, err := j.Service.by(j.Transport)
	if err != nil {
		return err
	}
	at.talk = talk{with: j.With, iv: j.IV, echo: j.Echo}
	e := newEar()
	if j.Hears {
		at.talk.heard = e.heard
	}
	s, err := p.dial(ctx, at, j.Account)
	if err != nil {
		return err
	}
	defer leave(s)
	if err := tell(requestsResult{}); err != nil {
		return err
	}
	has := func(t turn) (requestsResult, error) { return measure(ctx, s, t) }
	if j.Hears {
		has = func(t turn) (requestsResult, error) { return e.measure(ctx, t, tell) }
	} else if j.With != "" {
		if s, err = askBySaying(s); err != nil {
			return err
		}
	}
	for t := range turns {
		r, err := has(t)
		if err != nil {
			return err
		}
		if err := tell(r); err != nil {
			return err
		}
	}
	return nil
}

// leave ends a session, but does not wait long for it. How a session ends is not measured, and some
// peers may not end at all.
func leave(s session) {
	left := make(chan struct{})
	// It has no owner: it ends with the process at the latest.
	go func() {
		defer close(left)
		_ = s.Close()
	}()
	select {
	case <-left:
	case <-time.After(3 * time.Second):
	}
}

// measure makes the requests of a turn, after some that are not measured.
func measure(ctx context.Context, s session, t turn) (r requestsResult, err error) {
	if err := ask(ctx, s, t.warmUp(), t.InFlight); err != nil {
		return r, err
	}
	runtime.GC()
	before := used()
	if err := ask(ctx, s, t.Calls, t.InFlight); err != nil {
		return r, err
	}
	return before.each(t.Calls), nil
}

// each is what each of so many calls has cost since then.
func (before usage) each(calls int) requestsResult {
	after, n := used(), time.Duration(calls)
	return requestsResult{
		Wall: after.at.Sub(before.at) / n, CPU: (after.cpu - before.cpu) / n,
		Allocs: float64(after.allocs-before.allocs) / float64(calls),
		Bytes:  float64(after.bytes-before.bytes) / float64(calls),
	}
}

// ask makes that many calls by inFlight callers together. The limit needs no callers.
func ask(ctx context.Context, s session, calls, inFlight int) error {
	if l, is := s.(*limit); is {
		return l.askMany(calls, inFlight)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var left atomic.Int64
	left.Store(int64(calls))
	var callers sync.WaitGroup
	for range inFlight {
		// ask owns it. It ends with the last call.
		callers.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				if err := s.Ask(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	callers.Wait()
	return context.Cause(ctx)
}

// runner is one peer, and the results of its turns.
type runner struct {
	peer   peer
	worker *worker
	// far is the other user of messages. nil: there are none. hears: far sends them.
	far   *limit
	hears bool
	// rounds has the results for each of numbersInFlight.
	rounds [][]requestsResult
}

// numbersInFlight are measured one after the other. It is immutable.
var numbersInFlight = []int{32, 1}

// requests measures the peers over one transport after the other and prints a table for each
// transport and number in flight.
func (b *bench) requests(ctx context.Context, st *stage) error {
	return b.takeTurns(ctx, st, numbersInFlight, func(j requestsJob, _ account) (*runner, error) {
		return connect(ctx, j)
	})
}

// connecting connects a peer, and the other user if there is one.
type connecting func(j requestsJob, far account) (*runner, error)

func (b *bench) takeTurns(ctx context.Context, st *stage, inFlight []int, each connecting) error {
	for _, transport := range st.transports {
		all, err := b.takeTurnsOver(st, transport, inFlight, each)
		if err != nil {
			return err
		}
		for i, n := range inFlight {
			fmt.Fprintf(
				b.out, "\n%s, %s over %s, %d in flight (%d calls, median of %d rounds)\n\n", st.service.Name,
				st.scenario.name, transport, n, b.calls, b.rounds,
			)
			t := newTable("rate", "CPU", "allocs", "bytes")
			for _, r := range all {
				m := median(level(r.rounds[i], limitOf(all, i)))
				t.add(r.peer, rate(m.Wall), micros(m.CPU), count(m.Allocs), size(m.Bytes))
			}
			t.print(b.out, b.verbose)
		}
	}
	return nil
}

// takeTurnsOver connects all peers and lets them take turns.
func (b *bench) takeTurnsOver(
	st *stage, transport string, inFlight []int, each connecting,
) (all []*runner, err error) {
	defer func() {
		for _, r := range all {
			err = errors.Join(err, r.end())
		}
	}()
	for i, p := range st.peersOver(transport) {
		r, err := each(
			requestsJob{Peer: p.name, Transport: transport, Service: st.service, Account: st.accounts[i]},
			st.accounts[len(st.accounts)-1-i],
		)
		if err != nil {
			return all, err
		}
		r.peer = p
		all = append(all, r)
	}
	for range b.rounds {
		for i, n := range inFlight {
			// By a random order, no peer is always the first, or always after the same other.
			for _, which := range rand.Perm(len(all)) {
				if err := all[which].take(i, turn{Calls: b.calls, InFlight: n}); err != nil {
					return all, fmt.Errorf("%s: %w", all[which].peer.name, err)
				}
			}
		}
	}
	return all, nil
}

// connect starts a worker and waits until it is connected.
func connect(ctx context.Context, j requestsJob) (*runner, error) {
	w, err := hire(ctx, job{Requests: &j})
	if err != nil {
		return nil, err
	}
	if err := w.answer(new(requestsResult)); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return &runner{worker: w, hears: j.Hears, rounds: make([][]requestsResult, len(numbersInFlight))}, nil
}

func (r *runner) end() error {
	err := r.worker.end()
	if r.far != nil {
		err = errors.Join(err, r.far.Close())
		<-r.far.ended
	}
	return err
}

// take adds the result of a turn to those for the i-th number in flight.
func (r *runner) take(i int, t turn) (err error) {
	var result requestsResult
	switch {
	case r.hears:
		if result, err = r.hear(turn{t.warmUp(), t.InFlight}); err == nil {
			result, err = r.hear(t)
		}
	case r.far != nil:
		result, err = r.turn(t, func() error { return r.far.take(t.warmUp() + t.Calls) })
	default:
		result, err = r.turn(t, func() error { return nil })
	}
	r.rounds[i] = append(r.rounds[i], result)
	return err
}

// limitOf returns nil when the limit was not measured.
func limitOf(all []*runner, i int) []requestsResult {
	for _, r := range all {
		if r.peer.name == limitName {
			return r.rounds[i]
		}
	}
	return nil
}

// level scales the times of each round as if the limit had taken its median in it: a machine that
// is slower for a while is slower for all peers.
func level(rounds, limit []requestsResult) []requestsResult {
	if limit == nil {
		return rounds
	}
	usual := median(limit)
	rounds = slices.Clone(rounds)
	for i, then := range limit {
		rounds[i].Wall = time.Duration(float64(rounds[i].Wall) * float64(usual.Wall) / float64(then.Wall))
		rounds[i].CPU = time.Duration(float64(rounds[i].CPU) * float64(usual.CPU) / float64(then.CPU))
	}
	return rounds
}

// median takes the median of each figure by itself.
func median(rounds []requestsResult) requestsResult {
	figure := func(get func(requestsResult) float64) float64 {
		var all []float64
		for _, round := range rounds {
			all = append(all, get(round))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return requestsResult{
		Wall:   time.Duration(figure(func(x requestsResult) float64 { return float64(x.Wall) })),
		CPU:    time.Duration(figure(func(x requestsResult) float64 { return float64(x.CPU) })),
		Allocs: figure(func(x requestsResult) float64 { return x.Allocs }),
		Bytes:  figure(func(x requestsResult) float64 { return x.Bytes }),
	}
}
