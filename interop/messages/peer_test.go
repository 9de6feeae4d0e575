package messages

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
)

// peer sends numbered messages to the bot, one after the other.
type peer struct {
	*users.User
	name, to string
	// refusals are of messages that the server had taken.
	refusals chan sdk.MessageStatusEvent

	mu sync.Mutex
	// sent is how many were sent, and taken are those that the server has taken.
	sent  int
	taken []string
}

func newPeer(u *users.User, name, to string) *peer {
	p := &peer{User: u, name: name, to: to, refusals: make(chan sdk.MessageStatusEvent, 10_000)}
	u.OnMessageStatus(func(e sdk.MessageStatusEvent) {
		if e.Status == sdk.MessageStatusRefused {
			p.refusals <- e
		}
	})
	return p
}

// numbered is an id that sorts by age.
var numbered = regexp.MustCompile(`^[a-z]+\.\d{6}$`)

// send sends the next message, and notes whether the server has taken it.
func (p *peer) send(ctx context.Context) error {
	p.mu.Lock()
	p.sent++
	id := fmt.Sprintf("%s.%06d", p.name, p.sent)
	p.mu.Unlock()
	_, err := p.SendTextMessage(ctx, p.to, "hello", sdk.WithMessageID(id))
	if err == nil {
		p.mu.Lock()
		p.taken = append(p.taken, id)
		p.mu.Unlock()
	}
	return err
}

// maxOpen is how many messages of a peer may be open: of more than 256 of all together the client
// acknowledges some that are not handled, and a crash loses them.
const maxOpen = 64

// maxBurst is how many messages a peer sends without a pause.
const maxBurst = 8

// keepSending sends bursts, with pauses between them, until ctx ends.
func (p *peer) keepSending(ctx context.Context, t testing.TB, r *record) {
	for ctx.Err() == nil {
		burst := 1 + rand.IntN(maxBurst)
		if r != nil && len(r.missing(peers{p}.confirmed())) > maxOpen {
			burst = 0
		}
		for range burst {
			// A call that has begun is not cut off by ctx.
			if err := p.send(context.WithoutCancel(ctx)); err != nil {
				t.Errorf("%s: %v", p.name, err)
				return
			}
		}
		select {
		case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
