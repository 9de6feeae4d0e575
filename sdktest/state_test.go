package sdktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memory is a StateStore.
type memory struct {
	mu      sync.Mutex
	entries map[entry][]byte
	saves   int
	// fail is what Save returns.
	fail error
}

func newMemory() *memory { return &memory{entries: map[entry][]byte{}} }

func (m *memory) Load(kind string, each func(key string, value []byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range slices.SortedFunc(maps.Keys(m.entries),
		func(a, b entry) int { return strings.Compare(a.key, b.key) }) {
		if at.kind != kind {
			continue
		}
		if err := each(at.key, m.entries[at]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Save(changes []StateChange) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.saves++
	for _, c := range changes {
		if c.Value == nil {
			delete(m.entries, entry{c.Kind, c.Key})
		} else {
			m.entries[entry{c.Kind, c.Key}] = c.Value
		}
	}
	return nil
}

// copy is what is saved at this moment.
func (m *memory) copy() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{entries: maps.Clone(m.entries)}
}

func (m *memory) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// populate makes a server remember something of every kind, and returns alice's credentials and the
// token of what she uploaded.
func populate(t *testing.T, s *Server) (alice credentials, file string) {
	t.Helper()
	alice = register(t, s, "alice")
	register(t, s, "bob")
	x := connect(t, s, alice, "Web-1")
	setVCard(t, x, "Alice")
	x.ask("set", "", `<block xmlns="urn:xmpp:blocking"><item jid="bob@`+s.Domain()+`"/></block>`)
	e := form(t, s, alice.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("picture"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/feedback", alice.Token,
		map[string]string{"title": "good", "description": "very"}).Status)
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/report", alice.Token, map[string]string{
		"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`,
	}).Status)
	gone := register(t, s, "gone")
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", gone.Token,
		map[string]string{"reason": "bored", "feedback": "none"}).Status)
	return alice, d.FileToken
}

// requirePopulated checks that a server remembers what populate did.
func requirePopulated(t *testing.T, s *Server, alice credentials, file string) {
	t.Helper()
	require.Equal(t, []string{"alice", "bob"}, s.Users())
	again := register(t, s, "alice")
	require.Equal(t, alice.Password, again.Password)
	require.Equal(t, alice.Config["iv"], again.Config["iv"])
	require.Equal(t, alice.Config["ivProfile"], again.Config["ivProfile"])
	require.Equal(t, "Alice", s.Profile("alice").NickName)
	require.Equal(t, []string{"bob@" + s.Domain()}, s.Blocked("alice"))
	_, body, _ := fetch(t, s, s.URL()+"/media/"+file, again.Token, "")
	require.Equal(t, "picture", string(body))
	require.Len(t, s.Feedback(), 1)
	require.Equal(t, "good", s.Feedback()[0].Title)
	require.Len(t, s.Reports(), 1)
	require.Equal(t, "bob@"+s.Domain(), s.Reports()[0].To)
	require.Len(t, s.Deleted(), 1)
	require.Equal(t, "bored", s.Deleted()[0].Reason)
}

func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	o := Options{Trial: true, StateStore: newMemory(), MediaDir: dir}
	s := New(t, o)
	alice, file := populate(t, s)
	s.Close()
	s = New(t, o)
	requirePopulated(t, s, alice, file)
	s.Close()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "no temporary files are left: %v", files)
}

// A server finds what another server has saved that was killed at this moment.
func TestStateOfAKilledServer(t *testing.T) {
	saved, dir := newMemory(), t.TempDir()
	s := New(t, Options{Trial: true, StateStore: saved, MediaDir: dir})
	alice, file := populate(t, s)
	found := t.TempDir()
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	requirePopulated(t, New(t, Options{Trial: true, StateStore: saved.copy(), MediaDir: found}), alice, file)
}

// Messages outlive the server: the log, and what waits for users who are not there.
func TestStateOfMessages(t *testing.T) {
	o := Options{Trial: true, StateStore: newMemory(), ResumeTimeout: time.Hour}
	s := New(t, o)
	a, bob := connect(t, s, register(t, s, "alice"), "Web-1"), register(t, s, "bob")
	to := "bob@" + s.Domain()
	a.text(s, to, "m1", "one")
	a.text(s, to, "m2", "two")
	a.text(s, to, "m1", "edited", "e1")
	a.until("<acknowledge ")
	a.settle()
	killed := New(t, Options{Trial: true, StateStore: o.StateStore.(*memory).copy()})
	require.Equal(t, s.Messages("bob"), killed.Messages("bob"), "what was acknowledged is saved")
	require.Equal(t, 3, killed.Waiting("bob"))
	b := connect(t, s, bob, "Web-1")
	b.enable()
	a.text(s, to, "m3", "three")
	b.until(`id="m3"`)
	before := s.Messages("bob")
	require.Len(t, before, 3)
	s.Close()

	s = New(t, o)
	require.Equal(t, before, s.Messages("bob"))
	require.Equal(t, 1, s.Waiting("bob"), "the client has not acknowledged it")
	_, err := s.SendMessage(t.Context(), "alice", "bob", "four")
	require.NoError(t, err)
	require.Equal(t, "four", s.Messages("bob")[3].Text)
	s.Close()
	s = New(t, o)
	b = connect(t, s, register(t, s, "bob"), "Web-1")
	b.until(`id="m3"`)
	b.until(s.Messages("bob")[3].ID)
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", register(t, s, "alice").Token,
		map[string]any{"reason": "R"}).Status)
	for at := range o.StateStore.(*memory).copy().entries {
		require.NotContains(t, []string{kindMessages, kindWaiting}, at.kind, "nothing is left of it")
	}
}

// Many users change something at once: what was answered is saved.
func TestStateUnderLoad(t *testing.T) {
	saved := newMemory()
	s := New(t, Options{Trial: true, StateStore: saved, NoContacts: true})
	const users = 20
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			id := fmt.Sprint("user-", i)
			c := register(t, s, id)
			x := connect(t, s, c, "Web-1")
			for round := range 5 {
				setVCard(t, x, fmt.Sprint(id, " ", round))
			}
		})
	}
	wg.Wait()
	again := New(t, Options{Trial: true, StateStore: saved.copy()})
	for i := range users {
		require.Equal(t, fmt.Sprint("user-", i, " 4"), again.Profile(fmt.Sprint("user-", i)).NickName)
	}
}

// When nothing can be saved, nobody is told that a change was made.
func TestStateThatFails(t *testing.T) {
	saved := newMemory()
	s := New(t, Options{Trial: true, StateStore: saved})
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	erin := register(t, s, "erin")
	full := errors.New("no space left")
	saved.failWith(full)
	require.Equal(t, 500, registerCall(t, s, "carol", true).Status)
	require.Equal(t, 500, rest(t, s, "POST", "/moderation/feedback", c.Token,
		map[string]string{"title": "t", "description": "d"}).Status)
	require.Equal(t, 500, form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"},
		[]byte("x")).Status)
	require.Contains(t, x.ask("set", "", `<vCard xmlns="vcard-temp"><nickName>x</nickName></vCard>`),
		"internal-server-error")
	x.text(s, "bob@"+s.Domain(), "m1", "x")
	require.Contains(t, x.until(`id="m1"`), "internal-server-error")
	require.ErrorIs(t, s.Phone("dave").Scan(t.Context(), "x"), full)
	s.BlockByAdmin("alice", true)
	require.Equal(t, 500, rest(t, s, "POST", "/users/deleteMyAccount", erin.Token,
		map[string]string{"reason": "r", "feedback": ""}).Status)
	told := strings.Join(b.settle(), "")
	require.NotContains(t, told, "nickName")
	require.NotContains(t, told, "admin_block")
	require.NotContains(t, told, "user_deleted")

	saved.failWith(nil)
	register(t, s, "frank")
	s.Close()
	again := New(t, Options{Trial: true, StateStore: saved})
	require.Equal(t, []string{"alice", "bob", "carol", "dave", "frank"}, again.Users(),
		"what could not be saved was saved later")
}

// Entries that no server can have saved.
func TestStateOfOthers(t *testing.T) {
	o := Options{Trial: true, StateStore: newMemory(), MediaDir: t.TempDir()}
	s := New(t, o)
	populate(t, s)
	s.Close()
	good := o.StateStore.(*memory)
	medium := func(file string) string { return fmt.Sprintf(`{"file":%q,"size":1}`, file) }
	for name, bad := range map[string]struct{ kind, key, value string }{
		"another format":    {kindMeta, "format", `"sdktest 2"`},
		"no format":         {kindMeta, "format", ""},
		"no iv":             {kindMeta, "iv", `""`},
		"no JSON":           {kindAccounts, "alice", "{"},
		"null":              {kindAccounts, "alice", "null"},
		"another type":      {kindAccounts, "alice", `{"password":7}`},
		"no number":         {kindFeedback, "1", `{}`},
		"a number left out": {kindFeedback, number(7), `{}`},
		"no conversation":   {kindMessages, "alice\x00bob\x00" + number(1), `{"id":"m","from":"alice","to":"x"}`},
		"no message number": {kindMessages, "alice", `{}`},
		"nobody's message":  {kindMessages, "alice\x00x\x00" + number(1), `{"id":"m","from":"alice","to":"x"}`},
		"nobody waits":      {kindWaiting, "x\x00" + number(1), `{"stanza":"<m/>"}`},
		"no stanza":         {kindWaiting, "bob\x00" + number(1), `{"stanza":"<m"}`},
		"no user waits":     {kindWaiting, "bob", `{"stanza":"<m/>"}`},
		"outside":           {kindMedia, "t.png", medium("../../../etc/hostname")},
		"no file":           {kindMedia, "t.png", medium("")},
		"a file of others":  {kindMedia, "t.png", medium("accounts.db")},
		"a short name":      {kindMedia, "t.png", medium(strings.Repeat("a", 31))},
		"a longer name":     {kindMedia, "t.png", medium(strings.Repeat("a", 32) + "/x")},
	} {
		t.Run(name, func(t *testing.T) {
			o.StateStore = good.copy()
			o.StateStore.(*memory).entries[entry{bad.kind, bad.key}] = []byte(bad.value)
			_, err := Start(o)
			require.ErrorContains(t, err, fmt.Sprintf("load: %s %q: ", bad.kind, bad.key))
			require.Zero(t, o.StateStore.(*memory).saves, "nothing is written to it")
		})
	}
	o.StateStore = good.copy()
	delete(o.StateStore.(*memory).entries, entry{kindMeta, "iv"})
	_, err := Start(o)
	require.ErrorContains(t, err, "no format, iv or ivProfile")
}
