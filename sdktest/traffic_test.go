package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// seen waits for the next thing that is told.
func seen(t *testing.T, traffic <-chan Traffic) Traffic {
	t.Helper()
	select {
	case got, open := <-traffic:
		require.True(t, open, "the channel is closed")
		return got
	case <-time.After(patience):
		require.FailNow(t, "nothing was told")
		return Traffic{}
	}
}

// closed waits until a channel is closed.
func closed(t *testing.T, traffic <-chan Traffic) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case _, open := <-traffic:
			if !open {
				return
			}
		case <-late:
			require.FailNow(t, "not closed")
		}
	}
}

func TestWatch(t *testing.T) {
	s := trial(t)
	traffic := s.Watch(t.Context())
	before := time.Now()
	c := register(t, s, "alice")
	asked, answered := seen(t, traffic), seen(t, traffic)
	require.WithinRange(t, asked.Time, before, time.Now())
	require.Equal(t, Traffic{
		Time: asked.Time, Kind: "rest", Method: "POST", Path: "sandbox/register",
		Text: `{"deviceId":"5","deviceType":"web","forceRegister":true,"licenseKey":"•••","metaData":{},"mobileNumber":"alice","userIdentifier":"alice"}`,
	}, asked)
	require.Equal(t, Traffic{
		Time: answered.Time, Kind: "rest", ToClient: true, Method: "POST", Path: "sandbox/register", Status: 200,
		Text: `{"data":"•••","message":"Success","status":200}`,
	}, answered)

	rest(t, s, "GET", "/contacts/vcard?userId=alice%26", c.Token, nil)
	asked, answered = seen(t, traffic), seen(t, traffic)
	require.Equal(t, "alice", asked.User)
	require.Equal(t, "userId=alice&", asked.Query)
	require.Empty(t, asked.Text)
	require.Equal(t, "alice", answered.User)

	x := connect(t, s, c, "Web-1")
	var login []string
	var last Traffic
	for last.Kind != "session" {
		last = seen(t, traffic)
		login = append(login, last.Text)
	}
	require.Equal(t, Traffic{Time: last.Time, Kind: "session", User: "alice", Resource: "Web-1", Text: "connected"}, last)
	require.Contains(t, login[0], `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing"`)
	require.Contains(t, login, `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">•••</auth>`)
	require.Contains(t, login, `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)

	x.settle()
	for last.Kind != "xmpp" || last.ToClient || !strings.Contains(last.Text, "urn:xmpp:ping") {
		last = seen(t, traffic)
	}
	require.Equal(t, "Web-1", last.Resource)
	pong := seen(t, traffic)
	require.True(t, pong.ToClient)
	require.Contains(t, pong.Text, `type="result"`)

	s.DropConnections()
	for last.Text != "disconnected" {
		last = seen(t, traffic)
	}
	require.Equal(t, "alice", last.User)
	require.Empty(t, s.Resources("alice"), "it has gone when it is told")
	require.NoError(t, s.Restart())
	register(t, s, "bob")
	require.Contains(t, seen(t, traffic).Text, "bob")
}

// What was not answered is told too, and what is no JSON is not shown.
func TestWatchWhatGoesWrong(t *testing.T) {
	s := trial(t)
	traffic := s.Watch(t.Context())
	s.SetFault(StepREST, FaultClose)
	_, err := httpClient(t, s).Post(s.URL()+"/login", "application/json", strings.NewReader(`{"password":"secret`))
	require.Error(t, err)
	require.Equal(t, "(19 bytes that are no JSON)", seen(t, traffic).Text)
	cut := seen(t, traffic)
	require.Zero(t, cut.Status)
	require.Equal(t, "(no answer)", cut.Text)

	s.SetFault(StepREST, FaultMalformed)
	resp, err := httpClient(t, s).Get(s.ConfigURL())
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	seen(t, traffic)
	require.Equal(t, "(56 bytes of text/html)", seen(t, traffic).Text)

	s.ClearFaults()
	s.FailNext("login", 503, "later")
	require.Equal(t, 503, rest(t, s, "POST", "/login", "", map[string]any{}).HTTP)
	seen(t, traffic)
	failed := seen(t, traffic)
	require.Equal(t, 503, failed.Status)
	require.Equal(t, `{"message":"later","status":503}`, failed.Text)
}

// Long ones are cut, between characters.
func TestWatchIsBounded(t *testing.T) {
	f := newFeed()
	defer f.end()
	traffic := f.watch(t.Context())
	f.tell(Traffic{Text: "x" + strings.Repeat("é", maxShown)})
	got := seen(t, traffic)
	require.Equal(t, "x"+strings.Repeat("é", maxShown/2-1), got.Text)
	require.Equal(t, 2*maxShown+1-len(got.Text), got.Left)
}

// A watcher that looks away loses the oldest and is told how many, each time.
func TestSlowWatcher(t *testing.T) {
	f := newFeed()
	defer f.end()
	traffic := f.watch(t.Context())
	n, next, lost := 0, 0, 0
	for range 3 {
		for range 2 * maxUnseen {
			f.tell(Traffic{Text: strconv.Itoa(n)})
			n++
		}
		for next < n {
			got := seen(t, traffic)
			next += got.Missed
			lost += got.Missed
			require.Equal(t, strconv.Itoa(next), got.Text)
			next++
		}
	}
	require.GreaterOrEqual(t, lost, 3*(maxUnseen-1))
	require.LessOrEqual(t, lost, 3*maxUnseen)
}

func TestWatchEnds(t *testing.T) {
	s := trial(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, idle, busy := s.Watch(ctx), s.Watch(t.Context()), s.Watch(t.Context())
	cancel()
	closed(t, first)
	register(t, s, "alice")
	seen(t, busy) // and the answer waits
	s.Close()
	closed(t, idle)
	closed(t, busy)
	closed(t, s.Watch(t.Context()))
}

func TestManyWatchersAtOnce(t *testing.T) {
	s := trial(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			traffic := s.Watch(ctx)
			register(t, s, fmt.Sprint("user-", i))
			seen(t, traffic)
			cancel()
			closed(t, traffic)
		})
	}
	wg.Wait()
}

// Nothing that lets somebody in is shown, whatever clients do.
func TestWatchHidesSecrets(t *testing.T) {
	for _, o := range []Options{{Trial: true}, {Trial: false}} {
		for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
			t.Run(fmt.Sprintf("trial %t %s", o.Trial, transport), func(t *testing.T) {
				s := New(t, o)
				ctx, cancel := context.WithCancel(t.Context())
				all, told := collect(s.Watch(ctx), "loginStatus")
				secrets := secretive(t, s, transport)
				for _, r := range s.Requests() { // what clients have sent to be let in
					secrets = append(secrets, r.Header.Get("Authorization"))
					for _, m := range regexp.MustCompile(`sig=([0-9a-f]+)|licenseKey=([^&]+)|socket_id="([^"]+)`).FindAllStringSubmatch(r.Query+r.Stanza, -1) {
						secrets = append(secrets, m[1:]...)
					}
				}
				<-told // it is the last that comes, and is shown when the phone has it already
				cancel()
				text := all()
				for _, kind := range []string{`"rest"`, `"xmpp"`, `"signal"`, `"session"`, "storage/", "loginStatus", `[\"response\", \"•••\"]`} {
					require.Contains(t, text, kind)
				}
				for _, secret := range secrets {
					if secret != "" {
						require.NotContains(t, text, secret)
					}
				}
			})
		}
	}
}

// collect takes everything; text waits for the end and gives it as JSON. told is closed when
// something with want in it has come, at the end at the latest.
func collect(traffic <-chan Traffic, want string) (text func() string, told <-chan struct{}) {
	var all []string
	done, seen := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(seen) })
	go func() { // ends when the channel is closed
		defer close(done)
		defer once()
		for one := range traffic {
			raw, err := json.Marshal(one)
			if err != nil {
				raw = []byte(err.Error())
			}
			all = append(all, string(raw))
			if strings.Contains(string(raw), want) {
				once()
			}
		}
	}()
	return func() string {
		<-done
		return strings.Join(all, "\n")
	}, seen
}

// secretive does all that needs passwords and tokens, and returns those that it knows.
func secretive(t *testing.T, s *Server, transport sdk.Transport) (secrets []string) {
	t.Helper()
	ctx := t.Context()
	client := func() *sdk.Client {
		cfg := s.Config()
		cfg.Transport = transport
		c, err := sdk.New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	a := client()
	alice, err := a.Register(ctx, "alice")
	require.NoError(t, err)
	for _, names := range [][]string{{"PLAIN"}, mechanismsFor(s.opts.Trial)} {
		s.SetMechanisms(names...)
		_, err = a.Connect(ctx, alice.Data.Username, alice.Data.Password)
		require.NoError(t, err)
		s.ExpireTokens()
		_, err = a.SetUserProfile(ctx, sdk.ProfileUpdate{
			Name: "Alice", Email: "a@example.com", Image: sdk.ImageReader("a.png", "image/png", strings.NewReader("png"), 3),
		})
		require.NoError(t, err)
		_, err = a.Logout(ctx)
		require.NoError(t, err)
		alice, err = a.Register(ctx, "alice")
		require.NoError(t, err)
	}
	_, err = a.Connect(ctx, alice.Data.Username, alice.Data.Password)
	require.NoError(t, err)
	big := bytes.Repeat([]byte("x"), 11<<20)
	sent, err := a.UploadMedia(ctx, sdk.MediaUpload{
		To: "bob@" + s.Domain(), ChatType: sdk.ChatTypeChat, MessageID: "m", Name: "x.bin", ContentType: "application/octet-stream",
		Reader: bytes.NewReader(big), Size: int64(len(big)),
	})
	require.NoError(t, err)
	_, err = a.DownloadMedia(ctx, sent.Data, io.Discard)
	require.NoError(t, err)

	q := client()
	login, err := q.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: s.SignalURL()})
	require.NoError(t, err)
	code := <-login.Codes()
	require.NoError(t, s.Phone("bob").Scan(ctx, code.Content()))
	bob, err := login.Wait(ctx)
	require.NoError(t, err)
	_, err = q.Logout(ctx)
	require.NoError(t, err)
	return append(secrets, alice.Data.Password, bob.Data.Password, s.LicenseKey(), code.Content())
}

func TestWatchOfDownloads(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("picture"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	traffic := s.Watch(t.Context())
	fetch(t, s, s.URL()+"/media/"+d.FileToken, c.Token, "")
	require.Equal(t, http.MethodGet, seen(t, traffic).Method)
	require.Regexp(t, `^\(7 bytes of .+\)$`, seen(t, traffic).Text)
}
