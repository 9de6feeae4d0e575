package storm

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

var (
	// By default more than mostInASecond, so that one dial of each at once would be seen.
	sessions = flag.Int("sessions", 200, "how many lose their server")
	away     = flag.Duration("away", 3*time.Second, "for how long it is away")
)

const (
	perSecond = 60              // logins, of the shared limit
	atOnce    = 50              // likewise
	calm      = 2 * time.Second // what is normal is measured for so long

	atMost = 5 * time.Minute // for all to come back; the figures say how long it really takes
)

// What must hold.
const (
	// dials: a process that stood still for a second or two makes up for it. Without the limit it
	// is all at once
	mostInASecond = 3 * perSecond
	mostGrowth    = 0.2 // of memory and goroutines
	mostCPU       = 0.5 // of the machine's, used by the process
)

// figures are what one storm was like.
type figures struct {
	sessions      int
	recovery      time.Duration // from the loss until all were back
	dials         int
	busiest       int // dials in the busiest second
	ratio         float64
	cpu           time.Duration // in that time
	before, after footprint
	calm, storm   lateness
}

// strike kills the server, and has it come back.
func strike(t *testing.T, b *box, c *crowd, outage time.Duration) (f figures) {
	t.Helper()
	n := len(c.members)
	c.awaitUp(t, n, atMost)
	c.use(t)
	p := startProbe()
	wait(t, calm)
	f.sessions, f.calm = n, p.end()
	f.before = measureFootprint()

	p = startProbe()
	begin, used := time.Now(), cpuTime()
	b.kill(t)
	c.awaitUp(t, 0, atMost)
	wait(t, time.Until(begin.Add(outage)))
	b.start(t)
	c.awaitUp(t, n, atMost)
	end := time.Now()
	f.cpu, f.recovery, f.storm = cpuTime()-used, end.Sub(begin), p.end()

	f.dials, f.busiest, f.ratio = c.dials.spread(begin, end)
	c.use(t)
	f.after = measureFootprint()
	return f
}

// wait lets real time pass: the time that something is measured for.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		require.NoError(t, t.Context().Err())
	}
}

// requireFiles says early what would be told late. Go has raised the limit as far as it may.
func requireFiles(t *testing.T) {
	t.Helper()
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	require.GreaterOrEqual(t, files.Cur, uint64(4**sessions), "open files: ulimit -n")
}

// One limit is shared by all clients of the process: each has it in its Config.
func TestStorm(t *testing.T) {
	requireFiles(t)
	b := startBox(t)
	f := strike(t, b, gather(t, b, "storm", *sessions, sdk.NewDialLimit(perSecond, atOnce)), *away)
	t.Logf("\n%s", f)
	require.LessOrEqual(t, f.busiest, mostInASecond, "dials are spread")
	require.LessOrEqual(t,
		growth(float64(f.before.heap), float64(f.after.heap)), mostGrowth, "memory returns to what it was",
	)
	require.LessOrEqual(t,
		growth(float64(f.before.goroutines), float64(f.after.goroutines)), mostGrowth, "goroutines, too",
	)
	require.LessOrEqual(t, f.load()/float64(runtime.GOMAXPROCS(0)), mostCPU, "CPU stays free for other work")
}

// What it is like without the limit: nothing is required but that all come back.
func TestStormWithoutALimit(t *testing.T) {
	b := startBox(t)
	f := strike(t, b, gather(t, b, "free", *sessions/5, nil), *away/5)
	t.Logf("\n%s", f)
}

// load is how many processors' worth of work the process has done meanwhile. Other processes do not
// matter to it.
func (f figures) load() float64 { return f.cpu.Seconds() / f.recovery.Seconds() }

func (f figures) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "sessions\t%d\n", f.sessions)
	fmt.Fprintf(w, "all back after\t%v\n", f.recovery.Round(100*time.Millisecond))
	fmt.Fprintf(w, "dials\t%d, busiest second %d, %.2f times the mean\n", f.dials, f.busiest, f.ratio)
	fmt.Fprintf(w, "CPU\t%v, %.2f of one processor\n", f.cpu.Round(10*time.Millisecond), f.load())
	fmt.Fprintf(w, "heap\t%.1f MiB, then %.1f\n", float64(f.before.heap)/(1<<20), float64(f.after.heap)/(1<<20))
	fmt.Fprintf(w, "goroutines\t%d, then %d\n", f.before.goroutines, f.after.goroutines)
	for _, row := range []struct {
		name string
		l    lateness
	}{{"probe before", f.calm}, {"probe meanwhile", f.storm}} {
		fmt.Fprintf(w, "%s\t%d beats, %.1f %% in time, late by %v (median), %v (99 %%), %v (most)\n", row.name,
			row.l.beats, 100*row.l.inTime,
			row.l.median.Round(10*time.Microsecond), row.l.p99.Round(10*time.Microsecond),
			row.l.most.Round(10*time.Microsecond))
	}
	fmt.Fprintf(
		w, "probe's ratio\t%.1f (median), %.1f (99 %%)\n", float64(f.storm.median)/float64(f.calm.median),
		float64(f.storm.p99)/float64(f.calm.p99),
	)
	_ = w.Flush() // into memory
	return b.String()
}
