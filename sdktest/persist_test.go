package sdktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// populate makes a server remember one of each, and returns alice's credentials
// and the token of what she uploaded.
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
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/feedback", alice.Token, map[string]string{"title": "good", "description": "very"}).Status)
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/report", alice.Token, map[string]string{
		"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`,
	}).Status)
	gone := register(t, s, "gone")
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", gone.Token, map[string]string{"reason": "bored", "feedback": "none"}).Status)
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

func TestDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	o := Options{Trial: true, DataDir: dir}
	s := New(t, o)
	alice, file := populate(t, s)
	s.Close()
	s = New(t, o)
	requirePopulated(t, s, alice, file)
	s.Close()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "no temporary files are left: %v", files)
}

// What a server finds on disk whose predecessor was killed this moment.
func TestDataDirOfAKilledServer(t *testing.T) {
	dir, found := t.TempDir(), t.TempDir()
	s := New(t, Options{Trial: true, DataDir: dir})
	alice, file := populate(t, s)
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	requirePopulated(t, New(t, Options{Trial: true, DataDir: found}), alice, file)
}

// Everybody changes something at once: what was answered is on disk, and commits are shared.
func TestDataDirUnderLoad(t *testing.T) {
	dir, found := t.TempDir(), t.TempDir()
	s := New(t, Options{Trial: true, DataDir: dir, NoContacts: true})
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
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	again := New(t, Options{Trial: true, DataDir: found})
	for i := range users {
		require.Equal(t, fmt.Sprint("user-", i, " 4"), again.Profile(fmt.Sprint("user-", i)).NickName)
	}
}

func TestDataDirIsOneServers(t *testing.T) {
	o := Options{Trial: true, DataDir: t.TempDir()}
	var wg sync.WaitGroup
	servers, errs := make([]*Server, 4), make([]error, 4)
	for i := range servers {
		wg.Go(func() { servers[i], errs[i] = Start(o) })
	}
	wg.Wait()
	var winner *Server
	for i, s := range servers {
		if errs[i] != nil {
			require.ErrorContains(t, errs[i], "another server uses "+filepath.Join(o.DataDir, stateFile))
			continue
		}
		require.Nil(t, winner, "one server at a time")
		winner = s
	}
	require.NotNil(t, winner)
	winner.Close()
	New(t, o)
}

// A disk that takes nothing: nobody is told that a change was made.
func TestDataDirThatFails(t *testing.T) {
	s := New(t, Options{Trial: true, DataDir: t.TempDir()})
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	erin := register(t, s, "erin")
	require.NoError(t, s.store.db.Close())
	require.Equal(t, 500, registerCall(t, s, "carol", true).Status)
	require.Equal(t, 500, rest(t, s, "POST", "/moderation/feedback", c.Token, map[string]string{"title": "t", "description": "d"}).Status)
	require.Equal(t, 500, form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("x")).Status)
	require.Contains(t, x.ask("set", "", `<vCard xmlns="vcard-temp"><nickName>x</nickName></vCard>`), "internal-server-error")
	require.ErrorContains(t, s.Phone("dave").Scan(t.Context(), "x"), "data directory")
	s.BlockByAdmin("alice", true)
	require.Equal(t, 500, rest(t, s, "POST", "/users/deleteMyAccount", erin.Token, map[string]string{"reason": "r", "feedback": ""}).Status)
	told := strings.Join(b.settle(), "")
	require.NotContains(t, told, "nickName")
	require.NotContains(t, told, "admin_block")
	require.NotContains(t, told, "user_deleted")
}

// What lies in the data directory under the database's name and is none.
func TestDataDirOfOthers(t *testing.T) {
	with := func(change func(tx *bbolt.Tx) error) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			db, err := bbolt.Open(path, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(change))
			require.NoError(t, db.Close())
		}
	}
	put := func(bucket, key, value string) func(t *testing.T, path string) {
		return with(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) })
	}
	raw := func(content string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		}
	}
	medium := func(file string) func(t *testing.T, path string) {
		return put(inMedia, "t.png", fmt.Sprintf(`{"file":%q,"size":1}`, file))
	}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"a text":      raw("{}"),
		"a long text": raw(strings.Repeat("no database ", 10_000)),
		"zeros":       raw(strings.Repeat("\x00", 64<<10)),
		"another program's": with(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("aaa"))
			return errors.Join(err, tx.DeleteBucket([]byte(inMeta)))
		}),
		"another format":    put(inMeta, "format", `"sdktest 2"`),
		"no format":         put(inMeta, "format", ""),
		"no iv":             put(inMeta, "iv", `""`),
		"a bucket less":     with(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(inReports)) }),
		"no JSON":           put(inAccounts, "alice", "{"),
		"null":              put(inAccounts, "alice", "null"),
		"another type":      put(inAccounts, "alice", `{"password":7}`),
		"no number":         put(inFeedback, "1", `{}`),
		"a number left out": put(inFeedback, number(7), `{}`),
		"outside":           medium("../../../etc/hostname"),
		"no file":           medium(""),
		"the database":      medium(stateFile),
		"a short name":      medium(strings.Repeat("a", 31)),
		"a longer name":     medium(strings.Repeat("a", 32) + "/x"),
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Trial: true, DataDir: t.TempDir()}
			s := New(t, o)
			populate(t, s)
			s.Close()
			path := filepath.Join(o.DataDir, stateFile)
			spoil(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = Start(o)
			require.ErrorContains(t, err, path+" is damaged, or no database of this program")
			require.ErrorContains(t, err, "move it away")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after, "nothing is written to it")
			require.NoError(t, os.Rename(path, path+".old"))
			s = New(t, o)
			require.Empty(t, s.Users())
		})
	}
}

// A disk that loses or changes some of the bytes does not take the program
// down. The seed is fixed as there is damage that bbolt has no answer to: pages
// that point in a circle.
func TestDamagedDatabase(t *testing.T) {
	blank := func() *store {
		return &store{state: state{Accounts: map[string]*account{}, Media: map[string]medium{}, IV: "a", IVProfile: "b"}}
	}
	dir := t.TempDir()
	st := blank()
	require.NoError(t, st.openDB(dir))
	for i := range 200 { // more than one page
		st.keep(inAccounts, fmt.Sprintf("user-%03d", i), &account{Password: "0123456789abcdef", VCard: strings.Repeat("x", i)})
	}
	require.NoError(t, st.closeDB())
	good, err := os.ReadFile(filepath.Join(dir, stateFile))
	require.NoError(t, err)
	refused := 0
	random := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		bad := append([]byte(nil), good...)
		if random.IntN(3) == 0 {
			bad = bad[:random.IntN(len(bad))]
		}
		for range random.IntN(50) {
			if at := random.IntN(len(good)); at < len(bad) {
				bad[at] = byte(random.Uint32())
			}
		}
		st := blank()
		dir := scratch(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), bad, 0o600))
		if err := st.openDB(dir); err != nil {
			require.ErrorContains(t, err, "is damaged")
			require.Nil(t, st.db)
			refused++
			continue
		}
		st.keep(inAccounts, "one more", &account{})
		_ = st.commit() // may fail, but returns
		_ = st.closeDB()
	}
	require.Positive(t, refused)
}

// scratch is a directory that need not be removable: where opening a damaged
// database has panicked, Windows takes its file as in use until the program ends.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sdktest-damaged-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
