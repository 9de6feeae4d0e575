package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// bot works for one account. All its work is done in run; listeners only wake run.
type bot struct {
	settings
	account
	client *sdk.Client
	log    *slog.Logger
	// since is when the program started.
	since time.Time

	// wake has an element when run has to look at the profile. Its capacity is 1.
	wake chan struct{}
	// blocked is true while the service's administrator blocks the account.
	blocked atomic.Bool
}

// newBot prepares a bot, without any I/O.
func newBot(cfg sdk.Config, a account, s settings, log *slog.Logger) (*bot, error) {
	log = log.With("user", a.Username)
	cfg.Logger = log // it logs every change of the connection
	client, err := sdk.New(cfg)
	if err != nil {
		return nil, err
	}
	b := &bot{settings: s, account: a, client: client, log: log, since: time.Now(), wake: make(chan struct{}, 1)}
	b.listen()
	return b, nil
}

// run logs in and works until ctx ends, or until the account turns out to be one that cannot log
// in.
func (b *bot) run(ctx context.Context) error {
	// No Logout: the next start uses the same user name and password.
	defer b.client.Close()
	for {
		if err := b.stayConnected(ctx); err != nil {
			return err
		}
		b.refresh(ctx)
		select {
		case <-time.After(b.interval):
		case <-b.wake:
			sleep(ctx, b.pace.settle)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			b.sayGoodbye(ctx)
			return nil
		}
	}
}

// stayConnected waits while the client reconnects by itself, and logs in when it does not. The
// client stops reconnecting when the server has refused the password or has replaced this session
// by another one; a new login tells the reason.
func (b *bot) stayConnected(ctx context.Context) error {
	if b.client.WaitConnected(ctx) == nil {
		return nil
	}
	for attempt := 1; ctx.Err() == nil; attempt++ {
		_, err := b.client.Connect(ctx, b.Username, b.Password)
		switch {
		case err == nil, errors.Is(err, sdk.ErrAlreadyLoggedIn), ctx.Err() != nil:
			return nil
		case isHopeless(err):
			b.log.ErrorContext(ctx, "account given up: register it again, or correct its user name and password",
				"err", err)
			return err
		}
		delay := b.delay(attempt, err)
		b.log.WarnContext(ctx, "login failed", "attempt", attempt, "retry_in", delay, "err", err)
		sleep(ctx, delay)
	}
	return nil
}

// isHopeless reports whether waiting will not help. A block by the administrator may end, and a
// network may come back.
func isHopeless(err error) bool {
	return errors.Is(err, sdk.ErrInvalidCredentials) || errors.Is(err, sdk.ErrInvalidArgument) ||
		errors.Is(err, sdk.ErrInsecure)
}

// delay is the time before the next attempt. It doubles with every attempt up to maxRetry. Half of
// it is random, so that many bots do not try at the same moment.
func (b *bot) delay(attempt int, err error) time.Duration {
	delay := b.pace.minRetry
	for ; attempt > 1 && delay < b.pace.maxRetry; attempt-- {
		delay *= 2
	}
	delay = min(delay, b.pace.maxRetry)
	delay = delay/2 + rand.N(delay/2+1)
	var failure *sdk.Error
	if errors.As(err, &failure) {
		delay = max(delay, failure.RetryAfter)
	}
	return delay
}

// ready reports whether the bot can do its work.
func (b *bot) ready() bool { return b.client.State() == sdk.StatusConnected && !b.blocked.Load() }

// look makes run look at the profile soon. It never blocks: listeners call it.
func (b *bot) look() {
	select {
	case b.wake <- struct{}{}:
	default: // run will look anyway
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
