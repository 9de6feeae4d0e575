package sdk_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// wire is what clients have sent over XMPP, in order.
type wire struct {
	mu   sync.Mutex
	sent []string
	more chan struct{}
}

// watched starts a server with stream management, if so, whose wire is seen.
func watched(t *testing.T, o sdktest.Options) (*sdktest.Server, *wire) {
	t.Helper()
	w := &wire{more: make(chan struct{}, 1)}
	o.OnTraffic = func(traffic sdktest.Traffic) {
		if traffic.Kind != "xmpp" || traffic.ToClient {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, traffic.Text)
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
	return sdktest.New(t, o), w
}

func (w *wire) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.sent...)
}

// until waits for the nth stanza that has all these parts, and returns where it is.
func (w *wire) until(t *testing.T, nth int, parts ...string) (at int) {
	t.Helper()
	limit := time.After(patience)
	for {
		found := 0
		for i, text := range w.all() {
			if has(text, parts) {
				if found++; found == nth {
					return i
				}
			}
		}
		select {
		case <-w.more:
		case <-limit:
			t.Fatalf("%d stanzas with %q did not come", nth, parts)
		}
	}
}

func (w *wire) count(parts ...string) (n int) {
	for _, text := range w.all() {
		if has(text, parts) {
			n++
		}
	}
	return n
}

func has(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

var handledCount = regexp.MustCompile(`^<a [^>]*h="(\d+)"`)

// counts are those that the server was told in these stanzas.
func counts(sent []string) (told []int) {
	for _, text := range sent {
		if found := handledCount.FindStringSubmatch(text); found != nil {
			n, _ := strconv.Atoi(found[1])
			told = append(told, n)
		}
	}
	return told
}

// saying is a message of bob's phone to alice, with plain text.
func saying(srv *sdktest.Server, id, text string) string {
	attrs := ""
	if id != "" {
		attrs = ` id="` + id + `"`
	}
	return fromBob(srv, attrs+` type="chat"`, `<body>`+text+`</body>`)
}

func fromBob(srv *sdktest.Server, attrs, content string) string {
	return `<message xmlns="jabber:client" from="bob@` + srv.Domain() + `/phone" to="alice@` + srv.Domain() + `"` +
		attrs + `>` + content + `</message>`
}

// editing is saying of an edit.
func editing(srv *sdktest.Server, id, edit, text string) string {
	return fromBob(srv, ` id="`+id+`" type="chat"`, `<chatcontent xmlns="urn:xmpp:content" edit_msg_id="`+edit+
		`"/><body>`+text+`</body>`)
}

// conversing starts a server with stream management, and alice on it, whom bob can write to.
func conversing(t *testing.T, change func(*sdk.Config)) (*sdktest.Server, *wire, *sdk.Client) {
	t.Helper()
	srv, w := watched(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP
	if change != nil {
		change(&cfg)
	}
	register(t, srv.Config(), "bob")
	alice := login(t, cfg, "alice")
	managed(t, alice)
	return srv, w, alice
}

// A message is handled, then its sender is told, at all devices, then the server: which counts
// nothing that comes behind it before. So much waits behind it that the server is told at once.
func TestHandledThenDeliveredThenAcknowledged(t *testing.T) {
	const behind = 64
	srv, w, alice := conversing(t, nil)
	came, release := make(chan sdk.Message), make(chan struct{})
	alice.OnMessage(func(m sdk.Message) { came <- m; <-release })
	most := func(sent []string) int { return slices.Max(append(counts(sent), 0)) }
	srv.Push("alice", saying(srv, "m1", "hi"))
	require.Equal(t, "m1", patient.Receive(t, came).ID)
	for range behind {
		srv.Push("alice", `<presence xmlns="jabber:client" from="bob@`+srv.Domain()+`/x"/>`)
	}
	requireAnswer(t, srv, alice)
	require.Zero(t, w.count("<delivered"))
	require.Less(t, most(w.all()), behind, "it is not handled")
	close(release)
	delivered := w.until(t, 1, "<delivered", `id="m1"`, `to="bob@`+srv.Domain()+`"`)
	require.Eventually(t, func() bool {
		return most(w.all()[delivered:]) > behind
	}, 20*time.Second, 10*time.Millisecond, "unasked")
	require.Less(t, most(w.all()[:delivered]), behind, "the sender was told first")
}

func TestDefer(t *testing.T) {
	srv, w, alice := conversing(t, nil)
	type deferred struct {
		id   string
		done func()
	}
	came := make(chan deferred, 8)
	alice.OnMessage(func(m sdk.Message) { came <- deferred{m.ID, m.Defer()} })
	// Each Defer counts.
	alice.OnMessage(func(m sdk.Message) {
		if m.ID == "m2" {
			came <- deferred{"m2", m.Defer()}
		}
	})
	for _, id := range []string{"m1", "m2", "m3"} {
		srv.Push("alice", saying(srv, id, "hi"))
	}
	dones := map[string][]func(){}
	for range 4 {
		d := patient.Receive(t, came)
		dones[d.id] = append(dones[d.id], d.done)
	}
	deliveredAre := func(ids ...string) {
		for _, id := range ids {
			w.until(t, 1, "<delivered", `id="`+id+`"`)
		}
		requireAnswer(t, srv, alice) // what was sent before it has come
		require.Equal(t, len(ids), w.count("<delivered"))
	}
	deliveredAre()
	dones["m3"][0]()
	deliveredAre("m3")
	dones["m2"][0]()
	dones["m2"][0]()
	dones["m3"][0]()
	deliveredAre("m3")
	go dones["m2"][1]()
	deliveredAre("m3", "m2")
	acknowledged := counts(w.all())
	dones["m1"][0]()
	deliveredAre("m3", "m2", "m1")
	require.Eventually(t, func() bool {
		now := counts(w.all())
		return len(now) > 0 && now[len(now)-1] >= slices.Max(append(acknowledged, 0))+3
	}, 20*time.Second, 10*time.Millisecond)

	// Too late, and of a message that no listener got.
	var kept sdk.Message
	handled := make(chan struct{})
	stop := alice.OnMessage(func(m sdk.Message) {
		if m.ID == "m4" {
			kept = m
			close(handled)
		}
	})
	srv.Push("alice", saying(srv, "m4", "hi"))
	patient.Receive(t, came).done()
	patient.Receive(t, handled)
	deliveredAre("m3", "m2", "m1", "m4")
	stop()
	kept.Defer()()
	sdk.Message{}.Defer()()
	deliveredAre("m3", "m2", "m1", "m4")
}

// A listener that fails does not hold up what comes behind it, and nobody is told "delivered".
func TestListenerThatFails(t *testing.T) {
	var out lockedBuffer
	srv, w, alice := conversing(t, func(cfg *sdk.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	came := make(chan string, 8)
	alice.OnMessage(func(m sdk.Message) {
		came <- m.ID
		switch m.ID {
		case "m1":
			panic("MARKED-panic")
		case "m2":
			runtime.Goexit()
		case "m3":
			m.Defer()
			panic("no one will call done")
		}
	})
	before := counts(w.all())
	for _, id := range []string{"m1", "m2", "m3", "m4"} {
		srv.Push("alice", saying(srv, id, "MARKED-text"))
		require.Equal(t, id, patient.Receive(t, came))
	}
	w.until(t, 1, "<delivered", `id="m4"`)
	require.Equal(t, 1, w.count("<delivered"))
	require.Eventually(t, func() bool {
		now := counts(w.all())
		return len(now) > len(before) && now[len(now)-1] >= 4
	}, 20*time.Second, 10*time.Millisecond, "they count as handled")
	require.Contains(t, out.text(), "MARKED-panic")
	require.NotContains(t, out.text(), "MARKED-text")
	// And again none is told.
	srv.Push("alice", saying(srv, "m1", "hi"))
	requireAnswer(t, srv, alice)
	require.Empty(t, came)
	require.Equal(t, 1, w.count("<delivered"))
}

// What comes twice is told once, and its receipt is sent again.
func TestDuplicates(t *testing.T) {
	srv, w, alice := conversing(t, nil)
	came, release := make(chan sdk.Message, 16), make(chan struct{})
	alice.OnMessage(func(m sdk.Message) {
		came <- m
		if m.ID == "m1" {
			<-release
		}
	})
	edits := newHeard(alice.OnMessageEdited)
	push := func(text string) {
		srv.Push("alice", text)
		requireAnswer(t, srv, alice)
	}
	push(saying(srv, "m1", "hi"))
	require.Equal(t, "m1", patient.Receive(t, came).ID)
	push(saying(srv, "m1", "hi"))
	push(saying(srv, "m1", "hi"))
	require.Zero(t, w.count("<delivered"), "the first waits")
	close(release)
	w.until(t, 1, "<delivered", `id="m1"`)
	push(saying(srv, "m1", "hi"))
	w.until(t, 2, "<delivered", `id="m1"`)

	push(editing(srv, "m1", "e1", "ha"))
	push(editing(srv, "m1", "e1", "ha"))
	push(editing(srv, "m1", "e2", "ho"))
	require.Equal(t, "ha", edits.next(t).Text)
	require.Equal(t, "ho", edits.next(t).Text, "an edit of an edit")
	w.until(t, 5, "<delivered", `id="m1"`)

	// Of another sender it is another message, and without an id each is.
	push(strings.ReplaceAll(saying(srv, "m1", "hi"), "bob@", "carol@"))
	require.Equal(t, "carol@"+srv.Domain(), patient.Receive(t, came).FromUserJID)
	push(saying(srv, "", "hi"))
	push(saying(srv, "", "hi"))
	require.Empty(t, patient.Receive(t, came).ID)
	require.Empty(t, patient.Receive(t, came).ID)
	push(saying(srv, "last", "hi"))
	require.Equal(t, "last", patient.Receive(t, came).ID)
	w.until(t, 1, "<delivered", `id="last"`)
	require.Equal(t, 7, w.count("<delivered"))
	require.Empty(t, came)
	require.Empty(t, edits)
	require.Zero(t, alice.Unhandled())
}

// The last 1,024 are remembered, also when one of them was forgotten in between.
func TestDuplicatesAreRememberedForAWhile(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.Transport, cfg.NoDeliveryReceipts = sdk.TransportTCP, true
	alice := login(t, cfg, "alice")
	srv.Push("alice", saying(srv, "m0", "nobody listens"))
	requireAnswer(t, srv, alice)
	require.Equal(t, 1, alice.Unhandled())
	came := newHeard(alice.OnMessage)
	push := func(from, to int) {
		var all strings.Builder
		for n := from; n < to; n++ {
			all.WriteString(saying(srv, fmt.Sprint("m", n), "hi"))
		}
		srv.Push("alice", all.String())
		requireAnswer(t, srv, alice)
	}
	// m0 is remembered anew. The first that was is forgotten now.
	push(0, 1024)
	for n := range 1024 {
		require.Equal(t, fmt.Sprint("m", n), came.next(t).ID)
	}
	push(0, 1024)
	push(1024, 1025)
	require.Equal(t, "m1024", came.next(t).ID)
	push(0, 1)
	require.Equal(t, "m0", came.next(t).ID)
}

// Nobody listens: the server is told that it has come, the sender is not told anything.
func TestNobodyListens(t *testing.T) {
	var out lockedBuffer
	srv, w, alice := conversing(t, func(cfg *sdk.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	push := func(text string) {
		srv.Push("alice", text)
		requireAnswer(t, srv, alice)
	}
	push(saying(srv, "m1", "hi"))
	push(saying(srv, "m2", "hi"))
	require.Equal(t, 2, alice.Unhandled())
	came := newHeard(alice.OnMessage)
	push(editing(srv, "m1", "e1", "ha"))
	require.Equal(t, 3, alice.Unhandled(), "nobody listens to edits")
	push(strings.NewReplacer("bob@"+srv.Domain()+"/phone", "alice@"+srv.Domain()+"/other", "to=\"alice", "to=\"bob").
		Replace(saying(srv, "m3", "hi")))
	require.Equal(t, 3, alice.Unhandled(), "an own message counts as nothing")
	require.Zero(t, w.count("<delivered"))
	require.Equal(t, 1, strings.Count(out.text(), "nobody listens"), out.text())
	push(saying(srv, "m1", "hi"))
	require.Equal(t, "m1", came.next(t).ID, "it comes again, and somebody listens now")
	w.until(t, 1, "<delivered")
}

func TestNoDeliveryReceipts(t *testing.T) {
	srv, w, alice := conversing(t, func(cfg *sdk.Config) { cfg.NoDeliveryReceipts = true })
	came := newHeard(alice.OnMessage)
	for _, id := range []string{"m1", "m1", "m2"} {
		srv.Push("alice", saying(srv, id, "hi"))
	}
	require.Equal(t, "m1", came.next(t).ID)
	require.Equal(t, "m2", came.next(t).ID)
	requireAnswer(t, srv, alice)
	require.Zero(t, w.count("<delivered"))
}

// A receipt that cannot be told goes out over the next connection, whoever makes it.
func TestReceiptsWaitForAConnection(t *testing.T) {
	for _, byConnect := range []bool{false, true} {
		t.Run(fmt.Sprintf("Connect=%v", byConnect), func(t *testing.T) {
			srv, w := watched(t, sdktest.Options{})
			cfg := quick(srv.Config())
			if byConnect {
				cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 10000 * time.Hour, MaxDelay: 10000 * time.Hour}
			}
			register(t, srv.Config(), "bob")
			alice, credentials := register(t, cfg, "alice")
			connection := collect(alice.OnConnection)
			came, release, told := make(chan struct{}), make(chan struct{}), make(chan struct{})
			alice.OnMessage(func(m sdk.Message) {
				done := m.Defer()
				go func() { <-release; done(); close(told) }()
				came <- struct{}{}
			})
			connect(t, alice, credentials)
			srv.Push("alice", saying(srv, "m1", "hi"))
			patient.Receive(t, came)
			srv.SetFault(sdktest.StepStream, sdktest.FaultClose)
			srv.DropConnections()
			connection.until(t, hasStatus(sdk.StatusReconnecting))
			close(release)
			patient.Receive(t, told)
			srv.ClearFaults()
			if byConnect {
				connect(t, alice, credentials)
			}
			w.until(t, 1, "<delivered", `id="m1"`)
		})
	}
}
