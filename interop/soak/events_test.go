package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// What a watcher is told, one after the other.
type (
	heard   func(*watcher)
	hearing struct {
		name string
		told []heard
		want string // what is wrong; empty: nothing
	}
)

func status(s sdk.ConnectionStatus, attempt int) heard {
	return func(w *watcher) { w.connection(sdk.ConnectionEvent{Status: s, Attempt: attempt}) }
}

func final(s sdk.ConnectionStatus, attempt int) heard {
	return func(w *watcher) { w.connection(sdk.ConnectionEvent{Status: s, Attempt: attempt, Final: true}) }
}

func pushed(n int) heard {
	return func(w *watcher) { w.about(fmt.Sprintf("n%d@example.com", n)) }
}

func resumed(attempt int) heard {
	return func(w *watcher) {
		w.connection(sdk.ConnectionEvent{Status: sdk.StatusConnected, Attempt: attempt, Resumed: true})
	}
}

func missed(e sdk.MissedEvent) heard { return func(w *watcher) { w.missed(e) } }

func TestWatcher(t *testing.T) {
	up, down := status(sdk.StatusConnected, 0), status(sdk.StatusDisconnected, 0)
	try, back := status(sdk.StatusReconnecting, 1), status(sdk.StatusConnected, 1)
	gap, drop := missed(sdk.MissedEvent{Gap: true}), missed(sdk.MissedEvent{Dropped: 3})
	for _, tc := range []hearing{
		{"pushes", []heard{up, pushed(0), pushed(1), pushed(2)}, ""},
		{"the first may have been before", []heard{up, pushed(7), pushed(8)}, ""},
		{"one missing", []heard{up, pushed(0), pushed(2)}, "missing"},
		{"twice", []heard{up, pushed(0), pushed(0)}, "twice"},
		{"swapped", []heard{up, pushed(5), pushed(4)}, "out of order"},
		{"resumed", []heard{up, pushed(0), down, try, resumed(1), pushed(1)}, ""},
		{"resumed, one missing", []heard{up, pushed(0), down, try, resumed(1), pushed(2)}, "missing"},
		{"resumed, one twice", []heard{up, pushed(0), down, try, resumed(1), pushed(0)}, "twice"},
		{"new session", []heard{up, pushed(0), down, try, back, gap, pushed(4), pushed(5)}, ""},
		{
			"new session, one missing later",
			[]heard{up, pushed(0), down, try, back, gap, pushed(4), pushed(6)},
			"missing",
		},
		{"new session, one twice", []heard{up, pushed(0), down, try, back, gap, pushed(0)}, "twice"},
		{"new session, not told", []heard{up, pushed(0), down, try, back, pushed(1)}, "not told"},
		{"new session, told too late", []heard{up, down, try, back, down, try}, "not told"},
		{"new session, told twice", []heard{up, down, try, back, gap, gap}, "without a new session"},
		{"resumed, and a gap", []heard{up, down, try, resumed(1), gap}, "without a new session"},
		{"gap out of nothing", []heard{up, gap, gap}, "without a new session"},
		{"dropped", []heard{up, pushed(0), drop, pushed(4)}, ""},
		{"dropped here and there", []heard{up, pushed(0), drop, pushed(2), pushed(3), pushed(6)}, ""},
		{"dropped, one more than was told", []heard{up, pushed(0), drop, pushed(2), pushed(5), pushed(7)}, "missing"},
		{"dropped, told too late", []heard{up, pushed(0), pushed(2), drop}, "missing"},
		{"missed nothing", []heard{up, missed(sdk.MissedEvent{})}, "nothing was missed"},
		{"login again", []heard{up, pushed(0), down, up, pushed(3)}, ""},
		{"forged", []heard{up, func(w *watcher) { w.about("forged@example.com") }}, "forged"},
		{"connected twice", []heard{up, up}, "order"},
		{"reconnecting out of nothing", []heard{try}, "order"},
		{"wrong attempt", []heard{up, down, status(sdk.StatusReconnecting, 2)}, "number of an attempt"},
		{
			"failed",
			[]heard{
				up, down, try, status(sdk.StatusConnectionFailed, 1), status(sdk.StatusReconnecting, 2), resumed(2),
			},
			"",
		},
		{
			"failed, not counted",
			[]heard{up, down, try, status(sdk.StatusConnectionFailed, 1), try},
			"number of an attempt",
		},
		{
			"failed, another attempt",
			[]heard{up, down, try, status(sdk.StatusConnectionFailed, 2)},
			"number of an attempt",
		},
		{
			"resumed by Connect",
			[]heard{up, pushed(0), down, try, final(sdk.StatusDisconnected, 0), resumed(0), pushed(2)},
			"missing",
		},
		{
			"not resumed by Connect",
			[]heard{up, pushed(0), down, try, final(sdk.StatusDisconnected, 0), up, gap, pushed(2)},
			"",
		},
		{"gap long after Connect", []heard{up, pushed(0), gap}, "without a new session"},
		{"goes on after the end", []heard{up, final(sdk.StatusDisconnected, 0), try}, "final"},
		{
			"goes on after it gave up",
			[]heard{up, down, try, final(sdk.StatusConnectionFailed, 1), status(sdk.StatusReconnecting, 2)},
			"final",
		},
		{"lost, then left", []heard{up, down, final(sdk.StatusDisconnected, 0), up}, ""},
		{"lost twice", []heard{up, down, down}, "twice"},
		{"left twice", []heard{up, final(sdk.StatusDisconnected, 0), final(sdk.StatusDisconnected, 0)}, "twice"},
		{"resumed at once", []heard{resumed(0)}, "without a loss"},
		{"stopped", []heard{up, down, try, down, up}, ""},
		{"phone", []heard{up, final(sdk.StatusLoggedOut, 0), down}, ""},
		{"phone, while reconnecting", []heard{up, down, try, final(sdk.StatusLoggedOut, 0), down}, ""},
		{"phone, but still there", []heard{up, final(sdk.StatusLoggedOut, 0), up}, "order"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook()
			w := newWatcher(b, "s000", "me", 0)
			for _, tell := range tc.told {
				tell(w)
			}
			if tc.want == "" {
				require.Empty(t, b.violations)
				return
			}
			require.Len(t, b.violations, 1)
			require.Contains(t, b.violations[0].what, tc.want)
		})
	}
}
