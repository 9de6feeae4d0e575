package faults

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// doorstep is where TCP connections are made, or not: toxiproxy always accepts. Behind it the
// server.
type doorstep struct {
	address  string
	upstream string
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	cond   *sync.Cond // of what follows
	fault  fault
	parked bool // no connection is accepted: the fault is silent
	over   bool
	conns  map[net.Conn]struct{}
}

// noAnswer is how long a connection on this machine is waited for that is not to come.
const noAnswer = 300 * time.Millisecond

// newDoorstep listens with room for a single connection that is not accepted: while that place
// is taken, the kernel answers no other, as if the packets were lost.
func newDoorstep(t testing.TB, upstream string) *doorstep {
	t.Helper()
	ip := net.ParseIP(ownIP(t.Name() + "doorstep")).To4()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "doorstep")
	defer file.Close() // FileListener has its own
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(ip)}))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	require.NoError(t, syscall.Listen(fd, 0))
	listener, err := net.FileListener(file)
	require.NoError(t, err)
	d := &doorstep{
		address:  net.JoinHostPort(ip.String(), strconv.Itoa(name.(*syscall.SockaddrInet4).Port)),
		upstream: upstream, listener: listener, conns: map[net.Conn]struct{}{},
	}
	d.cond = sync.NewCond(&d.mu)
	d.wg.Go(d.serve) // ends with close
	t.Cleanup(d.close)
	return d
}

func (d *doorstep) close() {
	d.mu.Lock()
	d.over = true
	for c := range d.conns {
		_ = c.Close()
	}
	d.cond.Broadcast()
	d.mu.Unlock()
	_ = d.listener.Close()
	d.wg.Wait()
}

// set begins a fault, "" ends it.
func (d *doorstep) set(t testing.TB, f fault) {
	t.Helper()
	d.mu.Lock()
	d.fault = f
	d.cond.Broadcast()
	d.mu.Unlock()
	if f != silent {
		return
	}
	d.call(t) // takes the loop out of Accept, or else the place
	d.mu.Lock()
	for !d.parked {
		d.cond.Wait()
	}
	d.mu.Unlock()
	for d.call(t) { // until the place is taken
	}
}

// call connects, and reports whether that was possible.
func (d *doorstep) call(t testing.TB) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", d.address, noAnswer)
	if err != nil {
		return false
	}
	return d.keep(conn)
}

func (d *doorstep) keep(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		_ = c.Close()
		return false
	}
	d.conns[c] = struct{}{}
	return true
}

func (d *doorstep) drop(c net.Conn) {
	d.mu.Lock()
	delete(d.conns, c)
	d.mu.Unlock()
	_ = c.Close()
}

// await returns the fault, once it is another than silent.
func (d *doorstep) await() (f fault, over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.fault == silent && !d.over {
		d.parked = true
		d.cond.Broadcast()
		d.cond.Wait()
	}
	d.parked = false
	return d.fault, d.over
}

func (d *doorstep) serve() {
	for {
		if _, over := d.await(); over {
			return
		}
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		f, over := d.await()
		if over || !d.keep(conn) {
			_ = conn.Close()
			return
		}
		d.wg.Go(func() { // ends with the connection
			defer d.drop(conn)
			d.receive(conn.(*net.TCPConn), f)
		})
	}
}

func (d *doorstep) receive(conn *net.TCPConn, f fault) {
	switch f {
	case cut:
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // closing with unread input would send RST
	case reset:
		_ = conn.SetLinger(0)
	default:
		d.relay(conn)
	}
}

func (d *doorstep) relay(conn *net.TCPConn) {
	server, err := net.Dial("tcp", d.upstream)
	if err != nil || !d.keep(server) {
		return
	}
	defer d.drop(server)
	d.wg.Go(func() { // ends with either connection
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	})
	_, _ = io.Copy(conn, server)
	_ = conn.Close()
}
