package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// requestsJob measures requests over one session.
type requestsJob struct {
	Peer      string
	Transport string
	Service   service
	Account   account
	Calls     int
	InFlight  []int // measured one after the other
}

// requestsResult is what one call costs, for each entry of InFlight.
type requestsResult struct {
	Wall, CPU     time.Duration // CPU: of the whole process, user and system
	Allocs, Bytes float64
}

func (j *requestsJob) run(ctx context.Context) ([]requestsResult, error) {
	p, err := findPeer(j.Peer)
	if err != nil {
		return nil, err
	}
	at, err := j.Service.by(j.Transport)
	if err != nil {
		return nil, err
	}
	s, err := p.dial(ctx, at, j.Account)
	if err != nil {
		return nil, fmt.Errorf("%s over %s: %w", j.Peer, j.Transport, err)
	}
	var results []requestsResult
	for _, inFlight := range j.InFlight {
		r, err := measure(ctx, s, j.Calls, inFlight)
		if err != nil {
			return nil, fmt.Errorf("%s over %s: %w", j.Peer, j.Transport, err)
		}
		results = append(results, r)
	}
	return results, nil // the session ends with the process: how it does is not measured
}

// measure asks once warm.
func measure(ctx context.Context, s session, calls, inFlight int) (r requestsResult, err error) {
	if err := ask(ctx, s, calls/5+inFlight, inFlight); err != nil {
		return r, err
	}
	runtime.GC()
	before := used()
	if err := ask(ctx, s, calls, inFlight); err != nil {
		return r, err
	}
	after := used()
	n := float64(calls)
	return requestsResult{
		Wall: after.at.Sub(before.at) / time.Duration(calls), CPU: (after.cpu - before.cpu) / time.Duration(calls),
		Allocs: float64(after.allocs-before.allocs) / n, Bytes: float64(after.bytes-before.bytes) / n,
	}, nil
}

// ask has inFlight callers make that many calls together. The limit needs no callers.
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
		callers.Go(func() { // ends with the last call
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

// runner is one peer by one transport, and what its rounds gave.
type runner struct {
	peer   peer
	rounds [][]requestsResult
}

// requests measures all peers in turn, round after round, and returns a table for each transport and number in flight.
func (b *bench) requests(ctx context.Context, st *stage) error {
	inFlight := []int{32, 1}
	runners := map[string][]*runner{}
	for _, transport := range st.transports {
		for _, p := range st.peersOver(transport) {
			runners[transport] = append(runners[transport], &runner{peer: p})
		}
	}
	for range b.rounds {
		for _, transport := range st.transports {
			all := runners[transport]
			for _, i := range rand.Perm(len(all)) { // none is always the first, or after the same other
				r := all[i]
				res, err := have[[]requestsResult](ctx, job{Requests: &requestsJob{
					Peer: r.peer.name, Transport: transport, Service: st.service, Account: st.accounts[0], Calls: b.calls, InFlight: inFlight,
				}})
				if err != nil {
					return err
				}
				r.rounds = append(r.rounds, res)
			}
		}
	}
	for _, transport := range st.transports {
		for i, n := range inFlight {
			fmt.Fprintf(b.out, "\n%s, requests over %s, %d in flight (%d calls, median of %d rounds)\n\n", st.service.Name, transport, n, b.calls, b.rounds)
			t := newTable("rate", "CPU", "allocs", "bytes")
			for _, r := range runners[transport] {
				m := median(level(r.at(i), limitOf(runners[transport], i)))
				t.add(r.peer, rate(m.Wall), micros(m.CPU), count(m.Allocs), size(m.Bytes))
			}
			t.print(b.out, b.verbose)
		}
	}
	return nil
}

// at is what the rounds gave for the i-th number in flight.
func (r *runner) at(i int) (rounds []requestsResult) {
	for _, round := range r.rounds {
		rounds = append(rounds, round[i])
	}
	return rounds
}

// limitOf returns nil when the limit was not measured.
func limitOf(all []*runner, i int) []requestsResult {
	for _, r := range all {
		if r.peer.name == limitName {
			return r.at(i)
		}
	}
	return nil
}

// level stretches the times of each round as if the limit had taken its median there: a machine that is slower for a while is
// slower for all.
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

// median is taken of each figure by itself.
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
