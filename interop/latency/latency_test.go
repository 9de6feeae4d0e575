package latency_test

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
)

const (
	rounds = 2 // both SDKs in turn, so often: pages take long to open
	calls  = 3 // in each round
	// rounds of the library alone, for as long as a machine that stands still has added round trips
	// to all before
	more = 30
)

// What is measured, the rows of the table.
const (
	afterRegister   = "connect after register"
	withoutRegister = "connect without register"
	again           = "reconnect after a cut"
	iq              = "GetLastSeen"
	profileRead     = "GetUserProfile"
)

var rows = []string{afterRegister, withoutRegister, again, iq, profileRead}

// goals are told in the table, and not held against a machine that is busy.
var goals = map[string]string{
	afterRegister: "ratio 0.55", withoutRegister: "ratio 0.7", again: "2 after TLS, with SCRAM 3",
	iq: "1.1 round trips", profileRead: "1.1 round trips",
}

// wanted are the round trips of each row. challenge is 1 where the login has one, else 0.
func wanted(challenge int) map[string]cost {
	const tls, login, config = 1, 1, 1
	first := tls + 3 + challenge   // the upgrade; the stream header; the login and what follows it
	resumed := tls + 2 + challenge // the upgrade; everything
	return map[string]cost{
		afterRegister:   {xmpp: first, all: first}, // POST /login is under way meanwhile
		withoutRegister: {xmpp: first, all: tls + login + config + first},
		again:           {xmpp: resumed, all: resumed},
		iq:              {all: 1},
		profileRead:     {all: 1},
	}
}

// TestRoundTrips connects and calls over the link, beside the JavaScript SDK. The round trips of
// the library are counted.
func TestRoundTrips(t *testing.T) {
	// the servers start beside each other; they are measured one after the other
	var turn sync.Mutex
	for _, c := range []struct {
		login  string
		server xmppserver.Options
		want   map[string]cost
	}{
		{"PLAIN", xmppserver.Options{Passwords: "plain", Env: map[string]string{"SCRAM": "off"}}, wanted(0)},
		{"SCRAM", xmppserver.Options{Passwords: "scram"}, wanted(1)},
	} {
		t.Run(c.login, func(t *testing.T) {
			t.Parallel()
			svc := newService(t, c.server)
			pages := startBrowser(t, svc)
			turn.Lock()
			defer turn.Unlock()
			resident := svc.resident(t)
			f := measure(t, svc, pages, resident)
			for range more {
				if maps.Equal(f.least(), c.want) {
					break
				}
				f.addOurs(t, svc, resident)
			}
			t.Logf("login with %s\n%s", c.login, f.table())
			require.Equal(t, 1, f.tls, "TLS")
			require.Equal(t, c.want, f.least(), "round trips, of all connections and of the XMPP connection")
		})
	}
}

// figures are what was measured on one server.
type figures struct {
	link   []time.Duration // round trips of it
	tls    int             // round trips of its handshake with the XMPP server
	ours   map[string][]cost
	theirs map[string][]time.Duration // JavaScript's
}

func measure(t *testing.T, svc *service, pages *browser.Browser, resident string) *figures {
	t.Helper()
	f := &figures{tls: shake(t, svc, svc.xmpp), ours: map[string][]cost{}, theirs: map[string][]time.Duration{}}
	pinged, err := net.Dial("tcp", echo(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, pinged.Close()) }()
	for range rounds {
		for range calls {
			f.link = append(f.link, ping(t, pinged))
		}
		f.addOurs(t, svc, resident)
		f.addTheirs(t, svc, pages, resident)
	}
	return f
}

func (f *figures) addOurs(t *testing.T, svc *service, resident string) {
	t.Helper()
	c := newClient(t, svc)
	c.register(svc.name())
	f.add(afterRegister, c.connect())
	for range calls {
		f.add(iq, c.lastSeen())
		f.add(profileRead, c.profile(resident))
	}
	f.add(again, c.reconnect())
	require.NoError(t, c.Close())

	stranger := newClient(t, svc)
	stranger.Account = c.Account
	f.add(withoutRegister, stranger.connect())
	require.NoError(t, stranger.Close())
}

func (f *figures) add(row string, spent cost) { f.ours[row] = append(f.ours[row], spent) }

func (f *figures) addTheirs(t *testing.T, svc *service, pages *browser.Browser, resident string) {
	t.Helper()
	v := svc.visit(t, pages, browser.Params{"register": svc.name(), "profile": resident, "calls": calls})
	f.addPage(afterRegister, v.Connect)
	f.addPage(iq, v.LastSeen...)
	f.addPage(profileRead, v.Profile...)
	v = svc.visit(t, pages, browser.Params{"username": v.Username, "password": v.Password})
	f.addPage(withoutRegister, v.Connect)
}

func (f *figures) addPage(row string, milliseconds ...float64) {
	for _, ms := range milliseconds {
		f.theirs[row] = append(f.theirs[row], time.Duration(ms*float64(time.Millisecond)))
	}
}

// least is the fewest round trips of each row.
func (f *figures) least() map[string]cost {
	least := map[string]cost{}
	for row, costs := range f.ours {
		l := cost{xmpp: costs[0].xmpp, all: costs[0].all}
		for _, c := range costs {
			l.xmpp, l.all = min(l.xmpp, c.xmpp), min(l.all, c.all)
		}
		least[row] = l
	}
	return least
}

// table has a line for each row. Times are the least of each, which other programs on the machine
// have changed least, divided by that of the link's round trip.
func (f *figures) table() string {
	var out strings.Builder
	least := f.least()
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tcounted\tof XMPP, after TLS\ttime in round trips\tJavaScript\tratio\tgoal")
	for _, row := range rows {
		var times []time.Duration
		for _, c := range f.ours[row] {
			times = append(times, c.took)
		}
		ours := f.trips(times)
		fmt.Fprintf(w, "%s\t%d\t%s\t%.2f", row, least[row].all, xmppTrips(least[row], f.tls), ours)
		if theirs := f.theirs[row]; len(theirs) > 0 {
			fmt.Fprintf(w, "\t%.2f\t%.2f\t%s\n", f.trips(theirs), ours/f.trips(theirs), goals[row])
		} else {
			fmt.Fprintf(w, "\t-\t-\t%s\n", goals[row])
		}
	}
	_ = w.Flush()
	return out.String()
}

func xmppTrips(c cost, tls int) string {
	if c.xmpp == 0 {
		return "-"
	}
	return fmt.Sprint(c.xmpp - tls)
}

// trips is the least of times in round trips of the link.
func (f *figures) trips(times []time.Duration) float64 {
	return float64(slices.Min(times)) / float64(slices.Min(f.link))
}
