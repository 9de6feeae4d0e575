package sdk

import (
	"context"
	"errors"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// dialAhead is an XMPP connection that is made while POST /login is under way. Its own login waits until that has succeeded.
type dialAhead struct {
	*connection
	loggedIn chan struct{} // closed when the service has agreed
	done     chan struct{} // closed when session and err are there
	session  *xmpp.Session
	err      error
}

// dialAhead begins to connect where Register has told the host already and nothing is in the way; else it returns nil.
func (c *Client) dialAhead(ctx context.Context, me account, wirePassword string) *dialAhead {
	c.mu.Lock()
	known := c.conn == nil && c.me.username == me.username && c.me.service().XMPPHost != ""
	me.told, me.registered = c.me.told, true
	c.mu.Unlock()
	if !known {
		return nil
	}
	d := &dialAhead{connection: c.newConnection(me), loggedIn: make(chan struct{}), done: make(chan struct{})}
	go func() { // owner: d; ends with the attempt, which giveUp and finish wait for
		defer close(d.done)
		ctx := d.life.begin(ctx, 0)
		defer ctx.over()
		d.session, d.err = d.dial(ctx, wirePassword, nil, d.await)
	}()
	return d
}

var errNotLoggedIn = errors.New("login refused")

func (d *dialAhead) await(ctx context.Context) error {
	select {
	case <-d.loggedIn:
		return nil
	case <-ctx.Done():
		if d.life.ended() {
			return errNotLoggedIn
		}
		return ctx.Err()
	}
}

// giveUp drops the connection: the service has refused the login.
func (d *dialAhead) giveUp() {
	if d != nil {
		d.cancel()
		<-d.done // there can't be a session
	}
}

// finish lets the XMPP login begin and waits for it.
func (d *dialAhead) finish() (*xmpp.Session, error) {
	close(d.loggedIn)
	<-d.done
	return d.session, d.err
}
