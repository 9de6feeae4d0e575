package xmppserver

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// What the start scripts add to PORT_BASE.
const (
	// portDist is for the Erlang distribution.
	portDist   = 10
	portC2S    = 22
	portC2STLS = 23
	portHTTPS  = 43
	portHTTP   = 80
)

// A base is a multiple of 100 below the range from which systems take the ports
// of outgoing connections.
const (
	firstBase = 10000
	bases     = 220
	baseStep  = 100
)

// ports is a PORT_BASE that is nobody else's until it is closed: the process
// keeps listening on the base itself, which no server uses, and which tells
// every other test process that the hundred is taken.
type ports struct {
	net.Listener
	base int
}

func reservePorts(t testing.TB) ports {
	t.Helper()
	first := rand.IntN(bases)
	for i := range bases {
		base := firstBase + (first+i)%bases*baseStep
		lock, err := listen("127.0.0.1", base)
		if err != nil {
			continue
		}
		if free(base) {
			return ports{Listener: lock, base: base}
		}
		_ = lock.Close()
	}
	t.Fatal("no free ports for a server")
	return ports{}
}

// free reports whether no other program uses a port of this base, on either of
// the addresses that a cluster needs.
func free(base int) bool {
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		for _, offset := range []int{portDist, portC2S, portC2STLS, portHTTPS, portHTTP} {
			l, err := listen(ip, base+offset)
			if err != nil {
				return false
			}
			_ = l.Close()
		}
	}
	return true
}

func listen(ip string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
}
