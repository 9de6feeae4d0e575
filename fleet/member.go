package fleet

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// membership is the heartbeat of a member. It has one goroutine, which tells the loop what happens.
type membership struct {
	cfg   *Config
	clock func() instant
	// bucket is the record that the bucket had when the member came.
	bucket bucketRecord
	// high is the highest revision that the member has seen.
	high *atomic.Uint64
	tell func(heartbeat)
	// leave is closed when the member is to leave.
	leave <-chan struct{}

	id       string
	lease    *lease
	revision uint64
	beat     uint64
	// doubts counts what spoke for another bucket, since the last renewal.
	doubts int
}

// heartbeat is what the loop is told of a renewal.
type heartbeat struct {
	id    string
	lease *lease // another one than before: what was held before is lost
	entry Entry
	// late: the one before is longer ago than it should be.
	late bool
}

// interval is the time between two renewals.
func (m *membership) interval() time.Duration { return m.cfg.TTL / 3 }

// retry is the time after which a renewal that has failed is tried again.
func (m *membership) retry() time.Duration { return m.cfg.TTL / 24 }

// run renews until ctx ends. It returns ErrBucket, or nil when ctx has ended.
func (m *membership) run(ctx context.Context) error {
	for ctx.Err() == nil {
		began := m.clock()
		err := m.renew(ctx)
		wait := m.interval()
		switch {
		case errors.Is(err, ErrBucket):
			return err
		case errors.Is(err, errGone), errors.Is(err, errLate):
			wait = 0 // it comes as another one, or renews what it has found
		case err != nil:
			m.cfg.Logger.WarnContext(ctx, "the heartbeat was not renewed", "member", m.id, "err", err)
			wait = m.retry()
		default:
			wait -= m.clock().monotonic - began.monotonic
		}
		m.sleep(ctx, wait)
	}
	return nil
}

func (m *membership) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.leave:
		m.leave = nil // told by the next renewal, which is now
	case <-ctx.Done():
	}
}

// errLate: a renewal that seemed to have failed was successful.
var errLate = errors.New("an earlier renewal was late")

// errGone: others have marked this member as gone.
var errGone = errors.New("the member was silent for too long and counts as gone")

// renew is one heartbeat; the first one makes the record.
func (m *membership) renew(ctx context.Context) error {
	if m.revision == 0 {
		return m.join(ctx)
	}
	began := m.clock()
	before := m.lease.renewed.Load()
	high, value := m.high.Load(), m.record()
	revision, err := m.write(ctx, func(ctx context.Context) (uint64, error) {
		return m.cfg.Store.Update(ctx, m.key(), value, m.revision)
	})
	if errors.Is(err, ErrConflict) {
		return m.settle(ctx)
	}
	if err != nil {
		return err
	}
	if revision <= high { // of which something was seen before this was written
		return ErrBucket
	}
	m.revision, m.doubts = revision, 0
	late := before == nil || began.monotonic-before.monotonic > 2*m.interval()
	beat := heartbeat{m.id, m.lease, Entry{m.key(), value, revision}, late}
	if late {
		// The loop is to know before it goes on: others could not be heard, and were not silent.
		m.tell(beat)
		m.lease.renew(began)
		return nil
	}
	m.lease.renew(began)
	m.tell(beat)
	return nil
}

// join makes the record of a new member.
func (m *membership) join(ctx context.Context) error {
	if err := m.checkBucket(ctx); err != nil {
		return err
	}
	if m.id == "" {
		m.id, m.beat = memberID(m.cfg.Name), 0
	}
	began, high, value := m.clock(), m.high.Load(), m.record()
	revision, err := m.write(ctx, func(ctx context.Context) (uint64, error) {
		return m.cfg.Store.Create(ctx, m.key(), value)
	})
	if errors.Is(err, ErrConflict) { // an attempt that seemed to have failed was successful
		began.monotonic -= m.cfg.TTL // it is valid from the next renewal on
		high = 0                     // others have written since then
		revision, err = m.findJoined(ctx)
	}
	if err != nil {
		return err
	}
	if revision <= high {
		return ErrBucket
	}
	m.revision, m.lease = revision, newLease(m.cfg.TTL, m.clock, began)
	m.cfg.Logger.InfoContext(ctx, "joined the fleet", "member", m.id)
	m.tell(heartbeat{m.id, m.lease, Entry{m.key(), value, revision}, true})
	return nil
}

// findJoined is the revision of the record of this member, which has never renewed it.
func (m *membership) findJoined(ctx context.Context) (uint64, error) {
	var found Entry
	revision, err := m.write(ctx, func(ctx context.Context) (_ uint64, err error) {
		found, err = m.cfg.Store.Get(ctx, m.key())
		return found.Revision, err
	})
	var record memberRecord
	if err == nil && (!unmarshal(found.Value, &record) || record.Gone) {
		m.id = "" // others have not heard of it for too long, and Gone is for ever
		return 0, errGone
	}
	return revision, err
}

// settle finds out why a renewal was refused.
func (m *membership) settle(ctx context.Context) error {
	var found Entry
	_, err := m.write(ctx, func(ctx context.Context) (_ uint64, err error) {
		found, err = m.cfg.Store.Get(ctx, m.key())
		return found.Revision, err
	})
	missing := errors.Is(err, ErrNotFound) || err == nil && len(found.Value) == 0
	if err != nil && !missing {
		return err
	}
	if err := m.checkBucket(ctx); err != nil {
		return err
	}
	var record memberRecord
	switch {
	case !missing && found.Revision < m.revision, missing && !m.isForgotten():
		return m.doubt()
	case !missing && found.Revision > m.revision && unmarshal(found.Value, &record) && !record.Gone:
		// When it became so is not known: the next one counts.
		m.revision = found.Revision
		return errLate
	case !missing && !record.Gone:
		return errors.New("the store has told an old record") // it has not got that far yet
	}
	m.cfg.Logger.WarnContext(ctx, "others have taken over", "member", m.id, "err", errGone)
	m.lease.end()
	m.id, m.revision = "", 0
	return errGone
}

// isForgotten reports whether others may have deleted the record of this member. A machine that has
// slept knows that by the wall clock alone.
func (m *membership) isForgotten() bool {
	since := m.lease.renewed.Load()
	if since == nil {
		return true
	}
	at := m.clock()
	return at.monotonic-since.monotonic > forgetAfter || at.wall.Sub(since.wall) > forgetAfter
}

// checkBucket returns ErrBucket when the bucket is another one.
func (m *membership) checkBucket(ctx context.Context) error {
	var found Entry
	_, err := m.write(ctx, func(ctx context.Context) (_ uint64, err error) {
		found, err = m.cfg.Store.Get(ctx, keyBucket)
		return found.Revision, err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	var record bucketRecord
	if err != nil || !unmarshal(found.Value, &record) || record != m.bucket {
		return m.doubt()
	}
	return nil
}

// doubt returns ErrBucket when it is called for the third time without a renewal: a store may tell
// what is a moment old.
func (m *membership) doubt() error {
	const enough = 3
	if m.doubts++; m.doubts < enough {
		return errors.New("the bucket seems to be another one")
	}
	return ErrBucket
}

// write bounds a request to the store. When its time is over there is some left for another one.
func (m *membership) write(ctx context.Context, f func(context.Context) (uint64, error)) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.TTL/2)
	defer cancel()
	return f(ctx)
}

func (m *membership) key() string { return prefixMember + m.id }

// record is the next heartbeat.
func (m *membership) record() []byte {
	m.beat++
	return marshal(memberRecord{
		Max: m.cfg.Max, TTL: m.cfg.TTL.Milliseconds(), Beat: m.beat, Leaving: m.leave == nil,
	})
}

// retire marks the member as gone: what it held is free at once. It is called after run.
func (m *membership) retire(ctx context.Context) error {
	if m.revision == 0 {
		return nil
	}
	m.lease.end()
	_, err := m.write(ctx, func(ctx context.Context) (uint64, error) {
		gone := marshal(memberRecord{TTL: m.cfg.TTL.Milliseconds(), Gone: true})
		return m.cfg.Store.Update(ctx, m.key(), gone, m.revision)
	})
	return err
}
