package signal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transports are the ways to a server, with what the server then sees.
var transports = map[string]struct {
	srv  server
	want string // transport of the handshake
}{
	"websocket":                {server{}, "websocket"},
	"polling":                  {server{noDirect: true, noUpgrade: true}, "polling"},
	"polling then upgrade":     {server{noDirect: true}, "polling"},
	"polling, upgrade fails":   {server{noDirect: true, brokenProbe: true}, "polling"},
	"websocket 4":              {server{protocol: 4}, "websocket"},
	"only websocket 4":         {server{protocol: 4, noPolling: true}, "websocket"},
	"polling 4":                {server{protocol: 4, noDirect: true, noUpgrade: true}, "polling"},
	"polling then upgrade 4":   {server{protocol: 4, noDirect: true}, "polling"},
	"polling, upgrade fails 4": {server{protocol: 4, noDirect: true, brokenProbe: true}, "polling"},
}

// client is a Config with a client of its own, whose connections end with the test.
func client(t *testing.T, hs *httptest.Server) Config {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return Config{
		URL: hs.URL, AllowInsecure: true, HTTPClient: &http.Client{Transport: tr}, UserAgent: "test/1",
		MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond,
	}
}

func dial(t *testing.T, cfg Config) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel() // nothing after Dial depends on it
	c, err := Dial(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// patience is how long a test waits for what must come: for one that would hang. Nothing takes so
// long, however busy the machine.
const patience = 2 * time.Minute

// take is the next element of ch, soon.
func take[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		require.True(t, ok, "channel is closed")
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func (ev Event) String() string {
	s := ev.Name
	for _, arg := range ev.Args {
		s += " " + string(arg)
	}
	return s
}

func TestTransports(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			srv := &tc.srv
			c := dial(t, client(t, srv.start(t)))
			p := take(t, srv.peers)
			require.Equal(t, tc.want, take(t, srv.requests))
			require.Equal(t, "test/1", p.headers.Get("User-Agent"))

			p.out <- `42["id","token-1"]`
			p.out <- "42[\"smile\",\"\U0001F600 \u00e9 \u2028\"]"
			p.out <- `42["response",{"id":"abc="}]`
			p.out <- `4217["logoutweb"]` // asks for an acknowledgement
			for _, want := range []string{
				`id "token-1"`, "smile \"\U0001F600 \u00e9 \u2028\"", `response {"id":"abc="}`, "logoutweb",
			} {
				require.Equal(t, want, take(t, c.Events()).String())
			}

			require.NoError(t, c.Emit(t.Context(), "loginStatus", `{"a":"<&>`+"\U0001F600"+`"}`))
			require.Equal(t, `42["loginStatus","{\"a\":\"<&>`+"\U0001F600"+`\"}"]`, take(t, p.got))
			require.NoError(t, c.Emit(t.Context(), "none"))
			require.Equal(t, `42["none"]`, take(t, p.got))

			require.NoError(t, c.Close())
			require.Equal(t, "41", take(t, p.got))
			require.Equal(t, "1", take(t, p.got))
			require.ErrorIs(t, c.Err(), ErrClosed)
			_, open := <-c.Events()
			require.False(t, open)
		})
	}
}

// Everything still works after hours in which only pings go to and fro, although
// the caller's client has a Timeout of a second.
func TestHoursOfSilence(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tc.srv
				c := dial(t, srv.startPipes(t))
				p := take(t, srv.peers)
				began := time.Now()
				for range 3 {
					time.Sleep(time.Hour) // synthetic
					p.out <- `42["id","late"]`
					require.Equal(t, `id "late"`, take(t, c.Events()).String())
					require.NoError(t, c.Emit(t.Context(), "still"))
					for got := take(t, p.got); got != `42["still"]`; got = take(t, p.got) {
						require.Equal(t, "3", got, "the answer to a ping of Engine.IO 4")
					}
					for len(p.pings) > 0 {
						at := <-p.pings
						require.Zero(t, at.Sub(began)%(25*time.Second), "a ping each interval")
					}
				}
				require.Empty(t, srv.peers, "one session")
				require.NoError(t, c.Close())
			})
		})
	}
}

// A large packet on a slow link does not count as silence, since bytes come.
func TestLargePacketOnASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{protocol: 3, noPolling: true, mute: true, slow: true}
		c := dial(t, srv.startPipes(t))
		p := take(t, srv.peers)
		id := strings.Repeat("x", 100<<10)
		began := time.Now()
		p.out <- `42["id","` + id + `"]`
		select { // it takes longer than take waits
		case event := <-c.Events():
			require.Equal(t, `id "`+id+`"`, event.String())
		case <-time.After(10 * time.Minute):
			require.FailNow(t, "nothing came")
		}
		require.Greater(t, time.Since(began), time.Minute, "twice the interval and timeout")
		require.Empty(t, srv.peers, "one session")
		require.NoError(t, c.Close())
	})
}

func TestPingTimeout(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tc.srv
				srv.mute = true
				cfg := srv.startPipes(t)
				c := dial(t, cfg)
				take(t, srv.peers)
				began := time.Now()
				for len(srv.peers) == 0 { // until the client comes again
					require.Less(t, time.Since(began), time.Minute)
					time.Sleep(10 * time.Millisecond)
				}
				require.GreaterOrEqual(t, time.Since(began), 30*time.Second, "interval and timeout")
				require.LessOrEqual(t, time.Since(began), 32*time.Second)
				require.NoError(t, c.Err())
				require.NoError(t, c.Close())
			})
		})
	}
}

func TestReconnect(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			srv := &tc.srv
			var logs bytes.Buffer
			cfg := client(t, srv.start(t))
			cfg.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c := dial(t, cfg)
			for i := range 3 {
				p := take(t, srv.peers)
				p.out <- fmt.Sprintf(`42["id",%d]`, i)
				require.Equal(t, fmt.Sprintf("id %d", i), take(t, c.Events()).String())
				p.end()
			}
			p := take(t, srv.peers)
			// It may still go to the lost session, and then returns an error.
			for c.Emit(t.Context(), "after") != nil {
				require.NoError(t, c.Err())
			}
			require.Equal(t, `42["after"]`, take(t, p.got))
			require.NoError(t, c.Close())
			require.Contains(t, logs.String(), "connection lost")
			require.NotContains(t, logs.String(), "session/", "no session id in the log")
		})
	}
}

// A server that is away for an hour is asked again with growing pauses.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{}
		var away atomic.Bool
		var asked []time.Time
		srv.closeOnStart = func() bool {
			if away.Load() {
				asked = append(asked, time.Now())
			}
			return away.Load()
		}
		c := dial(t, srv.startPipes(t))
		p := take(t, srv.peers)
		away.Store(true)
		p.end()
		synctest.Wait() // the client has noticed
		emitted := make(chan error, 1)
		go func() { emitted <- c.Emit(context.Background(), "patient") }() // ends with the answer
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, emitted)
		require.Greater(t, len(asked), 2*3600/30, "two requests an attempt")
		require.Less(t, len(asked), 2*3600/10)
		for i := 1; i < len(asked); i++ {
			require.LessOrEqual(t, asked[i].Sub(asked[i-1]), DefaultMaxDelay)
		}
		away.Store(false)
		p = <-srv.peers // within DefaultMaxDelay
		require.NoError(t, <-emitted)
		require.Equal(t, `42["patient"]`, take(t, p.got))
		require.NoError(t, c.Close())
	})
}

// Pauses do not begin at MinDelay again after a server has accepted us and soon dropped us.
func TestServerThatDropsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &server{}
		c := dial(t, srv.startPipes(t))
		began, sessions := time.Now(), 0
		for time.Since(began) < time.Hour {
			take2 := time.After(time.Hour)
			select {
			case p := <-srv.peers:
				sessions++
				<-srv.requests
				p.end()
			case <-take2:
			}
		}
		require.Less(t, sessions, 3600/10)
		require.Greater(t, sessions, 3600/30)
		require.NoError(t, c.Close())
	})
}

func TestEndOfSession(t *testing.T) {
	t.Run("disconnect ends for good, after what came before", func(t *testing.T) {
		srv := &server{}
		c := dial(t, client(t, srv.start(t)))
		p := take(t, srv.peers)
		p.out <- `42["response",1]`
		p.out <- "41"
		<-c.done
		require.ErrorIs(t, c.Err(), ErrDisconnected)
		require.ErrorIs(t, c.Emit(t.Context(), "x"), ErrDisconnected)
		require.Equal(t, "response 1", take(t, c.Events()).String())
		_, open := <-c.Events()
		require.False(t, open)
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Err(), ErrDisconnected)
		require.ErrorIs(t, c.Emit(t.Context(), "x"), ErrClosed)
	})
	t.Run("close packet reconnects", func(t *testing.T) {
		srv := &server{noDirect: true, noUpgrade: true}
		c := dial(t, client(t, srv.start(t)))
		take(t, srv.peers).out <- "1"
		take(t, srv.peers).out <- `42["id",2]`
		require.Equal(t, "id 2", take(t, c.Events()).String())
	})
	t.Run("an error later goes on", func(t *testing.T) {
		srv := &server{}
		c := dial(t, client(t, srv.start(t)))
		p := take(t, srv.peers)
		p.out <- `44"no"`
		p.out <- `42["id",3]`
		require.Equal(t, "id 3", take(t, c.Events()).String())
	})
	t.Run("refused when it comes back", func(t *testing.T) {
		srv := &server{}
		c := dial(t, client(t, srv.start(t)))
		p := take(t, srv.peers)
		srv.mu.Lock()
		srv.first = `44"banned"`
		srv.mu.Unlock()
		p.end()
		<-c.done
		require.ErrorIs(t, c.Err(), ErrRefused)
		require.ErrorContains(t, c.Err(), "banned")
	})
}

func TestDialFails(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); w.Write([]byte(body)) }
	}
	long := strings.Repeat("x", 2<<20)
	polled := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("transport") == "websocket" {
				w.WriteHeader(http.StatusBadRequest)
			}
			w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		handler http.Handler
		want    string
	}{
		"not found":             {answer(404, "no"), "404"},
		"web page":              {answer(200, "<html>"), "malformed packet"},
		"empty":                 {answer(200, ""), "malformed packet"},
		"forbidden":             {answer(403, long), "403"},
		"no protocol known":     {answer(400, `{"code":5}`), "protocol"},
		"endless body":          {polled(long), "more than 1048576 bytes"},
		"not an open packet":    {polled("2:40"), "not an open packet"},
		"no session":            {polled(join(3, []string{`0{"pingInterval":25000}`})), "without a session"},
		"open of wrong types":   {polled(join(3, []string{`0{"sid":[],"upgrades":1.5}`})), "without a session"},
		"length lies":           {polled(`99:0{"sid":"a"}`), "payload is cut"},
		"length huge":           {polled(`99999999999999999999:0`), "payload length"},
		"length negative":       {polled(`-1:0`), "payload length"},
		"length within a smile": {polled("1:\U0001F600"), "payload is cut"},
		"not UTF-8":             {polled("1:\xff"), "UTF-8"},
		"redirect for ever": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		}), "redirects"},
		"refused":       {(&server{first: `44"Invalid namespace"`}).prepare(), "Invalid namespace"},
		"refused 4":     {(&server{protocol: 4, first: `44{"message":"not you"}`}).prepare(), "not you"},
		"disconnected":  {(&server{first: "41"}).prepare(), "disconnected"},
		"closed":        {(&server{first: "1", noDirect: true, noUpgrade: true}).prepare(), "closed by the server"},
		"100 MiB frame": {(&server{first: "4" + strings.Repeat("x", 100<<20)}).prepare(), "read limited"},
		"2 MiB by polls": {
			(&server{first: "4" + long, noDirect: true, noUpgrade: true}).prepare(), "more than 1048576",
		},
		// Later answers have nothing else.
		"nothing but open": {polled(`12:0{"sid":"a"}`), "deadline"},
		"other namespace":  {(&server{first: "40/admin,"}).prepare(), "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			hs := httptest.NewServer(tc.handler)
			defer hs.Close()
			if s, ok := tc.handler.(*server); ok {
				defer s.stop()
			}
			cfg := client(t, hs)
			if tc.want == "deadline" {
				cfg.DialTimeout = 100 * time.Millisecond
			}
			c, err := Dial(t.Context(), cfg)
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, c)
			require.NotContains(t, err.Error(), "EIO=", "no query in an error")
			require.Less(t, len(err.Error()), 1000)
		})
	}
}

// A server that accepts the connection and then stays silent, at each step.
func TestSilentServer(t *testing.T) {
	silent := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, handler := range map[string]http.Handler{
		"request":             silent,
		"namespace":           (&server{first: "6"}).prepare(),
		"namespace, polling":  (&server{first: "6", noDirect: true, noUpgrade: true}).prepare(),
		"namespace, upgraded": (&server{first: "6", noDirect: true}).prepare(),
		"namespace, 4":        (&server{first: "6", protocol: 4}).prepare(),
	} {
		t.Run(name, func(t *testing.T) {
			hs := httptest.NewServer(handler)
			defer hs.Close()
			if s, ok := handler.(*server); ok {
				defer s.stop()
			}
			cfg := client(t, hs)
			cfg.DialTimeout = 50 * time.Millisecond
			_, err := Dial(t.Context(), cfg)
			require.ErrorIs(t, err, context.DeadlineExceeded)

			cfg.DialTimeout = 0
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			_, err = Dial(ctx, cfg)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// Packets that are not for us, or not valid, do no harm.
func TestGarbageIsIgnored(t *testing.T) {
	deep := strings.Repeat("[", 200_000)
	garbage := []string{
		"", "7", "9x", "x", "\x00\x01", "b4AAEC", "0{}", "3", "3x", "5", "6", "4", "40", "45", "49", "4x", "4/", "4/,",
		"42/", "42/admin",
		`42/admin,["id","other"]`, `42`, `42{}`, `42[]`, `42[1,2]`, `42[null]`, `42[""]`, `42["id"`, `42["id",]`,
		`42["id"] ` + "x", `42["id"]]`,
		`42["id" "x"]`, `42["id",`, `42[["id"]]`, `42"id"`, `42nonsense`, "42" + deep, `42["id",` + deep, `42["id"` +
			strings.Repeat(",1", 17) + "]",
		`451-["id",{"_placeholder":true,` +
			`"num":0}]`, "binary:\x04abc", `43[1]`, `431[]`, `461-1[{}]`, `41/admin`, `41/admin,`, `44/admin,"no"`, "2",
		"2x",
		"42" + strings.Repeat("[\"id\",", 1000), `4299999999999999999999`,
	}
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			srv := &tc.srv
			c := dial(t, client(t, srv.start(t)))
			p := take(t, srv.peers)
			for _, packet := range garbage {
				if packet == "" && strings.HasPrefix(name, "polling") {
					continue // alone it would be an empty payload, which breaks the framing
				}
				p.out <- packet
			}
			p.out <- `42/,7["id","right"]`
			require.Equal(t, `id "right"`, take(t, c.Events()).String())
			require.Empty(t, srv.peers, "the session has lasted")
		})
	}
}

// Malformed framing ends the session, and the next one works.
func TestBrokenFraming(t *testing.T) {
	for name, tc := range map[string]struct {
		srv    server
		packet string
	}{
		"100 MiB frame":    {server{}, "4" + strings.Repeat("x", 100<<20)},
		"2 MiB payload":    {server{noDirect: true, noUpgrade: true}, "4" + strings.Repeat("x", 2<<20)},
		"cut payload":      {server{noDirect: true, noUpgrade: true}, `raw:9:42["id"`},
		"empty payload":    {server{noDirect: true, noUpgrade: true}, "raw:"},
		"no length":        {server{noDirect: true, noUpgrade: true}, "raw:hello"},
		"payload not text": {server{noDirect: true, noUpgrade: true}, "raw:\x00\x01\xff4"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &tc.srv
			c := dial(t, client(t, srv.start(t)))
			take(t, srv.peers).out <- tc.packet
			take(t, srv.peers).out <- `42["id",2]`
			require.Equal(t, "id 2", take(t, c.Events()).String())
		})
	}
}

func TestSlowReader(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := &tc.srv
				c := dial(t, srv.startPipes(t))
				p := take(t, srv.peers)
				p.out <- `42["response","kept"]`
				for i := range 1000 { // many times maxWaiting
					p.out <- fmt.Sprintf(`42["id",%d]`, i)
				}
				// A reader that does not read must not hold up the connection.
				require.NoError(t, c.Emit(t.Context(), "alive"))
				require.Equal(t, `42["alive"]`, take(t, p.got))
				p.out <- `42["logoutweb"]`
				synctest.Wait()
				var got []string
				for len(got) == 0 || got[len(got)-1] != "logoutweb" {
					got = append(got, take(t, c.Events()).String())
				}
				require.LessOrEqual(t, len(got), maxWaiting+1)
				require.Equal(t, `response "kept"`, got[0])
				require.Equal(t, "id 999", got[len(got)-2])
				last := -1
				for _, s := range got[1 : len(got)-1] {
					var id int
					_, err := fmt.Sscanf(s, "id %d", &id)
					require.NoError(t, err)
					require.Greater(t, id, last, "in order")
					last = id
				}
				require.NoError(t, c.Close())
			})
		})
	}
}

// The client does not poll as fast as a server that answers each poll at once, with nothing.
func TestIdlePolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		var polls atomic.Int64
		hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch q := r.URL.Query(); {
			case q.Get("transport") == "websocket":
				w.WriteHeader(http.StatusBadRequest)
			case q.Get("sid") == "":
				io.WriteString(w, `12:0{"sid":"a"}`)
			default:
				polls.Add(1)
				io.WriteString(w, "1:6")
			}
		})}
		served := make(chan struct{})
		go func() { defer close(served); hs.Serve(network) }() // ends with hs.Close
		tr := &http.Transport{DialContext: network.dial}
		_, err := Dial(
			t.Context(), Config{URL: "http://h.test", AllowInsecure: true, HTTPClient: &http.Client{Transport: tr}},
		)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		tr.CloseIdleConnections()
		require.NoError(t, hs.Close())
		<-served
		require.InDelta(t, float64(DefaultDialTimeout/idlePause), float64(polls.Load()), 2)
	})
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	big := json.RawMessage(strings.Repeat("x", 1<<20))
	require.Zero(t, q.push(Event{Name: "keep"}))
	for range 100 {
		q.push(Event{Name: "big", Args: []json.RawMessage{big}})
		require.LessOrEqual(t, q.bytes, maxWaitingBytes)
	}
	ev, ok, _ := q.pop()
	require.True(t, ok)
	require.Equal(t, "keep", ev.Name, "events of other names are not pushed out")
	for i := range 1000 {
		q.push(Event{Name: fmt.Sprint("name", i)})
		require.LessOrEqual(t, len(q.events), maxWaiting)
	}
	ev, _, _ = q.pop()
	require.Equal(t, fmt.Sprint("name", 1000-maxWaiting), ev.Name)
	for ok {
		_, ok, _ = q.pop()
	}
	require.Zero(t, q.bytes)
}

func TestURLs(t *testing.T) {
	for _, tc := range []struct {
		url      string
		insecure bool
		want     string // endpoint, or a part of the error
	}{
		{"https://h.example", false, "https://h.example/socket.io/"},
		{"wss://h.example/", false, "https://h.example/socket.io/"},
		{"ws://h.example:1234", true, "http://h.example:1234/socket.io/"},
		{"http://[::1]:80/socket.io/", true, "http://[::1]:80/socket.io/"},
		{"https://h.example/prefix/socket.io/?a=b#f", false, "https://h.example/prefix/socket.io/?a=b"},
		{"http://h.example", false, "unencrypted"},
		{"ws://h.example", false, "unencrypted"},
		{"https://h.example/other", false, "path"},
		{"ftp://h.example", true, "scheme"},
		{"h.example:443", true, "scheme"},
		{"https://", true, "no host"},
		{"", true, "scheme"},
		{"https://h.example/?secret=%zz\x7f", true, "URL"},
	} {
		u, err := parseURL(tc.url, tc.insecure)
		if err != nil {
			require.ErrorContains(t, err, tc.want, tc.url)
			require.NotContains(t, err.Error(), "secret")
			require.Equal(t, tc.want == "unencrypted", errors.Is(err, ErrInsecure), tc.url)
			continue
		}
		require.Equal(t, tc.want, u.String(), tc.url)
	}
	_, err := Dial(t.Context(), Config{URL: "ws://h.example"})
	require.ErrorIs(t, err, ErrInsecure)
}

func TestRedirectToPlainIsRefused(t *testing.T) {
	plain := (&server{}).start(t)
	hs := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/socket.io/?EIO=3", http.StatusTemporaryRedirect))
	defer hs.Close()
	_, err := Dial(t.Context(), Config{URL: hs.URL, HTTPClient: hs.Client()})
	require.ErrorIs(t, err, ErrInsecure)

	asked := false
	hs.Client().CheckRedirect = func(*http.Request, []*http.Request) error {
		asked = true
		return errors.New("not there")
	}
	_, err = Dial(t.Context(), Config{URL: hs.URL, HTTPClient: hs.Client(), AllowInsecure: true})
	require.ErrorContains(t, err, "not there", "the caller's rule counts too")
	require.True(t, asked)
}

// What was to be delivered by POST is not delivered when a redirect makes a GET of it, whatever
// answers that.
func TestRedirectThatChangesTheMethod(t *testing.T) {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, "/elsewhere", http.StatusSeeOther)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer hs.Close()
	d, err := newDialer(client(t, hs))
	require.NoError(t, err)
	p := &polling{d: d, hs: handshake{protocol: 3}, posting: make(chan struct{}, 1), ctx: t.Context()}
	require.ErrorContains(t, p.write(t.Context(), "4packet"), "makes a GET of a POST")
}

func TestTLS(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			srv := tc.srv.prepare()
			hs := httptest.NewUnstartedServer(srv)
			hs.EnableHTTP2 = true
			// The server would log the refused handshake.
			hs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			hs.StartTLS()
			defer hs.Close()
			defer srv.stop()
			c := dial(t, Config{URL: strings.Replace(hs.URL, "https", "wss", 1), HTTPClient: hs.Client()})
			take(t, srv.peers).out <- `42["id",1]`
			require.Equal(t, "id 1", take(t, c.Events()).String())
			require.NoError(t, c.Close())

			_, err := Dial(t.Context(), Config{URL: hs.URL, HTTPClient: nil})
			require.ErrorContains(t, err, "certificate")
		})
	}
}

func TestCookieOfTheHandshake(t *testing.T) {
	for _, noUpgrade := range []bool{true, false} {
		srv := &server{noDirect: true, noUpgrade: noUpgrade, cookie: "node-7"}
		c := dial(t, client(t, srv.start(t)))
		take(t, srv.peers).out <- `42["id",1]`
		require.Equal(t, "id 1", take(t, c.Events()).String())
	}
}

func TestOwnClient(t *testing.T) {
	srv := &server{noDirect: true, noUpgrade: true}
	hs := srv.start(t)
	c := dial(t, Config{URL: hs.URL, AllowInsecure: true})
	take(t, srv.peers).out <- `42["id",1]`
	require.Equal(t, "id 1", take(t, c.Events()).String())
}

func TestQueryIsKept(t *testing.T) {
	got := make(chan string, 10)
	hs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.URL.RawQuery }))
	defer hs.Close()
	cfg := client(t, hs)
	cfg.URL += "/?app=1"
	_, err := Dial(t.Context(), cfg)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "app=")
	require.Equal(t, "EIO=3&app=1&transport=websocket", <-got)
	require.Regexp(t, "^EIO=3&app=1&b64=1&t=[0-9a-z]+&transport=polling$", <-got)
}

func TestClose(t *testing.T) {
	for name, tc := range transports {
		t.Run(name, func(t *testing.T) {
			srv := &tc.srv
			c := dial(t, client(t, srv.start(t)))
			p := take(t, srv.peers)
			for range 100 {
				p.out <- `42["id"]`
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { require.NoError(t, c.Close()) })
				wg.Go(func() { _ = c.Emit(t.Context(), "racing") })
			}
			wg.Wait()
			require.NoError(t, c.Close())
			<-c.done
			require.ErrorIs(t, c.Err(), ErrClosed)
			require.ErrorIs(t, c.Emit(t.Context(), "late"), ErrClosed)
			for range c.Events() { // at most the one that was on its way; and it ends
			}
		})
	}
}

// The server is gone and the client is between two attempts, or within one.
func TestCloseWithoutConnection(t *testing.T) {
	for _, hang := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := &server{}
			var away atomic.Bool
			release := make(chan struct{})
			srv.closeOnStart = func() bool {
				if away.Load() && hang {
					<-release
				}
				return away.Load()
			}
			c := dial(t, srv.startPipes(t))
			away.Store(true)
			take(t, srv.peers).end()
			time.Sleep(10 * time.Minute)

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, c.Emit(ctx, "nowhere"), context.DeadlineExceeded)
			emitted := make(chan error, 1)
			go func() { emitted <- c.Emit(context.Background(), "nowhere") }() // ends with Close
			synctest.Wait()
			began := time.Now()
			require.NoError(t, c.Close())
			require.LessOrEqual(t, time.Since(began), byeTimeout)
			require.ErrorIs(t, <-emitted, ErrClosed)
			close(release)
		})
	}
}

func TestEmitRefusesWhatIsNotJSON(t *testing.T) {
	srv := &server{}
	c := dial(t, client(t, srv.start(t)))
	require.Error(t, c.Emit(t.Context(), "x", make(chan int)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Emit(ended, "x"), context.Canceled)
	require.NoError(t, c.Emit(t.Context(), "y"), "and the connection is whole")
	require.Equal(t, `42["y"]`, take(t, take(t, srv.peers).got))
}
