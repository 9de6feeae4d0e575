package fleet

import (
	"errors"
	"math"
	"time"
)

// maxWrites is how many records of shards a member writes at the same time. Heartbeats wait behind
// them: a store that keeps each on a disk needs some time for it.
const maxWrites = 16

// follow does what a plan says.
func (l *loop) follow() {
	p := planner{
		view: l.view, self: l.self, counts: l.counts(),
		busy: func(n int) bool { return l.busy[n] },
		up: func(n int) int {
			if h := l.holds[n]; h != nil {
				return h.up()
			}
			return 0
		},
	}
	plan := p.plan()
	if was := l.fleet.nobodys.Swap(int64(plan.nobodys)); was != int64(plan.nobodys) {
		l.cfg.Logger.WarnContext(l.life, "no member has room for accounts", "accounts", plan.nobodys)
	}
	part := plan.part
	if part == 0 {
		part = 1 / float64(max(len(p.ids), 1))
	}
	l.fleet.pace.set(l.cfg.LoginsPerSecond * part)
	if l.leaving && !l.view.knowsLeaving(l.self) {
		return // else others would give it what it gives away
	}
	for _, n := range plan.take {
		l.take(n)
	}
	moving := l.moving()
	for _, g := range plan.give {
		if moving >= l.window() {
			break
		}
		moving += max(l.give(g), 1)
	}
	for _, n := range plan.release {
		l.release(n)
	}
	if l.leaving {
		l.stopEmpty()
	}
}

// knowsLeaving reports whether others can know that a member leaves.
func (v *view) knowsLeaving(id string) bool {
	m := v.members[id]
	return m != nil && m.record.Leaving
}

// stopEmpty drops shards without accounts: that the member is gone is enough for others.
func (l *loop) stopEmpty() {
	for n, h := range l.holds {
		if len(l.accounts[n]) == 0 && !h.giving {
			delete(l.holds, n)
			h.stop(errLeaving)
			l.parting[h] = false
		}
	}
}

// window is how many accounts may be on their way to others: those of a second when this member
// leaves, else one shard.
func (l *loop) window() int {
	if l.leaving {
		return max(1, int(math.Ceil(l.cfg.LoginsPerSecond)))
	}
	return 1
}

// moving is how many accounts are on their way.
func (l *loop) moving() int {
	n := 0
	for _, h := range l.holds {
		if h.giving {
			n += max(1, len(h.runners))
		}
	}
	for h := range l.parting {
		n += max(1, h.up())
	}
	return n
}

// take takes a shard that is nobody's.
func (l *loop) take(n int) {
	last := l.view.revisionOf(n)
	if len(l.busy) >= maxWrites || l.resting[n] {
		return
	}
	l.busy[n] = true
	l.write(keyOfShard(n), marshal(shardRecord{Owner: l.self}), last, func(err error) { l.written(n, err) })
}

// written notes what became of a write of a shard's record. Where another member was first, the
// watch tells that in a moment.
func (l *loop) written(n int, err error) {
	delete(l.busy, n)
	if err != nil {
		l.resting[n] = true
		l.later(func() { delete(l.resting, n) })
		l.cfg.Logger.DebugContext(l.life, "a shard was not moved", "shard", n, "err", err)
	}
}

// give hands a shard over: nothing is sent for its accounts from before the record is written on,
// and their sessions stay up until the other member's replace them. It returns how many sessions
// that are.
func (l *loop) give(g gift) int {
	if len(l.busy) >= maxWrites || l.resting[g.shard] {
		return 0
	}
	last, value := l.view.revisionOf(g.shard), marshal(shardRecord{Owner: g.to})
	l.busy[g.shard] = true
	h := l.holds[g.shard]
	if h == nil { // it was given to this member, which has not begun with it
		l.write(keyOfShard(g.shard), value, last, func(err error) { l.written(g.shard, err) })
		return 0
	}
	h.giving = true
	h.gate.set(gateWaiting)
	l.moveUntilKnown(g.shard, value, last, func() { l.given(h) })
	return h.up()
}

// moveUntilKnown writes the record of a shard of this member. A write of which nobody knows what
// became is made again: until that is known, others may have the shard at any moment, so this
// member sends nothing for it and does not begin with it again. then is called by the loop before
// that ends.
func (l *loop) moveUntilKnown(n int, value []byte, last uint64, then func()) {
	l.write(keyOfShard(n), value, last, func(err error) {
		switch {
		case err == nil:
			then()
			l.written(n, nil)
		case errors.Is(err, ErrConflict):
			l.readUntilKnown(n, last, then)
		default:
			l.later(func() { l.moveUntilKnown(n, value, last, then) })
		}
	})
}

// readUntilKnown asks whose a shard is: an earlier write may have been successful after all.
func (l *loop) readUntilKnown(n int, last uint64, then func()) {
	l.read(keyOfShard(n), func(e Entry, err error) {
		if err == nil {
			l.apply(e)
		}
		if l.view.revisionOf(n) == last { // it was told what is a moment old
			l.later(func() { l.readUntilKnown(n, last, then) })
			return
		}
		then()
		l.written(n, ErrConflict)
	})
}

// given lets a shard go that another member has now.
func (l *loop) given(h *hold) {
	if l.holds[h.shard] != h { // the member has stopped it
		return
	}
	delete(l.holds, h.shard)
	l.parting[h] = false
	if l.view.ownerOf(h.shard) == l.self {
		// Nobody but this member writes so, and it knows of no such write.
		h.cut(errMoved)
		return
	}
	h.gate.set(gateMute)
	for _, r := range h.runners {
		r.giveUp(errMoved)
		if l.fleet.book.state(r) != StateUp {
			r.stop(errMoved) // there is no session that could be replaced
		}
	}
	time.AfterFunc(partingTime, func() { h.cut(errMoved) })
}

// release stops a shard that nobody has room for, and lets it go then.
func (l *loop) release(n int) {
	h := l.holds[n]
	if h == nil || len(l.busy) >= maxWrites {
		return
	}
	delete(l.holds, n)
	reason := errFull
	if l.leaving {
		reason = errLeaving
	}
	h.stop(reason)
	l.busy[n] = true
	l.parting[h] = true
}

// part looks at the shards that are being let go.
func (l *loop) part() {
	for h, release := range l.parting {
		if !h.ended() {
			continue
		}
		delete(l.parting, h)
		if !release {
			continue
		}
		if l.leaving { // that the member is gone is enough for others
			delete(l.busy, h.shard)
			continue
		}
		last := l.view.revisionOf(h.shard)
		l.moveUntilKnown(h.shard, marshal(shardRecord{}), last, func() {})
	}
}
