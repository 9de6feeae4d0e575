// Package natsstore keeps the records of a fleet in a key-value bucket of NATS JetStream.
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/mirrorfly-go/sdk/fleet"
)

const (
	defaultBucket = "mirrorfly-fleet"
	// patience is how long New waits for JetStream: a cluster that was just started needs that.
	patience = 20 * time.Second
	// markerTTL is how long it is remembered that a record was deleted.
	markerTTL = time.Hour
	// maxRecord is how many bytes a record may have.
	maxRecord = 4 << 10
)

// Options say which bucket it is. The zero value is for one server.
type Options struct {
	// Bucket is its name; default "mirrorfly-fleet". Fleets that have nothing to do with each other
	// need two.
	Bucket string
	// Replicas is how many servers of a cluster keep a new bucket: 1 (the default), 3 or 5.
	Replicas int
}

// New opens the bucket, or makes it when there is none. It waits 20 seconds at most. It refuses a
// bucket with a TTL, since correctness must not rest on the clock of NATS.
//
// The connection under js should reconnect for ever and keep no requests back while it is lost, as
// that of Connect does: a request that is sent late says what is not true any more.
func New(js jetstream.JetStream, opts Options) (fleet.Store, error) {
	if opts.Bucket == "" {
		opts.Bucket = defaultBucket
	}
	if opts.Replicas == 0 {
		opts.Replicas = 1
	}
	if strings.Trim(opts.Bucket, bucketLetters) != "" {
		return nil, errors.New(`natsstore: Options.Bucket is not made of letters, digits, "-" and "_"`)
	}
	if r := opts.Replicas; r != 1 && r != 3 && r != 5 {
		return nil, errors.New("natsstore: Options.Replicas is not 1, 3 or 5")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		kv, err := open(ctx, js, opts)
		if err == nil {
			return &store{kv}, nil
		}
		if errors.Is(err, errForgets) {
			return nil, fmt.Errorf("natsstore: the bucket %q: %w", opts.Bucket, err)
		}
		timer := time.NewTimer(patience / 40)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("natsstore: the bucket %q cannot be opened: %w", opts.Bucket, err)
		}
	}
}

const bucketLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// errForgets: a record that went by itself would be that of a shard which somebody holds.
var errForgets = errors.New("it forgets records after a while: make it without a TTL, or have it made")

// open never changes a bucket that there is.
func open(ctx context.Context, js jetstream.JetStream, opts Options) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, patience/4)
	defer cancel()
	kv, err := js.KeyValue(ctx, opts.Bucket)
	if err == nil {
		return check(ctx, kv)
	}
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, err
	}
	kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: opts.Bucket, Description: "members and shards of a fleet of MirrorFly accounts",
		History: 1, Storage: jetstream.FileStorage, Replicas: opts.Replicas, MaxValueSize: maxRecord,
		LimitMarkerTTL: markerTTL,
	})
	if errors.Is(err, jetstream.ErrBucketExists) { // another member was first
		return js.KeyValue(ctx, opts.Bucket)
	}
	return kv, err
}

// check returns a bucket that there was, if it can be used.
func check(ctx context.Context, kv jetstream.KeyValue) (jetstream.KeyValue, error) {
	status, err := kv.Status(ctx)
	if err == nil && status.TTL() > 0 {
		err = errForgets
	}
	return kv, err
}

type store struct{ kv jetstream.KeyValue }

// Get reads a record, from any server of the cluster that keeps the bucket.
func (s *store) Get(ctx context.Context, key string) (fleet.Entry, error) {
	e, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return fleet.Entry{}, fleet.ErrNotFound
	}
	if err != nil {
		return fleet.Entry{}, err
	}
	return fleet.Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}, nil
}

// Create writes a record that does not exist.
func (s *store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := s.kv.Create(ctx, key, value)
	return revision, conflict(err)
}

// Update writes a record at a revision.
func (s *store) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	revision, err := s.kv.Update(ctx, key, value, last)
	return revision, conflict(err)
}

// Delete removes a record at a revision. What is left of it goes after an hour.
func (s *store) Delete(ctx context.Context, key string, last uint64) error {
	return conflict(s.kv.Purge(ctx, key, jetstream.LastRevision(last), jetstream.PurgeTTL(markerTTL)))
}

// conflict makes the error of fleet.Store of one that says that the record is at another revision.
func conflict(err error) error {
	var refused *jetstream.APIError
	if errors.Is(err, jetstream.ErrKeyExists) ||
		errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return fmt.Errorf("%w: %w", fleet.ErrConflict, err)
	}
	return err
}

// Watch tells all records and each change.
func (s *store) Watch(ctx context.Context) (<-chan fleet.Entry, error) {
	w, err := s.kv.WatchAll(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan fleet.Entry)
	go func() { // owner: who watches; ends with ctx
		defer close(out)
		follow(ctx, w.Updates(), out)
		_ = w.Stop() // it fails when the watch has ended
		// Else the one that delivers waits for ever for somebody to take what has come.
		for range w.Updates() {
		}
	}()
	return out, nil
}

// follow returns when ctx or the watch has ended.
func follow(ctx context.Context, from <-chan jetstream.KeyValueEntry, to chan<- fleet.Entry) {
	for {
		select {
		case e, open := <-from:
			if !open {
				return
			}
			select {
			case to <- entry(e):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// entry is the record of an update; nil is the end of those that there were.
func entry(e jetstream.KeyValueEntry) fleet.Entry {
	switch {
	case e == nil:
		return fleet.Entry{}
	case e.Operation() != jetstream.KeyValuePut:
		return fleet.Entry{Key: e.Key(), Revision: e.Revision()}
	}
	return fleet.Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}
}
