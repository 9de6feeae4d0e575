package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	// resumeTime is how long the service keeps a lost stream.
	resumeTime = 20 * time.Second
	// backTime is how long all sessions may take to be back when the service is well.
	backTime = 2 * time.Minute
	// roundTime is when a part of a round counts as stuck.
	roundTime = 10 * time.Minute

	// More at once, and on a slow machine each takes longer than a login may: none would ever
	// succeed.
	loginsAtOnce = 12
	// callTime is Config.RequestTimeout.
	callTime = 5 * time.Second
	// loginTime bounds a Connect, with its wait for its turn.
	loginTime = 10 * time.Second
)

// stage is a season: one service, its sessions, and the outcomes of their calls.
type stage struct {
	number int
	book   *book
	srv    *sdktest.Server
	// limit is shared by all clients.
	limit   *sdk.DialLimit
	players []*player

	feedback, reports, deletions *claims

	mu sync.Mutex
	// accounts are by user, including those that have left.
	accounts map[string]*account
	// gone are the users whose deletion was acknowledged.
	gone map[string]bool
}

// playSeason plays rounds until over ends, or a check fails. False: something is stuck.
func playSeason(over context.Context, plan Plan, number int, b *book, stdout io.Writer) bool {
	st, err := newStage(plan, number, b)
	if err != nil {
		b.fail(violation{where: fmt.Sprintf("season %d", number), what: "no stage", held: err.Error()})
		return true
	}
	for n := 1; n <= roundsOfSeason && (n == 1 || over.Err() == nil) && !b.failed(); n++ {
		round := plan.Round(number, n)
		begin := time.Now()
		if !st.playRound(round) {
			// What is stuck cannot be ended.
			return false
		}
		fmt.Fprintf(stdout, "round %d.%d  plan %s  %d steps, %d faults  %.1fs\n",
			number, n, round.Hash(), round.steps(), len(round.Faults), time.Since(begin).Seconds())
	}
	return st.end()
}

func newStage(plan Plan, number int, b *book) (*stage, error) {
	season := plan.Season(number)
	st := &stage{
		number: number, book: b, limit: sdk.NewDialLimit(0, loginsAtOnce),
		feedback: newClaims(), reports: newClaims(), deletions: newClaims(),
		accounts: map[string]*account{}, gone: map[string]bool{},
	}
	var err error
	if st.srv, err = startService(season.Trial); err != nil {
		return nil, err
	}
	for i, actor := range season.Actors {
		p := &player{stage: st, number: i, label: label(i), actor: actor}
		if err := p.begin(); err != nil {
			st.srv.Close()
			return nil, err
		}
		st.players = append(st.players, p)
	}
	st.welcome()
	return st, nil
}

// welcome logs all players in, some at a time.
func (st *stage) welcome() {
	turn := make(chan struct{}, loginsAtOnce)
	st.all(func(p *player) {
		turn <- struct{}{}
		p.logIn(fmt.Sprintf("%d.0/%s", st.number, p.label), p.current())
		<-turn
	})
}

// startService listens where the system gives no port to outgoing connections: one of those could
// sit on the service's own when it restarts.
func startService(trial bool) (srv *sdktest.Server, err error) {
	for range 20 {
		at := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(10000+rand.IntN(22000))) }
		srv, err = sdktest.Start(sdktest.Options{
			Listen: at(), ListenXMPP: at(), ListenXMPPS: at(), Trial: trial, ResumeTimeout: resumeTime,
			// else each change would be told to all, and that is what the machine would do most of
			// the time
			NoContacts: true,
		})
		if err == nil {
			return srv, nil
		}
	}
	return nil, err
}

func (st *stage) config(a Actor) sdk.Config {
	cfg := st.srv.Config()
	switch a.Way {
	case "starttls":
		cfg.Transport = sdk.TransportTCP
	case "tls":
		cfg.Transport = sdk.TransportTCP
		cfg.XMPPAddress = "xmpps://" + st.srv.XMPPSAddress()
	}
	cfg.RequestTimeout = callTime
	cfg.KeepAlive = sdk.KeepAlivePolicy{Interval: time.Second, Timeout: 3 * time.Second}
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 20 * time.Millisecond, MaxDelay: 300 * time.Millisecond}
	cfg.Dials = st.limit
	return cfg
}

func (st *stage) jid(user string) string { return user + "@" + st.srv.Domain() }

func (st *stage) join(a *account) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.accounts[a.user] = a
}

// account is the account with this JID; nil: there is none.
func (st *stage) account(jid string) *account {
	user, _, _ := strings.Cut(jid, "@")
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.accounts[user]
}

func (st *stage) left(user string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.gone[user] = true
}

// push has the service push number n to a user, and tells whether there was a session to push it
// to.
func (st *stage) push(user string, n int) bool {
	got := st.srv.Push(user, push(n, st.srv.Domain(), user)) > 0
	if got {
		st.book.seen("numbered push sent")
	}
	return got
}

// pause waits.
func (st *stage) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// playRound plays a round, ends its faults, and compares. False: something is stuck.
func (st *stage) playRound(round Round) bool {
	at := fmt.Sprintf("%d.%d", round.Season, round.Number)
	ok := st.inTime(at+", calls", func() {
		weather := startWeather(st, round)
		st.all(func(p *player) { p.play(round, weather.step) })
		weather.end()
	}) && st.inTime(at+", settling", func() {
		st.back(at, (*player).settle)
		st.checkComplete(at)
		st.settleService(at)
	})
	return ok
}

// settleService compares what the service holds. Once it has restarted it does nothing any more
// that was asked for before.
func (st *stage) settleService(at string) {
	if err := st.srv.Restart(); err != nil {
		st.book.fail(violation{where: at, what: "the service does not come back", held: err.Error()})
		return
	}
	st.checkHeld(at)
	st.back(at, (*player).comeBack)
	st.checkOnce(at)
	st.all((*player).endRound)
}

// back lets all sessions come back.
func (st *stage) back(at string, how func(*player, context.Context, string) error) {
	ctx, cancel := context.WithTimeout(context.Background(), backTime)
	defer cancel()
	st.all(func(p *player) {
		where := at + "/" + p.label + "/settling"
		if err := how(p, ctx, where); err != nil {
			st.book.fail(violation{where: where, what: "not well again, though the service is", held: err.Error()})
		}
		st.book.checked("back when the service is well")
	})
}

// all lets all players do something at once, and waits for them.
func (st *stage) all(do func(*player)) {
	var wg sync.WaitGroup
	for _, p := range st.players {
		wg.Go(func() { do(p) })
	}
	wg.Wait()
}

// inTime reports a part of a round that never ends, with the stacks of all goroutines.
func (st *stage) inTime(what string, do func()) bool {
	done := make(chan struct{})
	// inTime owns it. It ends with do. When that is stuck, the program ends soon.
	go func() {
		defer close(done)
		do()
	}()
	timer := time.NewTimer(roundTime)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		st.book.fail(
			violation{
				where: what, what: "something is stuck",
				held: fmt.Sprintf("nothing after %v; the goroutines are above", roundTime),
			},
		)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		return false
	}
}

// end closes all clients, half of them after a Logout.
func (st *stage) end() bool {
	at := fmt.Sprintf("season %d, end", st.number)
	return st.inTime(at, func() {
		st.all(func(p *player) {
			l := p.current()
			if p.number%2 == 0 {
				p.logout(l, at+"/"+p.label, Call{})
			}
			p.closeClient(at+"/"+p.label, l)
		})
		st.srv.Close()
	})
}
