package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Fleet is a member of a fleet. Its methods may be called by several goroutines at once.
type Fleet struct {
	cfg     Config
	book    *book
	pace    *pace
	clock   func() instant
	session session

	running atomic.Bool
	nobodys atomic.Int64
	lease   atomic.Pointer[lease]
	// high is the highest revision that was seen in the bucket.
	high atomic.Uint64
}

// New checks cfg. It does no I/O and starts no goroutine.
func New(cfg Config) (*Fleet, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg, book: newBook(cfg.OnChange), pace: newPace(cfg.Client.Dials), clock: now}
	f.pace.set(cfg.LoginsPerSecond)
	f.session = (&login{cfg: cfg, pace: f.pace, patience: cfg.TTL + margin(cfg.TTL)}).run
	return f, nil
}

// Run takes part in the fleet until ctx ends. Then it hands over what it holds, as fast as others
// may log in, and returns nil. A member that holds nothing, or is the last one, is done at once. A
// store that cannot be reached is waited for; a bucket that is not the one that this member knew
// ends Run with ErrBucket, see Config.NewBucket. Whatever ends it, no session is left.
//
// It may be called once.
func (f *Fleet) Run(ctx context.Context) error {
	if f.running.Swap(true) {
		return errors.New("fleet: Run was called before")
	}
	for {
		err := f.takePart(ctx)
		if !errors.Is(err, ErrBucket) || !f.cfg.NewBucket || ctx.Err() != nil {
			return err
		}
		f.cfg.Logger.WarnContext(ctx, "epochs begin anew", "err", err)
	}
}

// takePart is Run in one bucket.
func (f *Fleet) takePart(ctx context.Context) error {
	f.high.Store(0)
	bucket, err := f.findBucket(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	return newLoop(f, bucket).run(ctx)
}

// Accounts are those that this member holds, sorted by name.
func (f *Fleet) Accounts() []AccountStatus { return f.book.list() }

// Nobodys is how many accounts of the fleet no member has room for, as far as this member knows:
// the sum of all Max is too small.
func (f *Fleet) Nobodys() int { return int(f.nobodys.Load()) }

// Joined reports whether this member takes part: it has renewed its heartbeat within Config.TTL.
// One that has not holds nothing, so that Accounts says nothing about the service.
func (f *Fleet) Joined() bool {
	l := f.lease.Load()
	return l != nil && l.valid()
}

// findBucket reads what all members agree on, or writes it in a new bucket. It waits for the store,
// until ctx ends, which is no error.
func (f *Fleet) findBucket(ctx context.Context) (bucketRecord, error) {
	for {
		record, err := f.readBucket(ctx)
		if err == nil || errors.Is(err, errBadBucket) {
			return record, err
		}
		if ctx.Err() != nil {
			return record, nil
		}
		f.cfg.Logger.WarnContext(ctx, "the store cannot be reached", "err", err)
		timer := time.NewTimer(f.cfg.TTL / 24)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return record, nil
		}
	}
}

var errBadBucket = errors.New("fleet: the bucket has something else in it, or was made by another version")

func (f *Fleet) readBucket(ctx context.Context) (bucketRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.TTL)
	defer cancel()
	record := bucketRecord{ID: randomHex(16), Shards: defaultShards}
	_, err := f.cfg.Store.Create(ctx, keyBucket, marshal(record))
	if !errors.Is(err, ErrConflict) {
		return record, err
	}
	found, err := f.cfg.Store.Get(ctx, keyBucket)
	if err != nil {
		return record, fmt.Errorf("reading the record of the bucket: %w", err)
	}
	record = bucketRecord{}
	if !unmarshal(found.Value, &record) || record.ID == "" || record.Shards < 1 || record.Shards > maxShards {
		return record, errBadBucket
	}
	return record, nil
}
