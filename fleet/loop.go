package fleet

import (
	"context"
	"strings"
	"sync"
	"time"
)

// loop decides. It owns what it knows and what the member holds, and waits for nothing else: what
// takes time is done by goroutines that post what came of it.
type loop struct {
	fleet *Fleet
	cfg   *Config
	view  *view

	// life ends when nothing goes on but what run waits for.
	life   context.Context
	end    context.CancelFunc
	all    sync.WaitGroup
	events chan func()
	// decided is closed when the loop takes no events any more.
	decided chan struct{}
	fatal   error
	// leave is closed when the member is to leave.
	leave   chan struct{}
	leaving bool
	member  *membership

	// What is known of this member, as the heartbeat has told.
	self  string
	lease *lease
	// heard is when the watch told something last.
	heard   time.Time
	rewatch func()

	// known is closed when accounts have been told for the first time.
	known    chan struct{}
	accounts map[int][]Account // by shard
	changed  bool              // accounts have changed since the holds were compared with them

	holds map[int]*hold
	// parting are those that were given or stopped. true: the record is still to be released.
	parting map[*hold]bool
	busy    map[int]bool // shards whose record is being written
	resting map[int]bool // shards whose record was not written a moment ago
	marking map[string]bool
}

func newLoop(f *Fleet, bucket bucketRecord) *loop {
	l := &loop{
		fleet: f, cfg: &f.cfg, view: newView(bucket.Shards), events: make(chan func()), decided: make(chan struct{}),
		leave: make(chan struct{}), rewatch: func() {}, known: make(chan struct{}), accounts: make(map[int][]Account),
		holds: make(map[int]*hold), parting: make(map[*hold]bool), busy: make(map[int]bool),
		resting: make(map[int]bool), marking: make(map[string]bool),
	}
	l.life, l.end = context.WithCancel(context.Background())
	l.member = &membership{
		cfg: l.cfg, clock: f.clock, bucket: bucket, high: &f.high, leave: l.leave,
		tell: func(h heartbeat) { l.post(func() { l.beaten(h) }) },
	}
	return l
}

// post has f run by the loop, unless that has ended.
func (l *loop) post(f func()) {
	select {
	case l.events <- f:
	case <-l.decided:
	}
}

// run returns when ctx has ended and everything is handed over, or when there is no going on.
func (l *loop) run(ctx context.Context) error {
	beating, stopBeating := context.WithCancel(l.life)
	beaten := make(chan struct{})
	l.all.Go(func() { // ends with beating
		defer close(beaten)
		select {
		case <-l.known: // others would give it accounts of which it does not know
		case <-beating.Done():
			return
		}
		if err := l.member.run(beating); err != nil {
			l.post(func() { l.fatal = err })
		}
	})
	l.all.Go(l.watch)   // ends with life
	l.all.Go(l.refresh) // likewise
	l.decide(ctx)
	close(l.decided)
	stopBeating()
	<-beaten
	if l.fatal == nil {
		if err := l.member.retire(l.life); err != nil {
			l.cfg.Logger.WarnContext(ctx, "others learn only after the TTL that this member has left", "err", err)
		}
	}
	l.end()
	l.all.Wait()
	l.fleet.lease.Store(nil)
	return l.fatal
}

// decide returns when nothing is held any more.
func (l *loop) decide(ctx context.Context) {
	tick := time.NewTicker(min(l.cfg.TTL/12, time.Second/2))
	defer tick.Stop()
	told := ctx.Done()
	for l.fatal == nil {
		l.step()
		if l.leaving && len(l.holds)+len(l.parting) == 0 {
			return
		}
		select {
		case f := <-l.events:
			f()
			l.drain()
		case <-tick.C:
		case <-told:
			told, l.leaving = nil, true
			close(l.leave)
		}
	}
	l.cutAll(l.fatal)
}

// drain runs what has been posted meanwhile, so that one step is for all of it.
func (l *loop) drain() {
	for range 1024 {
		select {
		case f := <-l.events:
			f()
		default:
			return
		}
	}
}

// beaten notes a renewal.
func (l *loop) beaten(h heartbeat) {
	at := time.Now()
	if h.lease != l.lease {
		l.cutAll(errGone)
		l.self, l.lease = h.id, h.lease
		l.fleet.lease.Store(h.lease)
	}
	if h.late {
		l.view.seenNow(at) // this member may not have heard others either
	}
	l.apply(h.entry)
}

// apply notes a record.
func (l *loop) apply(e Entry) {
	l.view.apply(e, time.Now())
	l.fleet.high.Store(l.view.high)
}

// step brings what is held in line with what is known, and does what follows from it.
func (l *loop) step() {
	l.part()
	if l.lease == nil {
		return
	}
	if !l.lease.valid() {
		l.cutAll(errSilent)
		return
	}
	l.dropMoved()
	at := time.Now()
	if at.Sub(l.heard) > l.cfg.TTL {
		l.heard = at
		l.rewatch() // own heartbeats should have come
	}
	if !l.view.complete {
		return
	}
	l.view.findOwners(at)
	l.markSilent(at)
	l.sweep(at)
	if !l.leaving {
		l.adopt()
	}
	if l.changed {
		l.compare()
	}
	l.follow()
}

// dropMoved drops shards that others have, by the word of the store. Those that are being given
// away go when that is written.
func (l *loop) dropMoved() {
	for n, h := range l.holds {
		if s := l.view.shards[n]; !h.giving && (s == nil || s.owner != l.self) {
			delete(l.holds, n)
			h.cut(errMoved)
			l.parting[h] = false
		}
	}
}

// adopt starts what is this member's by the word of the store and is not held: it was taken, was
// given by another member, or was stopped when the store could not be reached.
func (l *loop) adopt() {
	for n, s := range l.view.shards {
		if s.owner != l.self || l.holds[n] != nil || l.busy[n] {
			continue
		}
		for h := range l.parting {
			if h.shard == n { // it was given away, and has come back
				h.cut(errMoved)
			}
		}
		l.holds[n] = &hold{
			shard: n, epoch: s.revision, gate: newGate(l.lease), runners: make(map[string]*runner),
		}
		l.changed = true
	}
}

// compare starts and stops runners, so that those of each shard are its accounts.
func (l *loop) compare() {
	l.changed = false
	for n, h := range l.holds {
		if h.giving {
			continue
		}
		wanted := make(map[string]Account)
		for _, a := range l.accounts[n] {
			wanted[strings.ToLower(a.Username)] = a
		}
		for id, r := range h.runners {
			if wanted[id] != r.account {
				r.stop(errRemoved)
				select {
				case <-r.ended:
					delete(h.runners, id)
				default:
					l.changed = true // it is looked at again
				}
			}
		}
		for id, a := range wanted {
			if h.runners[id] == nil {
				r := newRunner(a, h.epoch, h.gate, l.fleet.book)
				h.runners[id] = r
				l.all.Go(func() { // ends with stop, or after giveUp
					r.run(l.fleet.session)
					l.post(func() {}) // the loop looks at what is parting
				})
			}
		}
	}
}

// markSilent marks members of which nothing was heard as gone. It comes to nothing when they have
// renewed their heartbeat meanwhile.
func (l *loop) markSilent(at time.Time) {
	for _, id := range l.view.silent(l.self, at, l.cfg.TTL) {
		if l.marking[id] {
			continue
		}
		l.marking[id] = true
		key, last := prefixMember+id, l.view.members[id].revision
		value := marshal(memberRecord{TTL: l.cfg.TTL.Milliseconds(), Gone: true})
		l.write(key, value, last, func(err error) {
			l.later(func() { delete(l.marking, id) })
			if err != nil {
				l.cfg.Logger.WarnContext(l.life, "a silent member is not marked as gone", "member", id, "err", err)
				return
			}
			l.cfg.Logger.WarnContext(l.life, "a member is silent, and marked as gone", "member", id)
		})
	}
}

// sweep deletes the record of a member that is gone for long. One member does so for all.
func (l *loop) sweep(at time.Time) {
	id := l.view.forgettable(l.self, at)
	if id == "" || l.marking[id] {
		return
	}
	l.marking[id] = true
	key, last := prefixMember+id, l.view.members[id].revision
	l.all.Go(func() { // ends after a third of the TTL
		ctx, cancel := context.WithTimeout(l.life, l.cfg.TTL/3)
		defer cancel()
		err := l.cfg.Store.Delete(ctx, key, last)
		l.post(func() {
			if err == nil {
				delete(l.view.members, id)
			} else {
				l.cfg.Logger.DebugContext(l.life, "an old record was not deleted", "member", id, "err", err)
			}
			l.later(func() { delete(l.marking, id) })
		})
	})
}

// write writes a record at a revision; 0: there is none. then is called by the loop, after the view
// knows the record.
func (l *loop) write(key string, value []byte, last uint64, then func(error)) {
	l.all.Go(func() { // ends after a third of the TTL
		ctx, cancel := context.WithTimeout(l.life, l.cfg.TTL/3)
		defer cancel()
		revision, err := l.put(ctx, key, value, last)
		l.post(func() {
			if err == nil {
				l.apply(Entry{key, value, revision})
			}
			then(err)
		})
	})
}

func (l *loop) put(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if last == 0 {
		return l.cfg.Store.Create(ctx, key, value)
	}
	return l.cfg.Store.Update(ctx, key, value, last)
}

// later has the loop call f after a moment.
func (l *loop) later(f func()) {
	l.all.Go(func() { // ends with life
		timer := time.NewTimer(l.cfg.TTL / 24)
		defer timer.Stop()
		select {
		case <-timer.C:
			l.post(f)
		case <-l.life.Done():
		}
	})
}

// read reads a record. then is called by the loop.
func (l *loop) read(key string, then func(Entry, error)) {
	l.all.Go(func() { // ends after a third of the TTL
		ctx, cancel := context.WithTimeout(l.life, l.cfg.TTL/3)
		defer cancel()
		e, err := l.cfg.Store.Get(ctx, key)
		l.post(func() { then(e, err) })
	})
}

// watch has the loop know each change.
func (l *loop) watch() {
	for l.life.Err() == nil {
		l.watchOnce()
		timer := time.NewTimer(l.cfg.TTL / 24)
		select {
		case <-timer.C:
		case <-l.life.Done():
			timer.Stop()
		}
	}
}

func (l *loop) watchOnce() {
	ctx, cancel := context.WithCancel(l.life)
	defer cancel()
	l.post(func() { l.heard, l.rewatch = time.Now(), cancel })
	entries, err := l.cfg.Store.Watch(ctx)
	if err != nil {
		l.cfg.Logger.WarnContext(ctx, "the store cannot be watched", "err", err)
		return
	}
	l.post(func() { l.view.begin() })
	for e := range entries {
		l.post(func() {
			l.heard = time.Now()
			if e.Key == "" {
				l.view.end()
				return
			}
			l.apply(e)
		})
	}
}

// refresh asks for the accounts.
func (l *loop) refresh() {
	soon, first := time.Second, true
	for l.life.Err() == nil {
		wait := l.cfg.Refresh
		accounts, err := l.cfg.Accounts(l.life)
		switch {
		case l.life.Err() != nil:
			return
		case err != nil, len(accounts) == 0:
			l.cfg.Logger.ErrorContext(l.life, "no accounts were told: they stay as they are", "err", err)
			wait, soon = min(wait, soon), 2*soon
		default:
			soon = time.Second
			l.post(func() { l.setAccounts(accounts) })
			if first {
				close(l.known)
				first = false
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.life.Done():
			timer.Stop()
		}
	}
}

func (l *loop) setAccounts(accounts []Account) {
	seen := make(map[string]bool, len(accounts))
	byShard := make(map[int][]Account)
	for _, a := range accounts {
		id := strings.ToLower(a.Username)
		if id == "" || a.Password == "" || seen[id] {
			l.cfg.Logger.ErrorContext(l.life, "an account has no name or no password, or is there twice", "account", id)
			continue
		}
		seen[id] = true
		n := shardOf(id, l.view.count)
		byShard[n] = append(byShard[n], a)
	}
	l.accounts, l.changed = byShard, true
}

// cutAll ends everything that is held, at once.
func (l *loop) cutAll(reason error) {
	for n, h := range l.holds {
		delete(l.holds, n)
		h.cut(reason)
		l.parting[h] = false
	}
	for h, release := range l.parting {
		h.cut(reason)
		if release { // that is no time to write a record
			delete(l.busy, h.shard)
			l.parting[h] = false
		}
	}
}

// partingTime is how long a session waits for another one to replace it.
const partingTime = 15 * time.Second

// counts is how many accounts each shard has.
func (l *loop) counts() map[int]int {
	counts := make(map[int]int, len(l.accounts))
	for n, accounts := range l.accounts {
		counts[n] = len(accounts)
	}
	return counts
}
