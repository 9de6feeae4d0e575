package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

// player is one session of the plan. It does the steps with one Client after the other.
type player struct {
	stage  *stage
	number int
	label  string
	actor  Actor

	// generation is that of its account. An account that may be deleted is replaced by the next
	// one.
	generation int

	mu sync.Mutex
	// life is the present one.
	life *life
	// past are the lives of this round whose client is closed.
	past []*life
}

// life is one Client, and the outcomes of its calls that its listeners must be told of.
type life struct {
	client *sdk.Client
	who    *account
	watch  *watcher

	mu sync.Mutex
	// done are the calls with a 200 since the last settle.
	done map[blockChange]int
	// maybe are the calls whose outcome is not known.
	maybe map[blockChange]int
	// reads are the own profiles that were read, by version.
	reads map[string]int
}

// newLife makes a client for the account a.
func (p *player) newLife(a *account) (*life, error) {
	client, err := sdk.New(p.stage.config(p.actor))
	if err != nil {
		return nil, err
	}
	who := fmt.Sprintf("season %d, %s, events of %s", p.stage.number, p.label, a.user)
	l := &life{client: client, who: a, watch: newWatcher(p.stage.book, who, a.user, a.nextPush())}
	l.watch.listen(client)
	l.reset()
	return l, nil
}

func (l *life) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done, l.maybe, l.reads = map[blockChange]int{}, map[blockChange]int{}, map[string]int{}
}

func (l *life) blocked(change blockChange, how told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch how {
	case toldOK:
		l.done[change]++
	case toldUnknown:
		l.maybe[change]++
	}
}

func (l *life) read(version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads[version]++
}

func (p *player) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// begin gives the player its account and its first client.
func (p *player) begin() error {
	p.generation++
	a := newAccount(fmt.Sprintf("%s-%d", p.label, p.generation))
	l, err := p.newLife(a)
	if err != nil {
		return err
	}
	p.stage.join(a)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = l
	return nil
}

// replace closes the client. The next one has the same account, unless that may be gone.
func (p *player) replace(at string) {
	old := p.current()
	p.closeClient(at, old)
	p.mu.Lock()
	p.past = append(p.past, old)
	p.mu.Unlock()
	var err error
	if old.who.mayBeGone() {
		err = p.begin()
	} else {
		var l *life
		if l, err = p.newLife(old.who); err == nil {
			p.mu.Lock()
			p.life = l
			p.mu.Unlock()
		}
	}
	if err != nil {
		p.stage.book.fail(violation{where: at, what: "no new client", held: err.Error()})
	}
}

func (p *player) closeClient(at string, l *life) {
	if err := l.client.Close(); err != nil {
		p.stage.book.fail(violation{where: at, what: "Close failed", told: err.Error()})
	}
	p.stage.book.called("Close", toldOK)
}

// play does the steps of a round. done is called after each.
func (p *player) play(round Round, done func()) {
	for n, s := range round.Steps[p.number] {
		p.step(fmt.Sprintf("%d.%d/%s/%d", round.Season, round.Number, p.label, n+1), s)
		done()
	}
}

// patience is how long a step waits for the connection to be back, unless it is eager.
const patience = 2 * time.Second

func (p *player) step(at string, s Step) {
	think := time.NewTimer(s.Think)
	defer think.Stop()
	<-think.C
	l := p.current()
	if !s.Eager {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = l.watch.await(ctx, func() bool { return l.watch.settledLocked() })
	}
	if l.watch.outside() {
		p.logIn(at, l)
	}
	var all sync.WaitGroup
	for i, c := range s.Calls {
		all.Go(func() { calls[c.Op](p, l, fmt.Sprintf("%s.%d", at, i+1), c) })
	}
	all.Wait()
}

// logIn registers, unless the account is registered, and connects.
func (p *player) logIn(at string, l *life) {
	if l.who.secret() == "" {
		p.register(l, at+".register", Call{})
	}
	p.connect(l, at+".connect", Call{})
}

// comeBack returns when a call works again. The service is well by then: what reconnects by itself
// must do so.
func (p *player) comeBack(ctx context.Context, at string) error {
	for {
		l := p.current()
		if l.watch.outside() {
			p.logIn(at, l)
		}
		err := l.watch.await(ctx, func() bool { return l.watch.settledLocked() })
		if err == nil && !l.watch.outside() {
			_, how, _ := do(p, at, "GetUsersIBlocked", 0, l.client.GetUsersIBlocked)
			if how == toldOK {
				return p.learnFeatures(at, l)
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s is %s, %s", l.who.user, l.client.State(), l.watch)
		}
		// What has failed once may fail again.
		p.stage.pause(ctx, 20*time.Millisecond)
	}
}

// learnFeatures asks for the features of the plan, if the client knows less than all.
func (p *player) learnFeatures(at string, l *life) error {
	if f := l.client.Features(); !f.Block || !f.Report {
		p.register(l, at+".features", Call{})
	}
	return nil
}

// settle comes back, and returns when all that was pushed to this session until now was told, or
// else that it was missed.
func (p *player) settle(ctx context.Context, at string) error {
	for {
		if err := p.comeBack(ctx, at); err != nil {
			return fmt.Errorf("does not come back: %w", err)
		}
		l := p.current()
		last := -1
		l.who.numberPush(func(n int) bool {
			last = n
			return p.stage.push(l.who.user, n)
		})
		soon, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := l.watch.await(soon, func() bool { return l.watch.next > last })
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("push %d never came: %s", last, l.watch)
		}
	}
}

// lives are all lives of this round.
func (p *player) lives() []*life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(slices.Clone(p.past), p.life)
}

// endRound drops what has been compared.
func (p *player) endRound() {
	p.mu.Lock()
	p.past = nil
	l := p.life
	p.mu.Unlock()
	l.reset()
	l.watch.reset()
}
