package dial

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a number of machines behind one name.
type network struct {
	records []string
	answer  map[string]func(ctx context.Context) error // by IP; nil: connects at once

	mu     sync.Mutex
	tried  []string
	conns  int
	closed int
}

type countedConn struct {
	net.Conn
	n *network
}

func (c countedConn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.n.closed++
	return nil
}

func (n *network) dialer() *Dialer {
	return &Dialer{
		lookup: func(context.Context, string) ([]net.IPAddr, error) {
			var out []net.IPAddr
			for _, r := range n.records {
				out = append(out, net.IPAddr{IP: net.ParseIP(r)})
			}
			return out, nil
		},
		dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			n.mu.Lock()
			n.tried = append(n.tried, address)
			n.mu.Unlock()
			host, _, _ := net.SplitHostPort(address)
			if f := n.answer[host]; f != nil {
				if err := f(ctx); err != nil {
					return nil, err
				}
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			n.conns++
			return countedConn{n: n}, nil
		},
	}
}

var errRefused = errors.New("refused")

func silent(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func refused(context.Context) error    { return errRefused }

func TestRecordsAreShuffled(t *testing.T) {
	n := &network{records: []string{"127.0.0.1", "127.0.0.2", "::1"}}
	for range 200 {
		conn, err := n.dialer().DialContext(t.Context(), "tcp", "cluster.example:5222")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	first := map[string]int{}
	for _, address := range n.tried {
		first[address]++
	}
	for _, address := range []string{"127.0.0.1:5222", "127.0.0.2:5222", "[::1]:5222"} {
		require.Greater(t, first[address], 20)
	}
	require.Len(t, n.tried, 200, "one attempt each")
}

func TestDeadRecords(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(context.Context) error
		most   time.Duration
	}{
		"refused": {refused, 0},
		"silent":  {silent, 2 * attemptDelay},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // the order is random
				synctest.Test(t, func(t *testing.T) {
					n := &network{
						records: []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"},
						answer:  map[string]func(context.Context) error{"127.0.0.1": c.answer, "127.0.0.2": c.answer},
					}
					start := time.Now()
					conn, err := n.dialer().DialContext(t.Context(), "tcp", "cluster.example:5222")
					require.NoError(t, err)
					require.LessOrEqual(t, time.Since(start), c.most)
					require.NoError(t, conn.Close())
					synctest.Wait()
				})
			}
		})
	}
}

func TestAllRecordsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			records: []string{"127.0.0.1", "127.0.0.2"},
			answer:  map[string]func(context.Context) error{"127.0.0.1": refused, "127.0.0.2": silent},
		}
		start := time.Now()
		_, err := n.dialer().DialContext(t.Context(), "tcp", "cluster.example:5222")
		require.Error(t, err)
		require.LessOrEqual(t, time.Since(start), attemptTimeout+attemptDelay)
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			records: []string{"127.0.0.1", "127.0.0.2"},
			answer:  map[string]func(context.Context) error{"127.0.0.1": silent, "127.0.0.2": silent},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := n.dialer().DialContext(ctx, "tcp", "cluster.example:5222")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		synctest.Wait() // nothing is left, says the bubble
	})
}

// When two answer at the same moment, one connection is used and the other closed.
func TestLateConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(d time.Duration) func(context.Context) error {
			return func(context.Context) error { <-time.After(d); return nil }
		}
		n := &network{records: []string{"127.0.0.1", "127.0.0.2"}, answer: map[string]func(context.Context) error{
			"127.0.0.1": slow(2 * attemptDelay), "127.0.0.2": slow(2 * attemptDelay),
		}}
		conn, err := n.dialer().DialContext(t.Context(), "tcp", "cluster.example:5222")
		require.NoError(t, err)
		<-time.After(time.Second)
		synctest.Wait()
		require.NoError(t, conn.Close())
		require.Equal(t, n.conns, n.closed)
		require.Equal(t, 2, n.conns)
	})
}

func TestAddressesThatAreNone(t *testing.T) {
	_, err := (&Dialer{}).DialContext(t.Context(), "tcp", "no port")
	require.Error(t, err)
	failing := &Dialer{lookup: func(context.Context, string) ([]net.IPAddr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}
	}}
	_, err = failing.DialContext(t.Context(), "tcp", "x:1")
	var dns *net.DNSError
	require.ErrorAs(t, err, &dns)
	require.True(t, strings.Contains(err.Error(), "no such host"))
	empty := &Dialer{lookup: func(context.Context, string) ([]net.IPAddr, error) { return nil, nil }}
	_, err = empty.DialContext(t.Context(), "tcp", "x:1")
	require.Error(t, err)
}

func TestRealSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	// localhost may be ::1 first, where no server listens
	for _, host := range []string{"127.0.0.1", "localhost"} {
		conn, err := (&Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}
