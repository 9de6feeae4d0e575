package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	databaseFile = "accounts.db"
	mediaFolder  = "media"         // beside the database
	lockWait     = 2 * time.Second // for another emulator that is just ending
)

// newer are the kinds that a database lacks that an emulator without messages has made.
var newer = []string{"messages", "waiting"}

// database is the data directory's bbolt file, as the sdktest.StateStore of the emulator. It has a
// bucket for each kind of entries.
type database struct {
	path string
	bolt *bbolt.DB
	// that were loaded
	kinds []string
}

// openDatabase opens the database in a directory. It makes both when they do not exist.
func openDatabase(dir string) (*database, error) {
	path := filepath.Join(dir, databaseFile)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var db *bbolt.DB
		if db, err = openFile(path); err == nil {
			// It has passwords and keys, and a copy may be readable for others. This fails where
			// the file is somebody else's, who then decides.
			_ = os.Chmod(path, 0o600)
			return &database{path: path, bolt: db}, nil
		}
	}
	return nil, fmt.Errorf("data directory: %w", err)
}

// openFile opens the database file and locks it: two emulators with the same file would overwrite
// each other's accounts. The operating system ends the lock with the process at the latest.
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
	var panicked *panicError
	var system syscall.Errno
	switch {
	case errors.As(err, &panicked):
		_ = file.Close() // which ends the lock: after a panic bbolt has not done it
		return nil, damaged(path, err)
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("another server uses %s; end it, or choose another directory", path)
	case err != nil && !errors.As(err, &system): // it is about the content of the file
		return nil, damaged(path, err)
	}
	return db, err
}

func damaged(path string, err error) error {
	return fmt.Errorf("%s is damaged, or no database of this program (%w); move it away to begin afresh", path, err)
}

// Load is for sdktest.StateStore. A new database has no buckets, any other one has all of them.
func (d *database) Load(kind string, each func(key string, value []byte) error) error {
	d.kinds = append(d.kinds, kind)
	err := guarded(func() error {
		return d.bolt.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(kind))
			if b != nil {
				return b.ForEach(func(key, value []byte) error { return each(string(key), value) })
			}
			if some, _ := tx.Cursor().First(); some != nil && !slices.Contains(newer, kind) {
				return fmt.Errorf("bucket %s is missing", kind)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("data directory: %w", damaged(d.path, err))
	}
	return nil
}

// Save is for sdktest.StateStore.
func (d *database) Save(changes []sdktest.StateChange) error {
	err := guarded(func() error {
		return d.bolt.Update(func(tx *bbolt.Tx) error { return d.write(tx, changes) })
	})
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

func (d *database) write(tx *bbolt.Tx, changes []sdktest.StateChange) error {
	for _, kind := range d.kinds {
		if _, err := tx.CreateBucketIfNotExists([]byte(kind)); err != nil {
			return err
		}
	}
	for _, c := range changes {
		b := tx.Bucket([]byte(c.Kind))
		var err error
		if c.Value == nil {
			err = b.Delete([]byte(c.Key))
		} else {
			err = b.Put([]byte(c.Key), c.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *database) close() error {
	if err := d.bolt.Close(); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// panicError is a panic of bbolt: that is how it reports some kinds of damage.
type panicError struct{ reason any }

func (e *panicError) Error() string { return fmt.Sprint(e.reason) }

// guarded makes an error of a panic, and of a fault in the mapped file.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = &panicError{reason}
		}
	}()
	return f()
}
