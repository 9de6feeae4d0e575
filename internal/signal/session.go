package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/plain"
)

const (
	writeTimeout = 10 * time.Second
	byeTimeout   = time.Second
	// maxReason is how many bytes of a server's error text are kept.
	maxReason = 200
)

var (
	errPingTimeout    = errors.New("ping timeout")
	errClosedByServer = errors.New("closed by the server")
)

// session is one connection, from its open packet to its end. Its transport is never used again.
type session struct {
	t     transport
	hs    handshake
	queue *queue
	log   *slog.Logger

	// joined and lossy belong to the goroutine that is in join or run. lossy: events were dropped,
	// and that has been logged.
	joined, lossy bool
}

// transport carries Engine.IO packets in their text form, over one connection or several. It drops
// binary packets. One goroutine calls read, and any may call the other methods. read calls heard
// when bytes come, also those of a packet that is not complete yet.
type transport interface {
	read(ctx context.Context, heard func()) (string, error)
	write(ctx context.Context, packets ...string) error
	// close does not wait. It ends read and write.
	close()
}

// join waits until the server has let us into the namespace. With Engine.IO 3 the server does so by
// itself, with 4 the client has to ask.
func (s *session) join(ctx context.Context) error {
	if s.hs.protocol >= 4 {
		if err := s.write(ctx, string(eioMessage)+string(sioConnect)); err != nil {
			return err
		}
	}
	for !s.joined {
		packet, err := s.t.read(ctx, func() {})
		if err != nil {
			return err
		}
		if err := s.handle(ctx, packet); err != nil {
			return err
		}
	}
	return nil
}

// run reads until the connection or ctx ends, and closes the transport.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.t.close()
	defer cancel(nil)
	// With either protocol there is traffic in each interval, a ping or its pong.
	silence := s.hs.pingInterval + s.hs.pingTimeout
	watchdog := time.AfterFunc(silence, func() { cancel(errPingTimeout) })
	defer watchdog.Stop()
	if s.hs.protocol < 4 {
		// run owns it. It ends with ctx.
		wg.Go(func() { s.ping(ctx, cancel) })
	}
	for {
		packet, err := s.t.read(ctx, func() { watchdog.Reset(silence) })
		if err == nil {
			err = s.handle(ctx, packet)
		}
		if cause := context.Cause(ctx); cause != nil {
			// The error of read is only a consequence.
			return cause
		}
		if err != nil {
			return err
		}
	}
}

// ping asks the server for a sign of life in each interval. In Engine.IO 3 that is up to the
// client.
func (s *session) ping(ctx context.Context, fail context.CancelCauseFunc) {
	tick := time.NewTicker(s.hs.pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.write(ctx, string(eioPing)); err != nil {
				fail(fmt.Errorf("ping: %w", err))
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// write sends packets. When one is cut short the connection ends, since the server could not read
// what follows.
func (s *session) write(ctx context.Context, packets ...string) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.t.write(ctx, packets...)
}

// bye tells the server that we leave. It does not matter whether that arrives.
func (s *session) bye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, byeTimeout)
	defer cancel()
	_ = s.t.write(ctx, string(eioMessage)+string(sioDisconnect), string(eioClose))
}

// handle acts on a packet. An error ends the session; unknown packets are ignored.
func (s *session) handle(ctx context.Context, packet string) error {
	if packet == "" {
		return nil
	}
	switch kind, data := packet[0], packet[1:]; kind {
	case eioClose:
		return errClosedByServer
	case eioPing:
		if s.hs.protocol >= 4 {
			return s.write(ctx, string(eioPong)+data)
		}
	case eioMessage:
		return s.handleMessage(ctx, data)
	}
	return nil
}

func (s *session) handleMessage(ctx context.Context, data string) error {
	m, ok := parseMessage(data)
	if !ok {
		s.log.DebugContext(ctx, "signalling packet ignored", "size", len(data))
		return nil
	}
	switch m.kind {
	case sioConnect:
		s.joined = true
	case sioDisconnect:
		return ErrDisconnected
	case sioError:
		return s.handleError(ctx, m.data)
	case sioEvent:
		s.handleEvent(ctx, m.data)
	}
	return nil
}

// handleError takes an error packet. Before we are in the namespace it is a refusal. Later it is
// about one of our events, and the connection goes on, as in the JavaScript client.
func (s *session) handleError(ctx context.Context, reason string) error {
	reason = plain.Clip(reason, maxReason)
	if !s.joined {
		return fmt.Errorf("%w: %s", ErrRefused, reason)
	}
	s.log.WarnContext(ctx, "signalling server reports an error", "reason", reason)
	return nil
}

func (s *session) handleEvent(ctx context.Context, data string) {
	ev, err := parseEvent(data)
	if err != nil {
		s.log.DebugContext(ctx, "signalling event ignored", "err", err)
		return
	}
	if lost := s.queue.push(ev); lost > 0 && !s.lossy {
		s.lossy = true
		s.log.WarnContext(ctx, "signalling events dropped, the reader is slow")
	}
}
