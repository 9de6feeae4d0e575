package sdktest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

const lockFile = "lock"

// process tells this process from an earlier one with the same id, as containers have it.
var process = randomHex(8)

// dirLock is a data directory that is ours: two servers on one would overwrite
// each other's accounts. It is a file with the process id of its owner.
type dirLock struct{ path string }

// lockDir takes the directory, which is made when it is not there. A lock whose
// process is gone is taken over; where that can't be told (Windows), it fails.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	l := &dirLock{path: filepath.Join(dir, lockFile)}
	for range 10 { // others may come and go meanwhile
		err := l.create()
		if !errors.Is(err, fs.ErrExist) {
			if err != nil {
				return nil, fmt.Errorf("data directory: %w", err)
			}
			return l, nil
		}
		owner, err := os.ReadFile(l.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // just released
		}
		if err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
		if !stale(owner) || !l.clear() {
			break
		}
	}
	return nil, fmt.Errorf("data directory: another server uses it; if there is none, remove %s", l.path)
}

func (l *dirLock) create() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %s\n", os.Getpid(), process)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(l.path)
	}
	return err
}

// stale reports whether the process that wrote owner is gone for certain.
func stale(owner []byte) bool {
	fields := bytes.Fields(owner)
	if len(fields) != 2 {
		return false
	}
	pid, err := strconv.Atoi(string(fields[0]))
	if err != nil || pid <= 0 {
		return false
	}
	if pid == os.Getpid() {
		return string(fields[1]) != process
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	return errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// clear takes a stale lock away. A second lock file sees to it that one server
// at a time does that: a lock that another has just taken over must stay.
func (l *dirLock) clear() bool {
	turn := dirLock{path: l.path + ".clear"}
	if turn.create() != nil {
		return false
	}
	defer turn.release()
	owner, err := os.ReadFile(l.path)
	return errors.Is(err, fs.ErrNotExist) || (err == nil && stale(owner) && os.Remove(l.path) == nil)
}

func (l *dirLock) release() { _ = os.Remove(l.path) }
