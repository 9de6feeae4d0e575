package sdk

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// accountLog adds to every line of a client whose it is, once that is known.
type accountLog struct {
	slog.Handler
	jid *atomic.Pointer[string]
}

// withAccount returns a logger for one client; see logAs.
func withAccount(log *slog.Logger) *slog.Logger {
	if log == silent {
		return log
	}
	return slog.New(accountLog{log.Handler(), new(atomic.Pointer[string])})
}

// logAs has the lines from now on say that they are of that account: its bare JID, or the user name
// as long as the domain is not known.
func (c *Client) logAs(a account) {
	if h, is := c.cfg.Logger.Handler().(accountLog); is {
		jid := strings.TrimSuffix(a.bareJID(), "@")
		h.jid.Store(&jid)
	}
}

// Handle adds the account to a line.
func (h accountLog) Handle(ctx context.Context, r slog.Record) error {
	if jid := h.jid.Load(); jid != nil {
		r.AddAttrs(slog.String("jid", *jid))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns a handler that adds the account, too.
func (h accountLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return accountLog{h.Handler.WithAttrs(attrs), h.jid}
}

// WithGroup returns a handler that adds the account, too.
func (h accountLog) WithGroup(name string) slog.Handler {
	return accountLog{h.Handler.WithGroup(name), h.jid}
}

// logCall writes the line for a call that has ended. ctx is what its requests were made with.
func (c *Client) logCall(ctx context.Context, op string, d CallDone) {
	if !c.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	outcome := "success"
	if d.Err != nil {
		outcome = d.Outcome.String()
	}
	line := append(make([]slog.Attr, 0, 5), slog.String("op", op), slog.Int("code", d.StatusCode),
		slog.String("outcome", outcome), slog.Duration("dur", d.Duration))
	if d.Err != nil {
		line = append(line, slog.Any("err", d.Err))
	}
	c.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "call", line...)
}

// logConnection writes the line for a change of the connection.
func (c *Client) logConnection(e ConnectionEvent) {
	ctx, level := context.Background(), levelOf(e)
	if !c.cfg.Logger.Enabled(ctx, level) {
		return
	}
	line := append(make([]slog.Attr, 0, 6), slog.String("status", string(e.Status)))
	if e.Attempt > 0 {
		line = append(line, slog.Int("attempt", e.Attempt))
	}
	if e.RetryIn > 0 {
		line = append(line, slog.Duration("retry_in", e.RetryIn))
	}
	if e.Resumed {
		line = append(line, slog.Bool("resumed", true))
	}
	if e.Final {
		line = append(line, slog.Bool("final", true))
	}
	if e.Err != nil {
		line = append(line, slog.Any("err", e.Err))
	}
	c.cfg.Logger.LogAttrs(ctx, level, "connection", line...)
}

// levelOf makes a warning of what needs somebody to look at: that a connection was lost, once, and
// that it does not come back. The attempts in between are for debugging, so that an outage is a
// line for each account at its beginning and one at its end. What the program has asked for is
// neither, and a Connect that fails says why to its caller.
func levelOf(e ConnectionEvent) slog.Level {
	switch {
	case e.Status == StatusConnected:
		return slog.LevelInfo
	case e.Status == StatusLoggedOut,
		e.Status == StatusDisconnected && e.Err != nil,
		e.Final && e.Attempt > 0:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
