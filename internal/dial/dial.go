// Package dial connects to names of several machines: the name of a cluster has one address record
// for each node.
package dial

import (
	"context"
	"math/rand/v2"
	"net"
	"time"
)

const (
	// attemptTimeout bounds the attempt at one address, for callers without a deadline. Attempts at
	// other addresses run beside it.
	attemptTimeout = 15 * time.Second
	// attemptDelay is how long an attempt may take before the next address is tried beside it (RFC
	// 8305 5), so that a dead address costs no more than this.
	attemptDelay = 300 * time.Millisecond
)

// Dialer connects by TCP. The zero value is ready to use.
type Dialer struct {
	// Tests replace lookup and dial.
	lookup func(ctx context.Context, host string) ([]net.IPAddr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// DialContext connects to host:port. It tries all address records of a name in random order, so
// that clients spread over the machines, and takes the first connection. The error is that of the
// attempt that failed last.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) != nil {
		return d.attempt(ctx, network, address)
	}
	records, err := d.resolve(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if len(records) == 0 {
		return nil, &net.OpError{
			Op: "dial", Net: network, Err: &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true},
		}
	}
	addresses := make([]string, len(records))
	for i, to := range rand.Perm(len(records)) {
		addresses[to] = net.JoinHostPort(records[i].String(), port)
	}
	return d.race(ctx, network, addresses)
}

func (d *Dialer) resolve(ctx context.Context, host string) ([]net.IPAddr, error) {
	if d.lookup != nil {
		return d.lookup(ctx, host)
	}
	return net.DefaultResolver.LookupIPAddr(ctx, host)
}

func (d *Dialer) attempt(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if d.dial != nil {
		return d.dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

type outcome struct {
	conn net.Conn
	err  error
}

// race starts attempts at one address after the other, until one succeeds. The next one starts when
// an attempt has failed, or when the last one has taken attemptDelay.
func (d *Dialer) race(ctx context.Context, network string, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	outcomes := make(chan outcome)
	started, failed := 0, 0
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if started < len(addresses) {
				// race owns it. It ends with ctx at the latest.
				go d.compete(ctx, network, addresses[started], outcomes)
				started++
				next.Reset(attemptDelay)
			}
		case o := <-outcomes:
			if o.err == nil {
				return o.conn, nil
			}
			if failed++; failed == len(addresses) {
				return nil, o.err
			}
			next.Reset(0)
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}
	}
}

// compete makes one attempt. It closes a connection that comes too late.
func (d *Dialer) compete(ctx context.Context, network, address string, outcomes chan<- outcome) {
	conn, err := d.attempt(ctx, network, address)
	select {
	case outcomes <- outcome{conn, err}:
	case <-ctx.Done():
		if conn != nil {
			// It was never used.
			_ = conn.Close()
		}
	}
}
