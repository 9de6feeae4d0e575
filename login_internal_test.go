package sdk

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Who waits longest is next. One that asks again and again does not keep the others out, and one
// that gives up is passed over.
func TestLoginIsLockedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Client{changing: make(chan struct{}, 1)}
		require.NoError(t, c.lockLogin(t.Context()))
		order := make(chan string, 10)
		wait := func(ctx context.Context, name string) {
			go func() {
				if err := c.lockLogin(ctx); err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					assert.True(t, unsent.Is(err))
					order <- name + " gave up"
					return
				}
				order <- name
				c.unlockLogin()
			}()
			synctest.Wait()
		}
		impatient, giveUp := context.WithCancel(t.Context())
		wait(t.Context(), "first")
		wait(impatient, "second")
		wait(t.Context(), "third")
		giveUp()
		synctest.Wait()

		c.unlockLogin()
		require.NoError(t, c.lockLogin(t.Context())) // again
		order <- "again"
		c.unlockLogin()
		for _, want := range []string{"second gave up", "first", "third", "again"} {
			require.Equal(t, want, <-order)
		}
	})
}

// A QR session that the phone ends while it ends here is ended once: who comes second finds nothing
// to end, also not a login that has come since.
func TestQRSessionEndsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		require.NoError(t, err)
		var told []ConnectionStatus
		c.OnConnection(func(e ConnectionEvent) { told = append(told, e.Status) })
		alice, bob := c.newLogin("alice", "p", new(QRLogin)), c.newLogin("bob", "p", nil)
		c.setLogin(alice)
		c.tell(ConnectionEvent{Status: StatusConnected})
		alice.loggedOut()
		c.setLogin(bob)
		c.tell(ConnectionEvent{Status: StatusConnected})
		// Whether the turn comes first or the news of the end is chance.
		for range 100 {
			alice.loggedOut()
		}
		synctest.Wait()
		want := []ConnectionStatus{StatusConnected, StatusLoggedOut, StatusDisconnected, StatusConnected}
		require.Equal(t, want, told)
		require.Equal(t, bob, c.currentLogin())
		require.NoError(t, c.Close())
		synctest.Wait()
	})
}

// A call that has begun with a login goes on with the one that takes its place for the same user,
// and waits for that meanwhile. With another one it ends.
func TestCallGoesOnWithTheNextLogin(t *testing.T) {
	c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
	first := c.newLogin("alice", "p", nil)
	first.begin(1)
	require.True(t, first.install(nil))
	first.keeping.Done() // nobody keeps it
	c.setLogin(first)
	up, trying := first.giveWay()
	require.False(t, up)
	require.True(t, trying)
	_, err := first.open()
	require.ErrorIs(t, err, ErrNotConnected, "the next login is not there yet")

	next := c.newLogin("alice", "p", nil)
	next.begin(1)
	next.session = new(xmpp.Session)
	c.setLogin(next)
	s, err := first.open()
	require.NoError(t, err)
	require.Same(t, next.session, s)
	next.session = nil

	other := c.newLogin("bob", "p", nil)
	other.begin(2)
	c.setLogin(other)
	_, err = first.open()
	require.ErrorIs(t, err, ErrNotRegistered)
	c.setLogin(nil)
	_, err = first.open()
	require.ErrorIs(t, err, ErrNotRegistered)
}
