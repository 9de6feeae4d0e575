package natsstore

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// reconnectWait is how long a lost connection waits before each attempt, and a random time besides.
const reconnectWait = 250 * time.Millisecond

// Connect connects to NATS as a fleet needs it: it reconnects for ever, and a request fails while
// the connection is lost, instead of being sent late. urls are one or several, with commas. Options
// that are given come last. The caller closes the connection.
func Connect(urls string, opts ...nats.Option) (*nats.Conn, jetstream.JetStream, error) {
	all := append([]nats.Option{
		nats.Name("mirrorfly-fleet"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second),
	}, opts...)
	conn, err := nats.Connect(urls, all...)
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		// What is wrong with it quotes it, and a password may be in it.
		return nil, nil, errors.New("natsstore: an address is not like nats://host:4222")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("natsstore: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("natsstore: %w", err)
	}
	return conn, js, nil
}
