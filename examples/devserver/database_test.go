package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// populate makes an emulator remember something of every kind, and returns alice's credentials and
// the token of her picture.
func populate(t *testing.T, at endpoints) (alice sdk.Credentials, picture string) {
	t.Helper()
	ctx := t.Context()
	a, gone := newUser(t, at), newUser(t, at)
	alice = login(t, a, "alice")
	login(t, newUser(t, at), "bob")
	sent, err := a.SetUserProfile(ctx, sdk.ProfileUpdate{
		Name: "Alice", Email: "a@example.com",
		Image: sdk.ImageReader("a.png", "image/png", bytes.NewReader(dot(t)), int64(len(dot(t)))),
	})
	require.NoError(t, err)
	_, err = a.BlockUser(ctx, "bob@"+at.Domain)
	require.NoError(t, err)
	_, err = a.SendFeedback(ctx, "good", "very")
	require.NoError(t, err)
	_, err = a.ReportUserOrGroup(ctx, "bob@"+at.Domain, sdk.ChatTypeChat, []sdk.ReportedMessage{
		{MsgID: "1", Message: "rude", MsgType: "text", Timestamp: 1700000000000, PublisherID: "bob"},
	})
	require.NoError(t, err)
	login(t, gone, "gone")
	_, err = gone.DeleteMyAccount(ctx, "bored", "none")
	require.NoError(t, err)
	return alice, sent.Data.FileToken
}

// dot is a picture.
func dot(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 3, 2))))
	return b.Bytes()
}

// requirePopulated checks that an emulator remembers what populate did.
func requirePopulated(t *testing.T, e *emulator, alice sdk.Credentials, picture string) {
	t.Helper()
	v := until(e.follow(), "state", func(view) bool { return true })
	require.Len(t, v.Users, 2)
	require.Equal(t, "alice Alice", v.Users[0].ID+" "+v.Users[0].Name)
	require.Equal(t, []string{"bob"}, v.Users[0].Blocked)
	require.Equal(t, "bob", v.Users[1].ID)
	require.Len(t, v.Feedback, 1)
	require.Equal(t, "good", v.Feedback[0].Title)
	require.Len(t, v.Reports, 1)
	require.Equal(t, "bob@"+e.at.Domain, v.Reports[0].To)
	require.Len(t, v.Deleted, 1)
	require.Equal(t, "bored", v.Deleted[0].Reason)
	status, content, _ := e.do("GET", "/_dev/picture/"+picture, "")
	require.Equal(t, 200, status)
	require.Equal(t, string(dot(t)), content)
	_, err := newUser(t, e.at).Connect(t.Context(), alice.Username, alice.Password)
	require.NoError(t, err)
}

func TestData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	e := launch(t, "-data", dir)
	alice, picture := populate(t, e.at)
	e.stop()
	e = launch(t, "-data", dir)
	requirePopulated(t, e, alice, picture)
	e.stop()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 3, "no temporary files are left: %v", files)
}

// Messages are kept, those among them that wait for a user; and a database of an emulator without
// messages is no damage.
func TestDataOfMessages(t *testing.T) {
	dir := t.TempDir()
	within := func(do func(srv *sdktest.Server)) {
		db, err := openDatabase(dir)
		require.NoError(t, err)
		srv, err := sdktest.Start(sdktest.Options{StateStore: db, MediaDir: filepath.Join(dir, mediaFolder)})
		require.NoError(t, err)
		do(srv)
		srv.Close()
		require.NoError(t, db.close())
	}
	within(func(*sdktest.Server) {})
	db, err := bbolt.Open(filepath.Join(dir, databaseFile), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("messages")), tx.DeleteBucket([]byte("waiting")))
	}))
	require.NoError(t, db.Close())
	var sent []sdktest.Message
	within(func(srv *sdktest.Server) {
		_, err := srv.SendMessage(t.Context(), "alice", "bob", "hello")
		require.NoError(t, err)
		sent = srv.Messages("bob")
	})
	within(func(srv *sdktest.Server) {
		require.Equal(t, "hello", sent[0].Text)
		require.Equal(t, sent, srv.Messages("bob"))
		require.Equal(t, 1, srv.Waiting("bob"))
	})
}

// An emulator finds what another one has saved that was killed at this moment.
func TestDataOfAKilledEmulator(t *testing.T) {
	dir, found := t.TempDir(), t.TempDir()
	e := launch(t, "-data", dir)
	alice, picture := populate(t, e.at)
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	requirePopulated(t, launch(t, "-data", found), alice, picture)
}

// Many users change something at once: what was answered is on disk.
func TestDataUnderLoad(t *testing.T) {
	dir, found := t.TempDir(), t.TempDir()
	e := launch(t, "-data", dir, "-contacts", "none")
	const users = 20
	clients := make([]*sdk.Client, users)
	for i := range clients {
		clients[i] = newUser(t, e.at)
	}
	errs := make([]error, users)
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { errs[i] = renameOften(t, c, fmt.Sprintf("user-%02d", i)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	v := until(launch(t, "-data", found).follow(), "state", func(view) bool { return true })
	require.Len(t, v.Users, users)
	for _, u := range v.Users {
		require.Equal(t, u.ID+" 4", u.Name)
	}
}

func renameOften(t *testing.T, c *sdk.Client, id string) error {
	me, err := c.Register(t.Context(), id)
	if err != nil {
		return err
	}
	if _, err := c.Connect(t.Context(), me.Data.Username, me.Data.Password); err != nil {
		return err
	}
	for round := range 5 {
		update := sdk.ProfileUpdate{Name: fmt.Sprint(id, " ", round), Email: "a@example.com"}
		if _, err := c.SetUserProfile(t.Context(), update); err != nil {
			return err
		}
	}
	return nil
}

func TestDataBelongsToOneEmulator(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	opened, errs := make([]*database, 4), make([]error, 4)
	for i := range opened {
		wg.Go(func() { opened[i], errs[i] = openDatabase(dir) })
	}
	wg.Wait()
	var winner *database
	for i, db := range opened {
		if errs[i] != nil {
			require.ErrorContains(t, errs[i], "data directory: another server uses "+filepath.Join(dir, databaseFile))
			continue
		}
		require.Nil(t, winner, "one emulator at a time")
		winner = db
	}
	require.NotNil(t, winner)
	require.ErrorContains(t, run(t.Context(), []string{"-data", dir}, io.Discard, io.Discard), "another server uses")
	require.NoError(t, winner.close())
	launch(t, "-data", dir)
}

// A database that cannot be written to: the client is told so, and so is who started the program.
func TestDataThatFails(t *testing.T) {
	db, err := openDatabase(t.TempDir())
	require.NoError(t, err)
	srv := sdktest.New(t, sdktest.Options{StateStore: db})
	require.NoError(t, db.bolt.Close())
	c, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer c.Close()
	res, err := c.Register(t.Context(), "alice")
	require.Error(t, err)
	require.Equal(t, 500, res.StatusCode)
	require.ErrorContains(t, srv.Phone("dave").Scan(t.Context(), "x"), "data directory: database not open")
}

// A file with the name of the database that is not a database of this program.
func TestDataOfOthers(t *testing.T) {
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
	for name, spoil := range map[string]func(t *testing.T, path string){
		"a text":      raw("{}"),
		"a long text": raw(strings.Repeat("no database ", 10_000)),
		"zeros":       raw(strings.Repeat("\x00", 64<<10)),
		"another program's": with(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("aaa"))
			return errors.Join(err, tx.DeleteBucket([]byte("meta")))
		}),
		"another format":    put("meta", "format", `"sdktest 2"`),
		"no format":         put("meta", "format", ""),
		"no iv":             put("meta", "iv", `""`),
		"a bucket less":     with(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("reports")) }),
		"no JSON":           put("accounts", "alice", "{"),
		"null":              put("accounts", "alice", "null"),
		"another type":      put("accounts", "alice", `{"password":7}`),
		"no number":         put("feedback", "1", `{}`),
		"a number left out": put("feedback", string(binary.BigEndian.AppendUint64(nil, 7)), `{}`),
		"outside":           put("media", "t.png", `{"file":"../../../etc/hostname","size":1}`),
		"the database":      put("media", "t.png", `{"file":"`+databaseFile+`","size":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e := launch(t, "-data", dir)
			populate(t, e.at)
			e.stop()
			path := filepath.Join(dir, databaseFile)
			spoil(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			err = run(t.Context(), []string{"-data", dir}, io.Discard, io.Discard)
			require.ErrorContains(t, err, path+" is damaged, or no database of this program")
			require.ErrorContains(t, err, "move it away")
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after, "nothing is written to it")
			require.NoError(t, os.Rename(path, path+".old"))
			v := until(launch(t, "-data", dir).follow(), "state", func(view) bool { return true })
			require.Empty(t, v.Users)
		})
	}
}

// A disk that loses or changes some of the bytes does not end the program. The seed is fixed as
// there is damage that bbolt has no answer to: pages that point in a circle.
func TestDamagedDatabase(t *testing.T) {
	load := func(db *database) error {
		return db.Load("accounts", func(_ string, value []byte) error {
			var account struct{ Password string }
			return json.Unmarshal(value, &account)
		})
	}
	dir := t.TempDir()
	db, err := openDatabase(dir)
	require.NoError(t, err)
	require.NoError(t, load(db))
	var changes []sdktest.StateChange
	for i := range 200 { // more than one page
		value := fmt.Sprintf(`{"password":"0123456789abcdef","vCard":%q}`, strings.Repeat("x", i))
		user := sdktest.StateChange{Kind: "accounts", Key: fmt.Sprintf("user-%03d", i), Value: []byte(value)}
		changes = append(changes, user)
	}
	require.NoError(t, db.Save(changes))
	require.NoError(t, db.close())
	good, err := os.ReadFile(filepath.Join(dir, databaseFile))
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
		dir := scratch(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, databaseFile), bad, 0o600))
		db, err := openDatabase(dir)
		if err == nil {
			if err = load(db); err == nil {
				oneMore := sdktest.StateChange{Kind: "accounts", Key: "one more", Value: []byte(`{}`)}
				_ = db.Save([]sdktest.StateChange{oneMore}) // may fail, but returns
			}
			_ = db.close()
		}
		if err != nil {
			require.ErrorContains(t, err, "is damaged")
			refused++
		}
	}
	require.Positive(t, refused)
}

// scratch is a directory that need not be removable: where opening a damaged database has panicked,
// Windows takes its file as in use until the program ends.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devserver-damaged-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A program that is killed has lost nothing that it had acknowledged.
func TestKilled(t *testing.T) {
	data := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir()) // a killed program cannot clean up
	cmd, first := startAt(t, "-data", data)
	alice := newUser(t, first)
	me := login(t, alice, "alice")
	_, err := alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice", Email: "a@example.com"})
	require.NoError(t, err)
	_, err = alice.BlockUser(t.Context(), "bob@"+first.Domain)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.NoError(t, alice.Close())

	cmd, second := startAt(t, "-data", data)
	alice = newUser(t, second)
	_, err = alice.Connect(t.Context(), me.Username, me.Password)
	require.NoError(t, err)
	p, err := alice.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "Alice", p.Data.NickName)
	blocked, err := alice.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sdk.BlockedUser{{JID: "bob@" + first.Domain}}, blocked.Data)
	require.NoError(t, alice.Close())
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}
