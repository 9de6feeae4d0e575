package messages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// record is what all processes of a bot have reported, in their order.
type record struct{ lives []*life }

func (r *record) add(l *life) { r.lives = append(r.lives, l) }

// handled is how often each message was handled.
func (r *record) handled() map[string]int {
	times := map[string]int{}
	for _, l := range r.lives {
		for _, id := range l.handled {
			times[id]++
		}
	}
	return times
}

// missing are the messages that the server has taken, and that no process has handled: neither one
// that has ended, nor those that are given.
func (r *record) missing(from peers, running ...*life) (ids []string) {
	times := r.handled()
	for _, l := range running {
		for _, id := range l.handled {
			times[id]++
		}
	}
	for _, id := range from.confirmed() {
		if times[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// check checks that nothing is lost, and that each process was told what came, once.
func (r *record) check(t *testing.T, from peers) {
	t.Helper()
	confirmed, times, again := from.confirmed(), r.handled(), 0
	for _, n := range times {
		if n > 1 {
			again++
		}
	}
	lost := r.missing(from)
	t.Logf("%d processes; %d messages confirmed, %d handled, %d of them more than once, %d lost; "+
		"%d came after a younger one of their sender", len(r.lives), len(confirmed), len(times), again, len(lost),
		r.disordered())
	require.Empty(t, lost)
	from.requireNotRefused(t)
	require.NotEmpty(t, confirmed)
	for n, l := range r.lives {
		came := firsts(l.wire)
		require.LessOrEqual(t, len(l.told), len(came), "process %d", n)
		require.Equal(t, came[:len(l.told)], firsts(l.told), "process %d", n)
		require.Len(t, firsts(l.told), len(l.told), "process %d was told twice", n)
	}
}

// disordered is how many messages came for the first time when a younger one of their sender had
// come.
func (r *record) disordered() (n int) {
	youngest := map[string]string{}
	var all []string
	for _, l := range r.lives {
		all = append(all, l.wire...)
	}
	for _, id := range firsts(all) {
		sender, _, _ := strings.Cut(id, ".")
		if id < youngest[sender] {
			n++
		} else {
			youngest[sender] = id
		}
	}
	return n
}

// firsts leaves out what has come before.
func firsts(ids []string) []string {
	seen, first := map[string]bool{}, []string{}
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			first = append(first, id)
		}
	}
	return first
}
