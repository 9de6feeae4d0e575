package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mirrorfly-go/sdk/internal/backoff"
)

// stableAfter is how long a connection must have lasted for the pauses to begin at MinDelay again.
// A server that accepts us and soon drops us needs longer pauses.
const stableAfter = time.Minute

// run keeps the Conn connected until Close, or until the server ends it for good.
func (c *Conn) run(s *session) {
	err := c.serve(s)
	if c.ctx.Err() != nil {
		err = ErrClosed
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.done)
	c.queue.end()
	c.dialer.close()
	level := slog.LevelInfo
	if err == ErrClosed {
		level = slog.LevelDebug // it was asked for
	}
	c.cfg.Logger.Log(c.ctx, level, "signalling ended", "err", err)
}

// serve runs one session after the other. It returns why no other follows.
func (c *Conn) serve(s *session) error {
	attempt := 0
	for {
		began := time.Now()
		err := s.run(c.ctx)
		c.setSession(nil)
		if c.ctx.Err() != nil || final(err) {
			return err
		}
		c.cfg.Logger.WarnContext(c.ctx, "signalling connection lost", "err", err)
		if time.Since(began) >= stableAfter {
			attempt = 0
		}
		if s, err = c.reconnect(&attempt); err != nil {
			return err
		}
		c.setSession(s)
	}
}

// reconnect dials until it succeeds. It adds its attempts to attempt.
func (c *Conn) reconnect(attempt *int) (*session, error) {
	for {
		delay := backoff.Delay(c.cfg.MinDelay, c.cfg.MaxDelay, *attempt)
		*attempt++
		select {
		case <-time.After(delay):
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		}
		s, err := c.dial(c.ctx)
		if err == nil {
			c.cfg.Logger.InfoContext(c.ctx, "signalling connected again", "attempt", *attempt)
			return s, nil
		}
		if c.ctx.Err() != nil || final(err) {
			return nil, err
		}
		// That it was lost is the warning.
		c.cfg.Logger.DebugContext(c.ctx, "signalling reconnect failed", "attempt", *attempt, "err", err)
	}
}

// dial makes one connection and joins the namespace, within DialTimeout.
func (c *Conn) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	t, hs, err := c.dialer.dial(ctx)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	s := &session{t: t, hs: hs, queue: c.queue, log: c.cfg.Logger}
	if err := s.join(ctx); err != nil {
		t.close()
		return nil, dialError(ctx, err)
	}
	return s, nil
}

// dialError makes sure that errors.Is finds the end of ctx in err, when ctx has ended.
func dialError(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		err = fmt.Errorf("%w: %w", end, err)
	}
	return opError("connect", err)
}

// final reports whether the server has ended the session for good.
func final(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrDisconnected)
}
