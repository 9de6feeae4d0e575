package messages

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// record is what all processes of a bot have reported, in their order.
type record struct {
	lives []*life

	mu sync.Mutex
	// handled is how often each message was handled.
	handled map[string]int
}

func (r *record) note(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.handled == nil {
		r.handled = map[string]int{}
	}
	r.handled[id]++
}

// again is how many messages were handled more than once.
func (r *record) again() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.handled {
		if times > 1 {
			n++
		}
	}
	return n
}

// missing are those of the messages that no process has handled.
func (r *record) missing(ids []string) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if r.handled[id] == 0 {
			missing = append(missing, id)
		}
	}
	return missing
}

// check checks that nothing is lost, and that each process was told what came, once.
func (r *record) check(t *testing.T, from peers) {
	t.Helper()
	confirmed := from.confirmed()
	lost := r.missing(confirmed)
	t.Logf("%d processes; %d messages confirmed, %d handled more than once, %d lost; %d came after a younger one "+
		"of their sender", len(r.lives), len(confirmed), r.again(), len(lost), r.disordered())
	for _, id := range lost {
		t.Log("lost", id, r.story(id))
	}
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

// story is what the processes have reported of a message.
func (r *record) story(id string) (story []string) {
	for n, l := range r.lives {
		for word, ids := range map[string][]string{botWire: l.wire, botTold: l.told, botHandled: l.handled} {
			if at := slices.Index(ids, id); at >= 0 {
				story = append(story, fmt.Sprintf("%d. process, %s: %s as %d. of %d", n, l.manner, word, at, len(ids)))
			}
		}
	}
	return story
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
