package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"text/tabwriter"

	sdk "github.com/mirrorfly-go/sdk"
)

// burstJob connects a client of package sdk, which gets messages as fast as the server has them.
type burstJob struct {
	Transport string
	Service   service
	Account   account
	Messages  int
}

// burstResult is what became of them.
type burstResult struct {
	Heard, Missed int
	// Disorder is how many came at another place than theirs.
	Disorder int
	// Growth is how many bytes the heap grew at most, garbage included.
	Growth int64
}

// queueBytes is how many bytes of events may wait in package sdk.
const queueBytes = 16 << 20

// run tells an empty result when it is connected, and another one when all messages have been heard
// or missed. It ends with ctx.
func (j *burstJob) run(ctx context.Context, tell func(burstResult) error) error {
	at, err := j.Service.by(j.Transport)
	if err != nil {
		return err
	}
	client, err := sdk.New(at.sdkConfig())
	if err != nil {
		return err
	}
	defer client.Close()
	var r burstResult
	var before int64
	all := make(chan struct{})
	// come is called by one goroutine, for all that it counts.
	come := func() {
		if r.Heard+r.Missed >= j.Messages {
			close(all)
		}
	}
	client.OnMissed(func(e sdk.MissedEvent) {
		r.Missed += e.Messages
		come()
	})
	client.OnMessage(func(m sdk.Message) {
		if m.ID != messageID((r.Heard+r.Missed)%prepared) || m.Text != text {
			r.Disorder++
		}
		if r.Heard%256 == 0 {
			r.Growth = max(r.Growth, heap()-before)
		}
		r.Heard++
		come()
	})
	if _, err := client.Connect(ctx, j.Account.Username, j.Account.Password); err != nil {
		return err
	}
	runtime.GC()
	before = heap()
	if err := tell(burstResult{}); err != nil {
		return err
	}
	select {
	case <-all:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err = tell(r)
	<-ctx.Done() // the last receipts are on their way
	return err
}

// heap is the bytes of objects, dead ones included.
func heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// bursts prints what became of bursts over one transport after the other.
func (b *bench) bursts(ctx context.Context, st *stage) error {
	iv, err := st.chatIV(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n%s, burst of %d messages\n\n", st.service.Name, b.burst)
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "peer\ttransport\theard\tmissed\tout of order\theap growth / bytes of the queue\t")
	for _, transport := range st.transports {
		r, err := b.burstOver(ctx, st, transport, iv)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "sdk\t%s\t%d\t%d\t%d\t%.2f\t\n", transport, r.Heard, r.Missed, r.Disorder,
			float64(r.Growth)/queueBytes)
	}
	return nil
}

func (b *bench) burstOver(ctx context.Context, st *stage, transport, iv string) (r burstResult, err error) {
	who, other := st.accounts[0], st.accounts[1]
	l, err := dialFar(ctx, st.service, other, deliveredMark, who.Username+"@"+st.Domain, iv)
	if err != nil {
		return r, err
	}
	defer func() {
		err = errors.Join(err, l.Close())
		<-l.ended
	}()
	w, err := hire(ctx, job{Burst: &burstJob{transport, st.service, who, b.burst}})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.end()) }()
	if err := w.answer(&r); err != nil {
		return r, err
	}
	receipts := make(chan error, 1)
	go func() { receipts <- l.take(b.burst) }() // it ends at the latest with the connection
	for range b.burst {
		if err := l.send(false, b.burst); err != nil {
			return r, err
		}
	}
	if err := w.answer(&r); err != nil {
		return r, err
	}
	if r.Missed == 0 {
		err = <-receipts
	}
	return r, err
}
