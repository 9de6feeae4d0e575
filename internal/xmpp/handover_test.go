package xmpp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// An idle session goes on in a new goroutine whenever something has come. A busy one does so at
// most once a second.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst = 100
		more := make(chan int)
		cfg := pipeServer(t, func(p *peer) {
			p.Login()
			for n := range more {
				for range n {
					p.Send(scripted.Online)
				}
			}
		})
		came := 0
		cfg.Handle = func(Event) { came++ }
		s, err := Dial(soon(t), cfg)
		require.NoError(t, err)
		handedOver := 0
		ended := make(chan error)
		go func() {
			for {
				err := s.Serve()
				if err != ErrHandOver {
					ended <- err
					return
				}
				handedOver++
			}
		}()
		for i := range 3 {
			more <- 1
			synctest.Wait()
			require.Equal(t, i+1, handedOver, "after each of few")
		}
		more <- burst
		synctest.Wait()
		require.Equal(t, burst+3, came, "nothing is lost in between")
		require.Equal(t, handOversAhead+1, handedOver, "that is enough for now")
		time.Sleep(10 * handOverEvery)
		more <- burst
		synctest.Wait()
		require.Equal(t, 2*burst+3, came)
		require.Equal(t, handOversAhead+1+10, handedOver)
		close(more)
		require.ErrorContains(t, <-ended, "connection lost")
		require.ErrorIs(t, s.Serve(), errServedTwice)
		_ = s.Close(done())
	})
}
