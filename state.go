package sdk

import (
	"context"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// State returns what the last ConnectionEvent told; StatusDisconnected before Connect.
func (c *Client) State() ConnectionStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// tell makes event the state of the client and queues it for the listeners, in one step: State
// never differs from the last event. What the queue drops for it is told to hooks, and to the
// session, so not under the lock.
func (c *Client) tell(event ConnectionEvent) {
	c.mu.Lock()
	c.status = event.Status
	dropping := c.listeners.connection.EmitLocked(&c.listeners.queue, event, event.weight())
	c.wakeLocked()
	c.mu.Unlock()
	dropping.Tell()
	c.logConnection(event)
}

// tellEnded tells DISCONNECTED for a login that ends without a session to lose, unless that was
// told last. Its caller has lockLogin.
func (c *Client) tellEnded() {
	if c.State() != StatusDisconnected {
		c.tell(ConnectionEvent{Status: StatusDisconnected, Final: true})
	}
}

func (c *Client) setConnecting(connecting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connecting = connecting
	c.wakeLocked()
}

// isConnecting reports whether Connect, or a QR login, is under way.
func (c *Client) isConnecting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connecting
}

// wakeLocked has every WaitConnected look again.
func (c *Client) wakeLocked() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// WaitConnected returns nil when there is a session, and waits for one while the client reconnects
// or while a Connect or a QR login is under way. ctx bounds the waiting, Config.RequestTimeout does
// not. A listener that calls it holds up all others.
//
// Errors, an *Error as everywhere: at once when no session will come by itself, with the reason
// that OnConnection was told: ErrReplaced, ErrInvalidCredentials (AUTHFAIL), ErrNotConnected and
// ErrNetwork when Config.Reconnect permits no further attempt; 400 ErrNotRegistered without a
// login; 499 or 599 when ctx ends; 500 ErrClosed.
func (c *Client) WaitConnected(ctx context.Context) error {
	_, err := unbounded(ctx, c, "WaitConnected", success, func(ctx context.Context) (None, error) {
		for {
			connected, changed, err := c.connected()
			if err != nil && c.ctx.Err() != nil {
				return None{}, errClosed // why there is no session
			}
			if connected || err != nil {
				return None{}, err
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return None{}, unsent.Mark(ctx.Err())
			}
		}
	})
	return err
}

// connected reports whether there is a session, or returns why none will come by itself. Where
// neither is so, changed is closed when it may have become so.
func (c *Client) connected() (connected bool, changed <-chan struct{}, err error) {
	c.mu.Lock()
	l, status, connecting := c.login, c.status, c.connecting
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	changed = c.changed
	c.mu.Unlock()
	up, kept, why := l.state()
	switch {
	case up && status == StatusConnected:
		return true, nil, nil
	case connecting, kept && why == nil:
		return false, changed, nil
	case !l.isRegistered():
		return false, nil, errNotRegistered
	case why == nil:
		return false, nil, endedForGood(nil)
	}
	told := *why
	told.Outcome = OutcomeNotSent // whatever became of that attempt
	return false, nil, &told
}
