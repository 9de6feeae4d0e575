package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/mirrorfly-go/sdk/fleet"
)

// lines writes JSON objects, one in a line.
type lines struct {
	member string

	mu  sync.Mutex
	out io.Writer
}

// line is an account that has come up or is not up any more.
type line struct {
	Event   string `json:"event"`
	Account string `json:"account"`
	Epoch   uint64 `json:"epoch"`
	Member  string `json:"member"`
	Reason  string `json:"reason,omitempty"`
}

func (l *lines) write(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// change writes the line of a status.
func (l *lines) change(s fleet.AccountStatus) {
	e := line{"down", s.Username, s.Epoch, l.member, ""}
	if s.State == fleet.StateUp {
		e.Event = "up"
	}
	if s.Reason != nil {
		e.Reason = s.Reason.Error()
	}
	_ = l.write(e) // a member goes on when nobody reads it
}
