package fleet

import (
	"context"
	"errors"
)

// Errors of a Store. All others say that it cannot be reached, or that nobody knows what became of
// the request.
var (
	// ErrConflict: the record is not at that revision any more, or exists already. Nothing was
	// changed.
	ErrConflict = errors.New("the record has changed meanwhile")
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("there is no such record")
)

// ErrBucket ends Run: the bucket is not the one that the member knew, since it was made anew or
// restored from a copy. Epochs would begin anew, so nobody goes on with it without being told to,
// by Config.NewBucket or by a start of the program.
var ErrBucket = errors.New("fleet: the bucket was made anew or restored")

// Store keeps the records of a fleet. It is a seam for natsstore and for tests (fleettest): a
// program makes one of those, and calls nothing of it.
//
// A write is final when it has succeeded, and each one gets a revision that is higher than all
// before it in the bucket.
type Store interface {
	// Get reads a record, which may be a moment old. ErrNotFound: there is none.
	Get(ctx context.Context, key string) (Entry, error)
	// Create writes a record that does not exist, else it returns ErrConflict.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update writes a record whose last revision is last, else it returns ErrConflict.
	Update(ctx context.Context, key string, value []byte, last uint64) (revision uint64, err error)
	// Delete removes a record whose last revision is last, else it returns ErrConflict.
	Delete(ctx context.Context, key string, last uint64) error
	// Watch tells all records, then an Entry without a key, then each change, until ctx ends. The
	// channel is closed when the watch has ended, for whatever reason. Of several changes of one
	// record the last one may be all that is told.
	Watch(ctx context.Context) (<-chan Entry, error)
}

// Entry is a record.
type Entry struct {
	// Key names it.
	Key string
	// Value is empty when the record was deleted.
	Value []byte
	// Revision is that of its last change.
	Revision uint64
}
