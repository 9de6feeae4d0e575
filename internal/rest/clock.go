package rest

import (
	"context"
	"net/http"
	"time"
)

const (
	// farOff is how far our clock may be off for a refused login to say something about the
	// password. Which time stamps the service accepts is not known (protocol.md 12.2).
	farOff = time.Minute

	clockPatience = 5 * time.Second
)

// ClockOff is how far our clock, which makes the time stamps, is ahead of the clock of the server
// that answered; negative: behind it. It is 0 when that is less than a minute, when the answer has
// no Date, and in trial mode, where no password carries the time (protocol.md 4.2).
func (e *Error) ClockOff() time.Duration { return e.clock }

// AskClock makes a request to learn the server's time, and returns what [Error.ClockOff] would. It
// returns 0 when there is no answer.
func (c *Client) AskClock(ctx context.Context) time.Duration {
	s, err := c.locate(ctx)
	if err != nil || s.trial {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	r := &request{op: "clock", method: http.MethodHead, url: s.base, idempotent: true}
	ctx, watch := c.watch(ctx, r)
	resp, err := c.send(ctx, r, "", watch)
	defer func() { watch.stop(err) }()
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return c.clockAhead(resp.Header)
}

// clockAhead compares our clock with the Date of an answer.
func (c *Client) clockAhead(h http.Header) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	c.mu.Lock()
	licensed := c.site != site{} && !c.site.trial
	c.mu.Unlock()
	off := c.cfg.Now().Sub(date)
	if !licensed || off.Abs() < farOff {
		return 0
	}
	return off
}
