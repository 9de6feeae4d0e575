package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain makes the test binary a worker too, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workerFlag {
		if err := work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// With -race each of the many processes would stay for a second at its end.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	// go-xmpp's Close leaves a goroutine that sleeps 10 s.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/xmppo/go-xmpp.(*Client).Close.func1"))
}

// TestPeers has every peer log in and ask by every transport that sdktest has.
func TestPeers(t *testing.T) {
	at, err := inTheBox(sdktest.New(t, sdktest.Options{Trial: true, NoContacts: true, ResumeTimeout: resumeTimeout}))
	require.NoError(t, err)
	accounts, err := at.register(t.Context(), len(peers()))
	require.NoError(t, err)
	for i, p := range peers() {
		for _, transport := range p.transports {
			if at.Addresses[transport] == "" {
				continue
			}
			t.Run(p.name+" over "+transport, func(t *testing.T) {
				where, err := at.by(transport)
				require.NoError(t, err)
				t.Cleanup(where.http.CloseIdleConnections)
				s, err := p.dial(t.Context(), where, accounts[i])
				require.NoError(t, err)
				for _, inFlight := range []int{1, 8} {
					r, err := measure(t.Context(), s, turn{Calls: 40, InFlight: inFlight})
					require.NoError(t, err)
					require.Positive(t, r.Wall)
				}
				require.NoError(t, s.Close())
				// mellium notices nothing
				late, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.Error(t, ask(late, s, 1, 1), "answered although it was closed")
			})
		}
	}
}

// TestWrongPassword: a peer that does not really log in would be no peer.
func TestWrongPassword(t *testing.T) {
	at, err := inTheBox(sdktest.New(t, sdktest.Options{Trial: true, ResumeTimeout: resumeTimeout}))
	require.NoError(t, err)
	accounts, err := at.register(t.Context(), 1)
	require.NoError(t, err)
	accounts[0].Password = "wrong"
	for _, p := range peers() {
		for _, transport := range p.transports {
			if at.Addresses[transport] == "" {
				continue
			}
			where, err := at.by(transport)
			require.NoError(t, err)
			_, err = p.dial(t.Context(), where, accounts[0])
			require.Error(t, err, "%s over %s", p.name, transport)
			where.http.CloseIdleConnections()
		}
	}
}

// TestScenarios runs the whole program small, its processes included.
func TestScenarios(t *testing.T) {
	t.Parallel()
	out := small(t, "-server", "sdktest")
	for _, title := range []string{
		"sdktest, requests over wss, 32 in flight", "sdktest, requests over tls, 1 in flight",
		"sdktest, send over wss, 32 in flight", "sdktest, receive over tls, 32 in flight",
		"sdktest, echo over wss, 1 in flight", "sdktest, burst of 500 messages",
		"sdktest, 2 idle sessions over wss", "sdktest, 20 sessions in one process, each of them against each of 2",
	} {
		require.Contains(t, out, title)
	}
	for name, tables := range map[string]int{"limit": 14, "limit-sm": 6, "sdk": 16, "go-xmpp": 6, "mellium": 12} {
		require.Equal(t, tables, rows(out, name), "%s in\n%s", name, out)
	}
	for _, transport := range []string{overWSS, overTLS} {
		require.Regexp(t, `sdk +`+transport+` +500 +0 +0 +0\.`, out, "none is lost, and the heap does not grow")
	}
	require.NotContains(t, out, "/s ", "a time without -v")
	require.NotContains(t, out, " us ")
}

// TestEjabberd checks how the real server is started: without TLS, and with room for many.
func TestEjabberd(t *testing.T) {
	t.Parallel()
	needEjabberd(t)
	out := small(t, "-server", "ejabberd", "-run", "idle,send", "-transports", "ws,tcp")
	for name, tables := range map[string]int{"limit": 4, "sdk": 4, "go-xmpp": 2, "mellium": 4} {
		require.Equal(t, tables, rows(out, name), "%s in\n%s", name, out)
	}
}

// A request costs the client no more than that, whatever the machine. It is 13 to 19, and 1.8 kB;
// with -race, where pools forget, up to 23, and 2.9 kB.
func TestRequestAllocations(t *testing.T) {
	const allocations, size = 28, 4000
	server, err := startSDKTest(t.Context(), serveJob{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.stop()) }()
	accounts, err := server.register(t.Context(), 1)
	require.NoError(t, err)
	for _, transport := range []string{overWSS, overTLS} {
		r, err := connect(
			t.Context(), requestsJob{Peer: "sdk", Transport: transport, Service: server.service, Account: accounts[0]},
		)
		require.NoError(t, err)
		for i, n := range numbersInFlight {
			require.NoError(t, r.take(i, turn{Calls: 1000, InFlight: n}))
			got := r.rounds[i][0]
			t.Logf("%s: %.1f allocations, %.0f bytes", transport, got.Allocs, got.Bytes)
			require.LessOrEqual(t, got.Allocs, float64(allocations))
			require.LessOrEqual(t, got.Bytes, float64(size))
		}
		require.NoError(t, r.worker.end())
	}
}

// A message costs no more than that: at ejabberd one that is sent allocates 26 times, 5 kB, and one
// that comes 35 times, 5 kB, the receipt among them. The acknowledgements of sdktest, WebSocket and
// -race add some.
func TestMessageAllocations(t *testing.T) {
	const allocations, size = 45, 16_000
	server, err := startSDKTest(t.Context(), serveJob{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.stop()) }()
	accounts, err := server.register(t.Context(), 2)
	require.NoError(t, err)
	iv, err := server.chatIV(t.Context())
	require.NoError(t, err)
	for _, hears := range []bool{false, true} {
		mark := bodyMark
		if hears {
			mark = deliveredMark
		}
		r, err := connectBoth(t.Context(), requestsJob{
			Peer: "sdk", Transport: overTLS, Service: server.service, Account: accounts[0], IV: iv, Hears: hears,
		}, accounts[1], mark)
		require.NoError(t, err)
		require.NoError(t, r.take(0, turn{Calls: 1000, InFlight: 32}))
		got := r.rounds[0][0]
		t.Logf("hears %t: %.1f allocations, %.0f bytes", hears, got.Allocs, got.Bytes)
		require.LessOrEqual(t, got.Allocs, float64(allocations))
		require.LessOrEqual(t, got.Bytes, float64(size))
		require.NoError(t, r.end())
	}
}

// needEjabberd ends the test where ejabberd is not installed: with a failure where it has to be.
func needEjabberd(t *testing.T) {
	t.Helper()
	// Debian keeps it in /usr/sbin, which is not in everybody's PATH.
	for _, program := range []string{"ejabberdctl", "/usr/sbin/ejabberdctl"} {
		if _, err := exec.LookPath(program); err == nil {
			return
		}
	}
	if os.Getenv("MIRRORFLY_INTEROP") == "required" {
		t.Fatal("ejabberd is not installed (interop/install.sh does it), and MIRRORFLY_INTEROP=required")
	}
	t.Skip("ejabberd is not installed; `make test` installs it and runs this")
}

func small(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	args = append(args,
		"-calls", "40", "-burst", "500", "-rounds", "1", "-sessions", "20", "-settle", "100ms", "-stay", "100ms",
	)
	require.NoError(t, run(ctx, args, &out, os.Stderr), out.String())
	return out.String()
}

// rows counts the lines of tables that are about a peer.
func rows(out, peer string) (n int) {
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 4 && f[0] == peer {
			n++
		}
	}
	return n
}

func TestUnknownNames(t *testing.T) {
	for _, args := range [][]string{
		{"-server", "nobody"},
		{"-run", "nothing"},
		{"-peers", "nobody"},
		{"-transports", "pigeon"},
		{"-run", "idle,"},
		{"extra"},
		{"-calls", "0"},
		{"-sessions", "9"},
		{"-rounds", "0"},
		{"-burst", "0"},
		{"-settle", "-1s"},
	} {
		require.Error(t, run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}), "%v", args)
	}
}

// TestWorkerEnds when whoever started it has gone, whatever it is doing.
func TestWorkerEnds(t *testing.T) {
	server, err := startSDKTest(t.Context(), serveJob{})
	require.NoError(t, err)
	conn, err := net.Dial("tcp", server.Addresses[overTLS])
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, server.stop())
	_, err = net.Dial("tcp", server.Addresses[overTLS])
	require.Error(t, err)

	_, err = have[requestsResult](t.Context(), job{})
	require.Error(t, err, "no job")
}

// TestLimitCounts: however TCP cuts the answers, each counts once.
func TestLimitCounts(t *testing.T) {
	const answers = 5
	stream := strings.Repeat(`<iq type='result' id='1'><query seconds='0' xmlns='jabber:iq:last'/></iq>`, answers)
	for size := 1; size <= len(stream); size++ {
		near, far := net.Pipe()
		l := &limit{
			wire: &streamWire{Conn: near, buf: make([]byte, 64), keep: len(answer) - 1}, mark: answer,
			answers: make(chan struct{}, 2*answers), ended: make(chan struct{}),
		}
		go l.count() // ends with the pipe
		for rest := []byte(stream); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			_, err := far.Write(rest[:min(size, len(rest))])
			require.NoError(t, err)
		}
		require.NoError(t, far.Close())
		<-l.ended
		require.Len(t, l.answers, answers, "in pieces of %d", size)
	}
}

// However TCP cuts what confirms messages, each is confirmed once.
func TestLimitConfirms(t *testing.T) {
	stream := `<a xmlns='urn:xmpp:sm:3' h='2'/><a h="9" xmlns="urn:xmpp:sm:3"/><a xmlns='urn:xmpp:sm:3' h='32'/>`
	for size := 1; size <= len(stream); size++ {
		near, far := net.Pipe()
		l := &limit{
			wire: &streamWire{Conn: near, buf: make([]byte, 128), keep: len(countMark) - 1}, mark: countMark,
			managed: true, talk: &limitTalk{sends: true}, answers: make(chan struct{}, 64), ended: make(chan struct{}),
		}
		go l.count() // ends with the pipe
		for rest := []byte(stream); len(rest) > 0; rest = rest[min(size, len(rest)):] {
			_, err := far.Write(rest[:min(size, len(rest))])
			require.NoError(t, err)
		}
		require.NoError(t, far.Close())
		<-l.ended
		require.Len(t, l.answers, 32, "in pieces of %d", size)
	}
}

// A limit to which messages come answers each by what was prepared for it.
func TestLimitAnswersMessages(t *testing.T) {
	near, far := net.Pipe()
	heard := 0
	l := &limit{
		wire:  &streamWire{Conn: near, buf: make([]byte, 4096), keep: len(bodyMark) - 1},
		ended: make(chan struct{}),
	}
	require.NoError(t, l.prepare(talk{with: "bob@example.com", heard: func() { heard++ }}))
	go l.count() // ends with the pipe
	_, err := far.Write([]byte(`<message><body>a</body></message><message><bo`))
	require.NoError(t, err)
	read := func(want string) {
		got := make([]byte, len(want))
		_, err := io.ReadFull(far, got)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	read(receipt("bob@example.com", messageID(0)))
	_, err = far.Write([]byte(`dy>b</body></message><message/><message><body>c</body></message>`))
	require.NoError(t, err)
	read(receipt("bob@example.com", messageID(1)) + receipt("bob@example.com", messageID(2)))
	require.NoError(t, far.Close())
	<-l.ended
	require.Equal(t, 3, heard)
}

func TestLimitAnswersPings(t *testing.T) {
	near, far := net.Pipe()
	l := &limit{
		wire: &streamWire{Conn: near, buf: make([]byte, 4096)}, mark: answer, domain: "example.com",
		ended: make(chan struct{}),
	}
	go l.count() // ends with the pipe
	_, err := far.Write(
		[]byte(`<message id='no'/><iq from='example.com' id='7&amp;' type='get'><ping xmlns='urn:xmpp:ping'/></iq>`),
	)
	require.NoError(t, err)
	got := make([]byte, 200)
	n, err := far.Read(got)
	require.NoError(t, err)
	require.Equal(t, `<iq xmlns="jabber:client" type="result" to="example.com" id="7&amp;"/>`, string(got[:n]))
	require.NoError(t, far.Close())
	<-l.ended
}

// A managed limit tells how much has come when that is enough.
func TestLimitAcknowledges(t *testing.T) {
	near, far := net.Pipe()
	l := &limit{
		wire: &streamWire{Conn: near, buf: make([]byte, 4096)}, mark: answer, managed: true,
		answers: make(chan struct{}, 4*tellEvery), ended: make(chan struct{}),
	}
	go l.count() // ends with the pipe
	send := func(text string) {
		_, err := far.Write([]byte(text))
		require.NoError(t, err)
	}
	const one = `<iq type='result' id='1'><query seconds='0' xmlns='jabber:iq:last'/></iq>`
	for i := 1; i <= 3; i++ {
		for range tellEvery {
			send(one)
		}
		got := make([]byte, 200)
		n, err := far.Read(got)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, i*tellEvery), string(got[:n]))
	}
	send(one)
	for range 3*tellEvery + 1 {
		<-l.answers // each was counted
	}
	go l.tellRest() // the timer; ends when it is read
	got := make([]byte, 200)
	n, err := far.Read(got)
	require.NoError(t, err)
	require.Equal(t,
		fmt.Sprintf(`<a xmlns="urn:xmpp:sm:3" h="%d"/>`, 3*tellEvery+1), string(got[:n]),
		"the rest, when the timer says so",
	)
	require.NoError(t, far.Close())
	<-l.ended
	require.Empty(t, l.answers)
}

func TestTable(t *testing.T) {
	table := newTable("rate", "allocs")
	table.add(peer{name: "limit", ours: true}, rate(time.Millisecond), count(10))
	table.add(peer{name: "sdk", ours: true}, rate(2*time.Millisecond), count(30))
	table.add(peer{name: "slow"}, rate(8*time.Millisecond), count(20))
	table.add(peer{name: "fast"}, rate(4*time.Millisecond), count(40))
	var brief, long strings.Builder
	table.print(&brief, false)
	table.print(&long, true)
	require.Equal(t, [][]string{
		{"peer", "rate/limit", "/best", "allocs", "allocs/limit", "/best"},
		{"limit", "1.00", "4.00", "10.0", "1.00", "0.50"},
		{"sdk", "0.50", "2.00", "30.0", "3.00", "1.50"},
		{"slow", "0.12", "0.50", "20.0", "2.00", "1.00"},
		{"fast", "0.25", "1.00", "40.0", "4.00", "2.00"},
	}, fields(brief.String()))
	require.Equal(t, []string{"limit", "1000/s", "1.00", "4.00", "10.0", "1.00", "0.50"}, fields(long.String())[1])

	alone := newTable("allocs")
	alone.add(peer{name: "sdk", ours: true}, count(30))
	brief.Reset()
	alone.print(&brief, false)
	require.Equal(t, []string{"sdk", "30.0", "-", "-"}, fields(brief.String())[1], "nobody to compare with")
}

func fields(text string) (lines [][]string) {
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Fields(line))
	}
	return lines
}

func TestMedian(t *testing.T) {
	var rounds []requestsResult
	for _, n := range []int{5, 1, 100, 2, 3} {
		rounds = append(
			rounds, requestsResult{Wall: time.Duration(n), CPU: time.Duration(2 * n), Allocs: float64(-n), Bytes: 7},
		)
	}
	require.Equal(t, requestsResult{Wall: 3, CPU: 6, Allocs: -3, Bytes: 7}, median(rounds))
}

// A round in which everything takes twice as long says the same as the others.
func TestLevel(t *testing.T) {
	limit := []requestsResult{{Wall: 100, CPU: 10}, {Wall: 200, CPU: 30}, {Wall: 100, CPU: 10}}
	ours := []requestsResult{
		{Wall: 110, CPU: 12, Allocs: 1}, {Wall: 220, CPU: 36, Allocs: 2}, {Wall: 120, CPU: 14, Allocs: 3},
	}
	require.Equal(t,
		[]requestsResult{
			{Wall: 110, CPU: 12, Allocs: 1}, {Wall: 110, CPU: 12, Allocs: 2}, {Wall: 120, CPU: 14, Allocs: 3},
		},
		level(ours, limit),
	)
	require.EqualValues(t, 220, ours[1].Wall, "left as it was")
	require.Equal(t, ours, level(ours, nil))
	require.Nil(t, limitOf([]*runner{{peer: peer{name: "sdk"}}}, 0))
}
