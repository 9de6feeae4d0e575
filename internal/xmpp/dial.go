package xmpp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mirrorfly-go/sdk/internal/frames"
)

// maxRedirects is how often a server may send us elsewhere.
const maxRedirects = 2

// Dial connects to one of the addresses, authenticates and binds a resource (protocol.md 4.3). ctx
// bounds only this: once Dial has returned, its end does nothing to the session.
//
// An [*AuthError] that is Final is the same at every address; after any other failure the next
// address is tried. The error then names them all. It matches the one that says most: a refusal of
// the account before a refusal for now, that before a failure of the network, and [ErrInsecure]
// only when no address has another.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("xmpp: dial: %w", err)
	}
	addresses := cfg.order()
	if cfg.Resume != nil {
		// Its place goes first once: it may be dead, and take all the time that there is.
		cfg.Resume.visited = true
	}
	given := cfg.DialTimeout
	failed := new(failures)
	for i, addr := range addresses {
		if given <= 0 && i < len(addresses)-1 {
			cfg.DialTimeout = defaultDialTimeout
		} else if given <= 0 {
			cfg.DialTimeout = lastDialTimeout
		}
		s, err := dialFollowing(ctx, &cfg, addr)
		if err == nil {
			if !s.resumed {
				cfg.Resume.Abandon()
			}
			return s, nil
		}
		err = fmt.Errorf("xmpp: dial %s: %w", addr, err)
		failed.add(err)
		if ctx.Err() != nil {
			failed.telling = err
			break
		}
		if auth := (*AuthError)(nil); errors.As(err, &auth) && auth.Final() {
			break
		}
		cfg.Logger.DebugContext(ctx, "address failed", "address", addr.String(), "err", err)
	}
	return nil, failed
}

// order returns the addresses as they are tried: where the server wants the lost stream resumed,
// then all in random order.
func (c *Config) order() []Address {
	var addresses []Address
	if c.Resume != nil && c.Resume.m.at != nil && !c.Resume.visited && c.permit(*c.Resume.m.at) == nil {
		addresses = append(addresses, *c.Resume.m.at)
	}
	for _, i := range rand.Perm(len(c.Addresses)) {
		addresses = append(addresses, c.Addresses[i])
	}
	return addresses
}

// dialFollowing goes where the server sends us, at most maxRedirects times.
func dialFollowing(ctx context.Context, cfg *Config, addr Address) (*Session, error) {
	for hops := 0; ; hops++ {
		s, err := dialAddress(ctx, cfg, addr)
		r := (*redirect)(nil)
		if !errors.As(err, &r) || hops == maxRedirects {
			return s, err
		}
		if addr, err = addr.Redirect(r.to); err != nil {
			return nil, err
		}
		if err := cfg.permit(addr); err != nil {
			return nil, err
		}
	}
}

// dialAddress connects to one address, and falls back to a handshake step by step where it is not
// clear that writing ahead is not why the first has failed. What was learned is unlearned: a server
// that has taken it is asked the next time, and one that announces it, but works only step by step,
// is remembered for that.
func dialAddress(ctx context.Context, cfg *Config, addr Address) (*Session, error) {
	failures := 0
	if cfg.Resume != nil {
		failures = cfg.Resume.failures
	}
	s, h, err := attempt(ctx, cfg, addr, cfg.Memory.refusesPipelining(cfg.Domain))
	switch {
	case err == nil:
		if p := h.pipeline; !p.off && p.announced != notAnnounced {
			cfg.Memory.learnPipelining(cfg.Domain, p.announced, p.pastLogin())
		}
		return s, nil
	case h == nil || !h.pipeline.used:
		return nil, err
	}
	if ctx.Err() == nil && !h.pipeline.mayBeWhy(err) {
		return nil, err
	}
	had := cfg.Memory.forgetPipelining(cfg.Domain)
	blamed := !had && !errors.Is(err, errSurprise)
	if ctx.Err() != nil {
		if blamed && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			// No time is left to find out, nor may there be at the next attempt.
			cfg.Memory.refusePipelining(cfg.Domain)
		}
		return nil, err
	}
	if cfg.Resume != nil {
		// That the resumption was not granted does not count yet, either.
		cfg.Resume.failures = failures
	}
	s, _, err = attempt(ctx, cfg, addr, true)
	if err == nil && blamed {
		cfg.Memory.refusePipelining(cfg.Domain)
	}
	return s, err
}

// attempt makes a session over one connection. It returns the handshake also when that has failed;
// nil: there was no connection.
func attempt(ctx context.Context, cfg *Config, addr Address, stepByStep bool) (*Session, *handshake, error) {
	secureCtx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	conn, err := frames.Dial(secureCtx, addr, &frames.Options{
		HTTPClient: cfg.HTTPClient, UserAgent: cfg.UserAgent, TLSTimeout: cfg.DialTimeout,
		DialContext: cfg.DialContext, TLSConfig: cfg.TLSConfig, Domain: cfg.Domain,
	})
	if err != nil {
		return nil, nil, dialError(ctx, secureCtx, cfg, err)
	}
	h := newHandshake(cfg, conn, addr, stepByStep)
	if h.pipeline.known() {
		// The credentials go out with the first header.
		if err := cfg.authorize(ctx); err != nil {
			drop(conn)
			return nil, h, err
		}
		// The server was not asked for anything yet: its time begins now.
		cancel()
		secureCtx, cancel = context.WithTimeout(ctx, cfg.DialTimeout)
		defer cancel()
	}
	if err := h.run(ctx, secureCtx); err != nil {
		drop(conn)
		if h.answered {
			secureCtx = ctx // what follows has the caller's time
		}
		return nil, h, dialError(ctx, secureCtx, cfg, err)
	}
	return newSession(cfg, h), h, nil
}

// drop breaks a connection, and waits until nothing writes to it any more. That does not take long.
func drop(conn frames.Conn) {
	conn.Cut()
	_ = conn.CatchUp()
}

// dialError distinguishes the caller's deadline from our own, which is not the caller's.
func dialError(ctx, secureCtx context.Context, cfg *Config, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		// A dialler's own timer for that deadline may go off first.
		<-ctx.Done()
	}
	switch {
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case ctx.Err() == nil && secureCtx.Err() != nil:
		return fmt.Errorf("no answer within %v (%v)", cfg.DialTimeout, err)
	}
	return err
}
