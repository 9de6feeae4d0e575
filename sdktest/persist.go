package sdktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A data directory holds one bbolt database, and the media in a directory beside it.
const (
	stateFile   = "accounts.db"
	stateFormat = "sdktest 1"     // what this program writes, under "format" in the bucket meta
	lockWait    = 2 * time.Second // for a server that is just ending
)

// The buckets. Values are JSON but for those of meta.
const (
	inMeta     = "meta"     // format, iv, ivProfile
	inAccounts = "accounts" // by user id
	inMedia    = "media"    // by token
	inFeedback = "feedback" // by number
	inReports  = "reports"  // by number
	inDeleted  = "deleted"  // by number
)

var buckets = []string{inMeta, inAccounts, inMedia, inFeedback, inReports, inDeleted}

// entry is a place in the database.
type entry struct{ bucket, key string }

// keep notes that v is now what belongs at key; st.mu is held. commit writes it.
func (st *store) keep(bucket, key string, v any) {
	if st.db == nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil { // all of it is strings, numbers, times, and what came as JSON
		panic(err)
	}
	st.pending[entry{bucket, key}] = raw
}

// forget notes that there is nothing at key any more; st.mu is held.
func (st *store) forget(bucket, key string) {
	if st.db != nil {
		st.pending[entry{bucket, key}] = nil
	}
}

// commit is the store's; a failure is also logged.
func (s *Server) commit() error {
	err := s.store.commit()
	if err != nil {
		s.opts.Logger.Error("changes were not kept", "op", "commit", "err", err)
	}
	return err
}

// commit returns when all that was changed before the call is on disk. It comes
// before every answer that acknowledges a change. Whoever waits here while
// another commit runs finds most often that the next one has written its change too.
func (st *store) commit() error {
	if st.db == nil {
		return nil
	}
	st.writing.Lock() // held across I/O: this is what waits for the disk. Nobody comes here with another lock
	defer st.writing.Unlock()
	st.mu.Lock()
	batch := st.pending
	st.pending = map[entry][]byte{}
	st.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := guarded(func() error { return st.db.Update(func(tx *bbolt.Tx) error { return write(tx, batch) }) })
	if err == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for at, raw := range batch { // for the next commit
		if _, newer := st.pending[at]; !newer {
			st.pending[at] = raw
		}
	}
	return fmt.Errorf("data directory: %w", err)
}

func write(tx *bbolt.Tx, batch map[entry][]byte) error {
	for _, name := range buckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	for at, raw := range batch {
		b := tx.Bucket([]byte(at.bucket))
		var err error
		if raw == nil {
			err = b.Delete([]byte(at.key))
		} else {
			err = b.Put([]byte(at.key), raw)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openDB takes the data directory, which is made when it is not there, and reads it.
func (st *store) openDB(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	db, err := openFile(path)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	st.db, st.pending = db, map[entry][]byte{}
	if err := guarded(func() error { return db.View(st.load) }); err != nil {
		st.db = nil // nothing is to be written to it
		return fmt.Errorf("data directory: %w", errors.Join(damaged(path, err), db.Close()))
	}
	return st.commit() // a new database has its first entries now
}

// openFile opens the database and takes it: two servers on one would overwrite
// each other's accounts. The system's lock on the file ends with the process at the latest.
func openFile(path string) (db *bbolt.DB, err error) {
	var file *os.File
	err = guarded(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: lockWait,
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	var broken *brokenError
	var system syscall.Errno
	switch {
	case errors.As(err, &broken):
		_ = file.Close() // and with it the lock: bbolt has not come so far
		return nil, damaged(path, err)
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("another server uses %s; end it, or choose another directory", path)
	case err != nil && !errors.As(err, &system): // what bbolt says of the content
		return nil, damaged(path, err)
	}
	return db, err
}

func damaged(path string, err error) error {
	return fmt.Errorf("%s is damaged, or no database of this program (%w); move it away to begin afresh", path, err)
}

// closeDB writes what is left, and gives the directory free.
func (st *store) closeDB() error {
	if st.db == nil {
		return nil
	}
	return errors.Join(st.commit(), st.db.Close())
}

// load reads the database. There is nothing in a new one.
func (st *store) load(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(inMeta))
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return fmt.Errorf("it begins with %q", name)
		}
		st.keep(inMeta, "format", stateFormat)
		st.keep(inMeta, "iv", st.state.IV)
		st.keep(inMeta, "ivProfile", st.state.IVProfile)
		return nil
	}
	if err := st.loadMeta(meta); err != nil {
		return err
	}
	for _, read := range []func() error{
		func() error { return each(tx, inAccounts, st.loadAccount) },
		func() error { return each(tx, inMedia, st.loadMedium) },
		func() error { return each(tx, inFeedback, st.state.Feedback.load) },
		func() error { return each(tx, inReports, st.state.Reports.load) },
		func() error { return each(tx, inDeleted, st.state.Deleted.load) },
	} {
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (st *store) loadAccount(id string, a *account) error {
	st.state.Accounts[id] = a
	return nil
}

func (st *store) loadMedium(token string, m *medium) error {
	if !fileName.MatchString(m.File) { // never serve what lies elsewhere
		return errors.New("no file of this program")
	}
	st.state.Media[token] = *m
	return nil
}

func (st *store) loadMeta(meta *bbolt.Bucket) error {
	var format string
	for key, to := range map[string]*string{"format": &format, "iv": &st.state.IV, "ivProfile": &st.state.IVProfile} {
		if err := json.Unmarshal(meta.Get([]byte(key)), to); err != nil || *to == "" {
			return fmt.Errorf("%s is missing", key)
		}
	}
	if format != stateFormat {
		return fmt.Errorf("it has the format %q and not %q", format, stateFormat)
	}
	return nil
}

// each reads a bucket.
func each[T any](tx *bbolt.Tx, bucket string, f func(key string, v *T) error) error {
	b := tx.Bucket([]byte(bucket))
	if b == nil {
		return fmt.Errorf("bucket %s is missing", bucket)
	}
	return b.ForEach(func(key, raw []byte) error {
		var v *T
		err := json.Unmarshal(raw, &v)
		if err == nil && v == nil {
			err = errors.New("empty")
		}
		if err == nil {
			err = f(string(key), v)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", bucket, key, err)
		}
		return nil
	})
}

// brokenError is a panic of bbolt, which is what it does about a damaged file.
type brokenError struct{ reason any }

func (e *brokenError) Error() string { return fmt.Sprint(e.reason) }

// guarded makes an error of a panic, and of a fault in the mapped file.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = &brokenError{reason}
		}
	}()
	return f()
}
