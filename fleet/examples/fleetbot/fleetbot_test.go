package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet/natsstore"
)

var (
	long = flag.Bool("long", false, "300 accounts, and bounds without allowance for a busy machine")
	runs = flag.Int("runs", 1, "how often a member is killed")
)

const logins = 50

// scale is how large the tests are.
func scale() (accounts int, ttl time.Duration, busy time.Duration) {
	if *long {
		return 300, 6 * time.Second, 1
	}
	// A machine that has much else to do may keep a member from its store for some seconds.
	return 60, 15 * time.Second, 3
}

// crew is members with one NATS server and one judge.
type crew struct {
	t     *testing.T
	judge *judge
	n     int // accounts
	users int // who are not accounts, and have a session
	ttl   time.Duration
	busy  time.Duration
	args  []string
}

func newCrew(t *testing.T, nats string) *crew {
	t.Helper()
	c := &crew{t: t}
	c.n, c.ttl, c.busy = scale()
	c.judge = newJudge(t, c.n)
	c.args = []string{
		"-accounts", c.judge.accounts, "-nats", nats, "-ttl", c.ttl.String(), "-logins", fmt.Sprint(logins),
	}
	return c
}

func (c *crew) start(name string, more ...string) *process {
	c.t.Helper()
	return start(c.t, c.judge.env(), name, append(slices.Clone(c.args), more...)...)
}

// shared waits until members have all accounts, each about as many.
func (c *crew) shared(members ...*process) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		total := 0
		for _, m := range members {
			n := len(m.accounts())
			if n > c.n/len(members)+1 {
				return false
			}
			total += n
		}
		return total == c.n && c.judge.attached() == c.n+c.users
	}, limit, pause)
}

// takeover is how long an account may be without a session when its member has died.
func (c *crew) takeover() time.Duration {
	return c.busy * (c.ttl + 10*time.Second + time.Duration(c.n)*time.Second/logins)
}

// handover is how long it may be without one when its member was told to end, or another one has
// come.
func (c *crew) handover() time.Duration { return c.busy * 2 * time.Second }

func (c *crew) require(bare time.Duration) {
	c.t.Helper()
	got, doubled := c.judge.judgement()
	c.t.Logf("without a session for %v at most, two sessions for %v", got, doubled)
	require.LessOrEqual(c.t, got, bare)
	// The emulator ends the older session at once. It tells so when the connection has ended, too,
	// for which it waits where a client is frozen.
	require.LessOrEqual(c.t, doubled, c.busy*5*time.Second)
}

func TestFleet(t *testing.T) {
	server, err := natsstore.Embedded(t.TempDir())
	require.NoError(t, err)
	defer server.Close()
	c := newCrew(t, server.URL())
	a, b, d := c.start("a", "-listen", "127.0.0.1:0"), c.start("b"), c.start("d")
	c.shared(a, b, d)
	testMetrics(a)
	c.judge.judgement()

	for i := range *runs {
		b.signal(syscall.SIGKILL)
		c.judge.until(c.n - len(b.accounts()))
		c.shared(a, d)
		c.require(c.takeover())
		b = c.start(fmt.Sprintf("b%d", i))
		c.shared(a, b, d)
		c.require(c.handover())
	}

	d.end()
	c.shared(a, b)
	c.require(c.handover())

	testFrozen(c, a, b)
	a.end()
	b.end()
	c.judge.until(0)
}

// testMetrics: /metrics counts the accounts that the member says are up, and what their clients do.
func testMetrics(p *process) {
	p.t.Helper()
	found := regexp.MustCompile(`ready=(http://[^/]+)/readyz`).FindStringSubmatch(p.log.String())
	require.NotNil(p.t, found, "%s", p.log)
	resp, err := http.Get(found[1] + "/metrics")
	require.NoError(p.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, resp.StatusCode, "%s", raw)
	text := string(raw)
	require.Regexp(p.t, `(?m)^fleet_accounts{.*state="up".*} [1-9]`, text)
	require.Regexp(p.t, `(?m)^fleet_accounts{.*state="parked".*} 0$`, text)
	require.Regexp(p.t, `(?m)^fleet_nobodys{.*} 0$`, text)
	require.Regexp(p.t, `(?m)^mirrorfly_.* [1-9]`, text)
}

// testFrozen: a member that is frozen for longer than the TTL, and goes on, sends nothing for the
// accounts that the other one has.
func testFrozen(c *crew, frozen, other *process) {
	c.t.Helper()
	account := slices.Min(slices.Collect(maps.Keys(frozen.accounts())))
	reader := newReader(c, account)
	frozen.signal(syscall.SIGSTOP)
	reader.write() // the frozen one gets it, and has not handled it
	other.untilUp(c.n)
	require.Equal(c.t, "read by "+other.name, reader.next())
	c.require(c.takeover())

	frozen.signal(syscall.SIGCONT)
	c.t.Cleanup(func() { _ = frozen.cmd.Process.Signal(syscall.SIGCONT) })
	c.shared(frozen, other)
	c.require(c.handover())
	reader.requireSilence()
}

// reader is a user who writes to an account and reads what it answers.
type reader struct {
	c       *crew
	client  *sdk.Client
	to      string
	answers chan string
}

func newReader(c *crew, account string) *reader {
	c.t.Helper()
	client, err := sdk.New(c.judge.srv.Config())
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = client.Close() })
	r := &reader{c: c, client: client, to: account + "@" + c.judge.srv.Domain(), answers: make(chan string, 100)}
	client.OnMessage(func(m sdk.Message) { r.answers <- m.Text })
	me, err := client.Register(c.t.Context(), "reader")
	require.NoError(c.t, err)
	_, err = client.Connect(c.t.Context(), me.Data.Username, me.Data.Password)
	require.NoError(c.t, err)
	c.users++
	return r
}

func (r *reader) write() {
	r.c.t.Helper()
	_, err := r.client.SendTextMessage(r.c.t.Context(), r.to, "Who are you?")
	require.NoError(r.c.t, err)
}

func (r *reader) next() string {
	r.c.t.Helper()
	select {
	case text := <-r.answers:
		return text
	case <-time.After(limit):
		require.FailNow(r.c.t, "no answer has come")
		return ""
	}
}

// requireSilence: a message of its own has gone through the server, and nothing came before it.
func (r *reader) requireSilence() {
	r.c.t.Helper()
	require.Empty(r.c.t, r.answers, "a second answer has come")
	require.NoError(r.c.t, r.client.Close())
	r.c.users--
}

// All of NATS is away for longer than the TTL: everybody stops, and goes on afterwards.
func TestNATSIsAway(t *testing.T) {
	dir := t.TempDir()
	server, err := natsstore.Embedded(dir)
	require.NoError(t, err)
	c := newCrew(t, server.URL())
	a, b := c.start("a"), c.start("b")
	c.shared(a, b)
	server.Close()
	c.judge.until(0)
	server, err = natsstore.Embedded(dir)
	require.NoError(t, err)
	defer server.Close()
	c.shared(a, b)
	a.end()
	b.end()
}
