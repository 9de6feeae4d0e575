package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

const (
	// settling is longer than connections of the logins are kept.
	settling = time.Minute
	// measured is two times the keepalive of a session.
	measured = 90 * time.Second
)

// usage is what a fleet at rest needs.
type usage struct {
	messages float64 // of NATS, in both directions, in a second
	cpu      float64 // of all members, in seconds of one core in a second
	memory   int     // of all members, in bytes
}

// Two members at rest, with 200 accounts and with 2,000: what NATS has to do is the same. The log
// has the figures of docs/fleet.md.
func TestSteadyState(t *testing.T) {
	if !*long {
		t.Skip("it takes six minutes, with -long")
	}
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skip("the system does not say how much memory a process has")
	}
	const few, many = 200, 2000
	found := make(map[int]usage)
	for _, accounts := range []int{few, many} {
		t.Run(fmt.Sprint(accounts), func(t *testing.T) {
			u := measure(t, accounts)
			found[accounts] = u
			t.Logf("%.1f messages a second, %.2f%% of a core for 1,000 accounts, %d MiB",
				u.messages, 100*1000*u.cpu/float64(accounts), u.memory>>20)
		})
	}
	a, b := found[few], found[many]
	t.Logf("an account more: %.3f%% of a core for 1,000, %d KiB", 100*1000*(b.cpu-a.cpu)/(many-few),
		(b.memory-a.memory)/(many-few)>>10)
	require.NotZero(t, a.messages)
	require.InEpsilon(t, a.messages, b.messages, 0.2)
}

// measure starts two members, waits until they are at rest, and measures.
func measure(t *testing.T, accounts int) usage {
	t.Helper()
	nats := startNATS(t)
	c := &crew{t: t, judge: newJudge(t, accounts), n: accounts}
	c.args = []string{"-accounts", c.judge.accounts, "-nats", nats.ClientURL(), "-logins", "100"}
	members := []*process{c.start("a"), c.start("b")}
	c.shared(members...)
	time.Sleep(settling) // nothing tells that nothing happens any more
	messages, cpu := natsMessages(t, nats), cpuTime(t, members)
	begin := time.Now()
	time.Sleep(measured)
	passed := time.Since(begin).Seconds()
	u := usage{
		messages: float64(natsMessages(t, nats)-messages) / passed,
		cpu:      (cpuTime(t, members) - cpu).Seconds() / passed,
		memory:   resident(t, members),
	}
	require.Equal(t, accounts, c.judge.attached())
	return u
}

func startNATS(t *testing.T) *server.Server {
	t.Helper()
	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(),
	})
	require.NoError(t, err)
	nats.Start()
	t.Cleanup(func() {
		nats.Shutdown()
		nats.WaitForShutdown()
	})
	require.True(t, nats.ReadyForConnections(limit))
	return nats
}

// natsMessages is how many messages clients have sent and got.
func natsMessages(t *testing.T, nats *server.Server) int64 {
	t.Helper()
	v, err := nats.Varz(nil)
	require.NoError(t, err)
	return v.InMsgs + v.OutMsgs
}

// cpuTime is what the processes have used until now.
func cpuTime(t *testing.T, members []*process) time.Duration {
	t.Helper()
	const tick = 10 * time.Millisecond // Linux tells in these
	var sum time.Duration
	for _, m := range members {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
		require.NoError(t, err)
		_, text, _ := strings.Cut(string(raw), ") ") // the name may have spaces
		fields := strings.Fields(text)
		require.Greater(t, len(fields), 12)
		sum += tick * time.Duration(number(t, fields[11])+number(t, fields[12]))
	}
	return sum
}

// resident is how much memory the processes have.
func resident(t *testing.T, members []*process) int {
	t.Helper()
	sum := 0
	for _, m := range members {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.cmd.Process.Pid))
		require.NoError(t, err)
		fields := strings.Fields(string(raw))
		require.Greater(t, len(fields), 1)
		sum += number(t, fields[1]) * os.Getpagesize()
	}
	return sum
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}
