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
	done     chan struct{} // closed when what follows is there
	session  *xmpp.Session
	err      error
	ready    bool // it has come as far as the login
}

// dialAhead begins to connect where Register has told the host already and nothing is in the way; else it returns nil.
func (c *Client) dialAhead(ctx context.Context, me account, wirePassword string) *dialAhead {
	c.mu.Lock()
	known := (c.conn == nil || c.gone != nil) && sameUser(c.me.username, me.username) && c.me.service().XMPPHost != ""
	me.told = c.me.told
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
	d.ready = true
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
		<-d.done // there cannot be a session
	}
}

// finish lets the XMPP login begin and waits for it. stale: the connection was up, and was lost
// without a word on the login. Servers and balancers drop who does not log in within a while, and
// POST /login may have taken longer than that.
func (d *dialAhead) finish() (s *xmpp.Session, stale bool, err error) {
	close(d.loggedIn)
	<-d.done
	var answered *xmpp.AuthError
	stale = d.err != nil && d.ready && !errors.As(d.err, &answered) && isTransient(d.err)
	return d.session, stale, d.err
}
