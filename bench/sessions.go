package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// sessionsJob connects one session for each account and lets them idle.
type sessionsJob struct {
	Peer      string
	Transport string
	Service   service
	Accounts  []account
	// Settle is how long they are left alone before their memory is measured: the last answers of
	// the login come, and caches are emptied.
	Settle time.Duration
	// Watch is how long their CPU time is measured after that.
	Watch time.Duration
}

// sessionsResult is what one session costs.
type sessionsResult struct {
	// InUse is bytes of heap and stacks.
	InUse float64
	// Resident is bytes that the system counts for the process.
	Resident   float64
	Goroutines float64
	// Idle is CPU time in a second, pings included.
	Idle time.Duration
	// Connect is the CPU time of connecting, without that of answering pings meanwhile.
	Connect time.Duration
	// Repeated is how many connects of all sessions failed at first.
	Repeated int
}

// dialers is how many sessions are connected at a time.
const dialers = 32

func (j *sessionsJob) run(ctx context.Context) (sessionsResult, error) {
	res, err := j.measure(ctx)
	if err != nil {
		err = fmt.Errorf("%d sessions of %s over %s: %w", len(j.Accounts), j.Peer, j.Transport, err)
	}
	return res, err
}

func (j *sessionsJob) measure(ctx context.Context) (r sessionsResult, err error) {
	p, err := findPeer(j.Peer)
	if err != nil {
		return r, err
	}
	at, err := j.Service.by(j.Transport)
	if err != nil {
		return r, err
	}
	// This session is not measured: it pays for what a process needs only once.
	if _, err := p.dial(ctx, at, j.Accounts[0]); err != nil {
		return r, err
	}
	before, err := held()
	if err != nil {
		return r, err
	}
	sessions := make([]session, len(j.Accounts)-1)
	var repeated atomic.Int64
	start := used()
	if err := each(ctx, len(sessions), dialers, func(ctx context.Context, i int) error {
		s, err := p.dial(ctx, at, j.Accounts[i+1])
		if err != nil {
			// A busy server refuses now and then.
			repeated.Add(1)
			s, err = p.dial(ctx, at, j.Accounts[i+1])
		}
		sessions[i] = s
		return err
	}); err != nil {
		return r, err
	}
	connected := used()
	if err := stay(ctx, j.Settle); err != nil {
		return r, err
	}
	after, err := held()
	if err != nil {
		return r, err
	}
	idle, err := idleCPU(ctx, j.Watch)
	if err != nil {
		return r, err
	}
	n := len(sessions)
	// The first sessions idled for nearly all of the time, the last ones for hardly any.
	idled := time.Duration(float64(idle) * connected.at.Sub(start.at).Seconds() / 2)
	r = sessionsResult{
		InUse: perSession(before.inUse, after.inUse, n), Resident: perSession(before.resident, after.resident, n),
		Goroutines: float64(after.goroutines-before.goroutines) / float64(n), Idle: idle / time.Duration(n),
		Connect: (connected.cpu - start.cpu - idled) / time.Duration(n), Repeated: int(repeated.Load()),
	}
	return r, each(ctx, n, dialers, func(ctx context.Context, i int) error {
		// A session that is still there gets an answer.
		err := sessions[i].Ask(ctx)
		// It leaves, so that the server does not wait for it while the next ones are measured.
		_ = sessions[i].Close()
		return err
	})
}

func perSession(before, after uint64, n int) float64 {
	return (float64(after) - float64(before)) / float64(n)
}

// idleCPU is the CPU time that this process uses in one second, measured over d.
func idleCPU(ctx context.Context, d time.Duration) (time.Duration, error) {
	if d == 0 {
		return 0, nil
	}
	before := used()
	err := stay(ctx, d)
	after := used()
	return time.Duration(float64(after.cpu-before.cpu) / after.at.Sub(before.at).Seconds()), err
}

func stay(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *bench) measureSessions(ctx context.Context, j sessionsJob) (sessionsResult, error) {
	j.Settle = b.settle
	return have[sessionsResult](ctx, job{Sessions: &j})
}

// idle prints what an idle session costs with each peer.
func (b *bench) idle(ctx context.Context, st *stage) error {
	for _, transport := range st.transports {
		fmt.Fprintf(b.out, "\n%s, %d idle sessions over %s\n\n", st.service.Name, len(st.accounts)-1, transport)
		t := newTable("heap+stack", "RSS", "goroutines")
		for _, p := range st.peersOver(transport) {
			r, err := b.measureSessions(
				ctx, sessionsJob{Peer: p.name, Transport: transport, Service: st.service, Accounts: st.accounts},
			)
			if err != nil {
				return err
			}
			t.add(p, kibibytes(r.InUse), kibibytes(r.Resident), count(r.Goroutines))
			b.note(p, transport, r.Repeated)
		}
		t.print(b.out, b.verbose)
	}
	return nil
}

// many prints what each of many sessions costs against each of a tenth as many.
func (b *bench) many(ctx context.Context, st *stage) error {
	few := len(st.accounts) / 10
	fmt.Fprintf(
		b.out, "\n%s, %d sessions in one process, each of them against each of %d\n\n", st.service.Name,
		len(st.accounts)-1, few,
	)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(
		w, "peer\ttransport\theap+stack\tratio\tRSS\tratio\tgoroutines\tratio\tidle CPU ratio\tconnect CPU ratio\t",
	)
	for _, transport := range st.transports {
		for _, p := range st.peersOver(transport) {
			j := sessionsJob{
				Peer: p.name, Transport: transport, Service: st.service, Accounts: st.accounts[:few+1], Watch: b.stay,
			}
			less, err := b.measureSessions(ctx, j)
			if err != nil {
				return err
			}
			j.Accounts = st.accounts
			more, err := b.measureSessions(ctx, j)
			if err != nil {
				return err
			}
			b.note(p, transport, less.Repeated+more.Repeated)
			fmt.Fprintf(w, "%s\t%s\t%s\t%.2f\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", p.name, transport,
				kibibytes(more.InUse).text, more.InUse/less.InUse, kibibytes(more.Resident).text,
				more.Resident/less.Resident,
				more.Goroutines, more.Goroutines/less.Goroutines, float64(more.Idle)/float64(less.Idle),
				float64(more.Connect)/float64(less.Connect))
		}
	}
	return nil
}

// note prints how many connects did not succeed at once.
func (b *bench) note(p peer, transport string, repeated int) {
	if repeated > 0 {
		fmt.Fprintf(b.out, "(%s over %s: %d connects had to be repeated)\n", p.name, transport, repeated)
	}
}
