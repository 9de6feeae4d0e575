package sdktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

const stateFile = "accounts.json"

// load reads the data directory.
func (st *store) load(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("data directory: %s is damaged: %w", stateFile, err)
	}
	if s.IV == "" || s.IVProfile == "" {
		return fmt.Errorf("data directory: %s is not of this program", stateFile)
	}
	if s.Accounts == nil {
		s.Accounts = map[string]*account{}
	}
	if s.Media == nil {
		s.Media = map[string]medium{}
	}
	for id, a := range s.Accounts {
		if a == nil {
			delete(s.Accounts, id)
		}
	}
	for token, m := range s.Media {
		if !fileName.MatchString(m.File) { // never serve what lies elsewhere
			return fmt.Errorf("data directory: %s is damaged: medium %q has no file of this program", stateFile, token)
		}
	}
	st.state = s
	return nil
}

// saver writes the store to disk after changes. One goroutine, from startSaver to stop.
type saver struct {
	store *store
	done  chan struct{}
	wg    sync.WaitGroup
}

func startSaver(st *store, dir string, log *slog.Logger) *saver {
	s := &saver{store: st, done: make(chan struct{})}
	path := filepath.Join(dir, stateFile)
	save := func() { // a failure is made good by the next change or the end
		if err := st.save(path); err != nil {
			log.Warn("accounts were not saved", "op", "save", "err", err)
		}
	}
	s.wg.Go(func() { // ends when stop closes done, after a last save
		for {
			select {
			case <-st.dirty:
				save()
			case <-s.done:
				save()
				return
			}
		}
	})
	return s
}

func (s *saver) stop() {
	close(s.done)
	s.wg.Wait()
}

// save replaces the file in one step, so that a crash leaves the old or the new one.
func (st *store) save(path string) error {
	st.mu.Lock()
	raw, err := json.Marshal(st.state)
	st.mu.Unlock()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), stateFile+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(raw)
	if serr := tmp.Sync(); err == nil {
		err = serr
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
