package rest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/mirrorfly-go/sdk/internal/backoff"
)

const (
	maxAttempts = 3
	// firstDelay is the upper bound of the first delay. The bound doubles with each attempt.
	firstDelay = 500 * time.Millisecond
	// maxDelay is the longest wait that a call does for its caller. To wait longer is up to the
	// caller.
	maxDelay = 30 * time.Second
)

func failedWith(status int) string {
	return fmt.Sprintf("Request failed with status code %d", status)
}

// repeat calls once up to three times, as long as r may be repeated after its error. In between it
// waits as long as the service asked, or a random time.
func (c *Client) repeat(ctx context.Context, r *request, once func() error) error {
	for n := 1; ; n++ {
		r.attempt++
		err := once()
		e := asError(err)
		if e == nil || n == maxAttempts || ctx.Err() != nil || !r.mayRepeat(e) {
			return err
		}
		delay := e.RetryAfter
		if delay == 0 {
			delay = backoff.Delay(firstDelay, maxDelay, n-1)
		}
		if deadline, ok := ctx.Deadline(); delay > maxDelay || ok && time.Until(deadline) < delay {
			// This error tells the caller more than a timeout would.
			return err
		}
		if c.wait(ctx, delay) != nil {
			return contextError(ctx)
		}
	}
}

// mayRepeat reports whether r can be sent again after e without doing something twice. It can when
// the server has never seen it or has refused it unread (429), and otherwise only when it is
// idempotent.
func (r *request) mayRepeat(e *Error) bool {
	switch {
	case !r.repeatable():
		return false
	case e.answered == 0 && e.failure == failedUnreached && !r.redirected.Load(), e.answered != 0 &&
		e.Status == http.StatusTooManyRequests:
		return true
	case !r.idempotent:
		return false
	case e.answered == 0:
		return e.failure == failedBroken
	}
	return isAway(e.Status) ||
		r.storage && e.Status == http.StatusInternalServerError && e.answered == http.StatusInternalServerError
}

// retryAfter reads the header of that name, in seconds or as a date (RFC 9110 10.2.3); 0: there is
// none. A date is by the server's clock, which the same answer has in its Date. Without that, now
// is used.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	// Out of range, seconds is the largest or the smallest number there is.
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(max(seconds, 0), math.MaxInt64/int64(time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return max(at.Sub(now), 0)
}
