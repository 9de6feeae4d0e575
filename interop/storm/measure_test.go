package storm

import (
	"crypto/sha256"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dials are the moments at which a connection was wanted.
type dials struct {
	mu sync.Mutex
	at []time.Time
}

func (d *dials) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = append(d.at, time.Now())
}

// spread tells how many dials there were between begin and end, and of how many seconds' worth of
// the mean the busiest second was.
func (d *dials) spread(begin, end time.Time) (count, busiest int, ratio float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	perSecond := map[int]int{}
	for _, at := range d.at {
		if at.Before(begin) || at.After(end) {
			continue
		}
		count++
		second := int(at.Sub(begin) / time.Second)
		perSecond[second]++
		busiest = max(busiest, perSecond[second])
	}
	return count, busiest, float64(busiest) / (float64(count) / end.Sub(begin).Seconds())
}

// footprint is what the process holds.
type footprint struct {
	heap uint64 // bytes of live objects
	// but for those of idle HTTP connections: how many are not yet 30 s old is up to the machine
	goroutines int
}

func measureFootprint() footprint {
	runtime.GC()
	runtime.GC() // what a finalizer has let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{heap: m.HeapAlloc, goroutines: goroutinesBut("net/http.(*persistConn)")}
}

// goroutinesBut counts those whose stack does not have that function in it.
func goroutinesBut(function string) (n int) {
	var all strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1) // into memory
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		before, _, found := strings.Cut(stack, " @ ")
		// the first stack comes behind a title
		count, err := strconv.Atoi(before[strings.LastIndex(before, "\n")+1:])
		if found && err == nil && !strings.Contains(stack, function) {
			n += count
		}
	}
	return n
}

// cpuTime is what the process has used up so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const beat = 10 * time.Millisecond

// probe stands for the other work of the program: a little each beat. How late it is done says how
// much the clients leave to it.
type probe struct {
	stop chan struct{}
	done chan struct{}
	late []time.Duration // of each beat; the probe's until done
}

func startProbe() *probe {
	p := &probe{stop: make(chan struct{}), done: make(chan struct{})}
	go p.run() // ends with end
	return p
}

func (p *probe) run() {
	defer close(p.done)
	work := make([]byte, 64<<10)
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 1; ; n++ {
		due := begin.Add(time.Duration(n) * beat)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-p.stop:
			return
		}
		sum := sha256.Sum256(work)
		copy(work, sum[:])
		p.late = append(p.late, time.Since(due))
	}
}

// end returns how late the beats were.
func (p *probe) end() lateness {
	close(p.stop)
	<-p.done
	slices.Sort(p.late)
	inTime, _ := slices.BinarySearch(p.late, beat)
	return lateness{
		beats: len(p.late), median: p.late[len(p.late)/2], p99: p.late[len(p.late)*99/100], most: p.late[len(p.late)-1],
		inTime: float64(inTime) / float64(len(p.late)),
	}
}

// lateness is how much after its time a beat's work was done.
type lateness struct {
	beats             int
	median, p99, most time.Duration
	inTime            float64 // share of the beats whose work was done before the next
}

// growth is by how much, as a part of the first, the second figure is more.
func growth(first, second float64) float64 { return (second - first) / first }
