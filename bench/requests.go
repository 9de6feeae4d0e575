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

// requestsJob connects one session, which makes requests when it has its turn.
type requestsJob struct {
	Peer      string
	Transport string
	Service   service
	Account   account
}

// turn is a number of requests, of which so many are in flight.
type turn struct{ Calls, InFlight int }

// requestsResult is what one call costs.
type requestsResult struct {
	// CPU is that of the whole process, user and system.
	Wall, CPU     time.Duration
	Allocs, Bytes float64
}

// run tells an empty result when it is connected, and a result for each turn. It ends with the
// turns.
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
	s, err := p.dial(ctx, at, j.Account)
	if err != nil {
		return err
	}
	defer leave(s)
	if err := tell(requestsResult{}); err != nil {
		return err
	}
	for t := range turns {
		r, err := measure(ctx, s, t)
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
	if err := ask(ctx, s, t.Calls/5+t.InFlight, t.InFlight); err != nil {
		return r, err
	}
	runtime.GC()
	before := used()
	if err := ask(ctx, s, t.Calls, t.InFlight); err != nil {
		return r, err
	}
	after := used()
	n := float64(t.Calls)
	return requestsResult{
		Wall: after.at.Sub(before.at) / time.Duration(t.Calls), CPU: (after.cpu - before.cpu) / time.Duration(t.Calls),
		Allocs: float64(after.allocs-before.allocs) / n, Bytes: float64(after.bytes-before.bytes) / n,
	}, nil
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
	// rounds has the results for each of numbersInFlight.
	rounds [][]requestsResult
}

// numbersInFlight are measured one after the other. It is immutable.
var numbersInFlight = []int{32, 1}

// requests measures the peers over one transport after the other and prints a table for each
// transport and number in flight.
func (b *bench) requests(ctx context.Context, st *stage) error {
	for _, transport := range st.transports {
		all, err := b.requestsOver(ctx, st, transport)
		if err != nil {
			return err
		}
		for i, n := range numbersInFlight {
			fmt.Fprintf(
				b.out, "\n%s, requests over %s, %d in flight (%d calls, median of %d rounds)\n\n", st.service.Name,
				transport, n, b.calls, b.rounds,
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

// requestsOver connects all peers and lets them take turns.
func (b *bench) requestsOver(ctx context.Context, st *stage, transport string) (all []*runner, err error) {
	defer func() {
		for _, r := range all {
			err = errors.Join(err, r.worker.end())
		}
	}()
	for i, p := range st.peersOver(transport) {
		r, err := connect(
			ctx, requestsJob{Peer: p.name, Transport: transport, Service: st.service, Account: st.accounts[i]},
		)
		if err != nil {
			return all, err
		}
		r.peer = p
		all = append(all, r)
	}
	for range b.rounds {
		for i, n := range numbersInFlight {
			// By a random order, no peer is always the first, or always after the same other.
			for _, which := range rand.Perm(len(all)) {
				if err := all[which].take(i, turn{Calls: b.calls, InFlight: n}); err != nil {
					return all, err
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
	return &runner{worker: w, rounds: make([][]requestsResult, len(numbersInFlight))}, nil
}

// take adds the result of a turn to those for the i-th number in flight.
func (r *runner) take(i int, t turn) error {
	if err := r.worker.in.Encode(t); err != nil {
		return err
	}
	var result requestsResult
	err := r.worker.answer(&result)
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
