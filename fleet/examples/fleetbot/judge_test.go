package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// judge is the emulator, and what it has recorded of sessions.
type judge struct {
	t        *testing.T
	srv      *sdktest.Server
	accounts string // the file

	mu  sync.Mutex
	all map[string]*record
	off bool // the emulator ends
}

// record is what became of one account.
type record struct {
	attached int       // sessions
	since    time.Time // when that became so
	had      bool      // it has had a session

	bare, doubled time.Duration // the longest time without one, and with two
}

// newJudge starts the emulator with so many accounts.
func newJudge(t *testing.T, accounts int) *judge {
	t.Helper()
	j := &judge{t: t, all: make(map[string]*record)}
	srv, err := sdktest.Start(sdktest.Options{
		Domain: "localhost", Trial: true, NoContacts: true, ResumeTimeout: 30 * time.Second, OnTraffic: j.note,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		j.mu.Lock()
		j.off = true
		j.mu.Unlock()
		srv.Close()
	})
	j.srv = srv
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	type account struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	var list []account
	for i := range accounts {
		found, err := client.Register(t.Context(), fmt.Sprintf("bot%d", i))
		require.NoError(t, err)
		list = append(list, account{found.Data.Username, found.Data.Password})
	}
	raw, err := json.Marshal(list)
	require.NoError(t, err)
	j.accounts = filepath.Join(t.TempDir(), "accounts.json")
	require.NoError(t, os.WriteFile(j.accounts, raw, 0o600))
	return j
}

// env are the variables of a member.
func (j *judge) env() []string {
	return []string{
		"MIRRORFLY_API_BASE_URL=" + j.srv.URL(), "MIRRORFLY_LICENSE_KEY=" + j.srv.LicenseKey(),
		"MIRRORFLY_TRIAL=true", "MIRRORFLY_CA_FILE=" + j.srv.CAFile(),
	}
}

func (j *judge) note(t sdktest.Traffic) {
	if t.Kind != "session" {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.all[t.User]
	if r == nil {
		r = &record{}
		j.all[t.User] = r
	}
	r.count(t.Time, !j.off)
	if t.Text == "connected" {
		r.attached++
		r.had = true
	} else {
		r.attached--
	}
}

// count counts the time until at.
func (r *record) count(at time.Time, matters bool) {
	switch d := at.Sub(r.since); {
	case !matters || !r.had:
	case r.attached == 0:
		r.bare = max(r.bare, d)
	case r.attached > 1:
		r.doubled = max(r.doubled, d)
	}
	r.since = at
}

// attached is how many accounts have a session.
func (j *judge) attached() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.all {
		if r.attached > 0 {
			n++
		}
	}
	return n
}

// until waits until so many accounts have a session.
func (j *judge) until(n int) {
	j.t.Helper()
	require.Eventually(j.t, func() bool { return j.attached() == n }, limit, pause)
}

// judgement is the longest time that an account was without a session, and that one had two, since
// the last judgement.
func (j *judge) judgement() (bare, doubled time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.all {
		r.count(time.Now(), true)
		bare, doubled = max(bare, r.bare), max(doubled, r.doubled)
		r.bare, r.doubled = 0, 0
	}
	return bare, doubled
}
