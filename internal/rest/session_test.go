package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

const expiredJSON = `{"status":401,"message":"Token Expired"}`

// tokens is a service whose tokens are good until expire is called.
type tokens struct {
	mu    sync.Mutex
	n     int
	valid bool
	http  int // HTTP status of the refusal
}

func (k *tokens) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.valid = false
}

func (k *tokens) login(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.n++
	k.valid = true
	n := k.n
	k.mu.Unlock()
	answer(200, fmt.Sprintf(`{"status":200,"data":{"token":"tok-%d"}}`, n))(w, r)
}

func (k *tokens) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		good := k.valid && r.Header.Get("Authorization") == fmt.Sprintf("tok-%d", k.n)
		k.mu.Unlock()
		if !good {
			answer(k.http, expiredJSON)(w, r)
			return
		}
		next(w, r)
	}
}

func TestExpiredToken(t *testing.T) {
	for _, code := range []int{401, 200} {
		k := &tokens{http: code}
		s := serve(t, handlers{"POST /login": k.login, "POST /moderation/feedback": k.guard(answer(200, plainOK))})
		c := connect(t, s.URL)
		c.login(t)
		k.expire()
		require.NoError(t, c.Feedback(t.Context(), "a", "b"))
		require.Equal(t, 2, s.count("POST /login"))
		require.Equal(t, 2, s.count("POST /moderation/feedback"))
		require.NoError(t, c.Feedback(t.Context(), "a", "b"))
		require.Equal(t, 2, s.count("POST /login"), "the new token is kept")
	}
}

// A licensed re-login sends a new wire password, not the one of the login.
func TestReloginSealsAnew(t *testing.T) {
	k := &tokens{http: 401}
	s := serve(t, handlers{"POST /login": k.login, "GET /logout": k.guard(answer(200, plainOK))})
	now := time.UnixMilli(1000)
	c := connect(t, s.URL, func(cfg *Config) { cfg.Trial, cfg.Now = false, func() time.Time { return now } })
	require.NoError(t, c.Login(t.Context(), "alice_1", "raw secret", "wire of the login"))
	k.expire()
	now = time.UnixMilli(2000).UTC()
	require.NoError(t, c.Logout(t.Context()))
	require.JSONEq(t,
		`{"username":"alice_1","password":{"password":"raw secret","currentTimestamp":2000},"type":"web"}`,
		comparable(t, s.body("POST /login")),
	)
}

func TestReloginIsShared(t *testing.T) {
	const callers = 50
	k := &tokens{http: 401}
	var waiting sync.WaitGroup
	waiting.Add(callers)
	s := serve(t, handlers{
		"POST /login": k.login,
		"POST /moderation/feedback": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "tok-1" {
				waiting.Done()
				waiting.Wait() // all are out with the old token when the first is refused
			}
			k.guard(answer(200, plainOK))(w, r)
		},
	})
	c := connect(t, s.URL)
	c.login(t)
	k.expire()
	var all sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		all.Go(func() { errs[i] = c.Feedback(t.Context(), "a", "b") })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 2, s.count("POST /login"), "the first and one for all")
	require.Equal(t, 2*callers, s.count("POST /moderation/feedback"))
}

func TestReloginFails(t *testing.T) {
	cases := []struct {
		name   string
		login  http.HandlerFunc
		logins int
	}{
		{"refused", answer(200, `{"status":400,"message":"Invalid Credentials"}`), 2},
		{"401 on login is never retried", answer(401, expiredJSON), 2},
		{"500", answer(500, ""), 2},
		{"an object for a token", answer(200, `{"status":200,"data":{"token":{}}}`), 2},
		{"busy", answer(429, ""), 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{
				"POST /login":               sequence(answer(200, loginOK), c.login),
				"POST /moderation/feedback": answer(401, expiredJSON),
			})
			client := connect(t, s.URL)
			client.login(t)
			err := client.Feedback(t.Context(), "a", "b")
			require.Equal(t, 401, fail(t, err).Status, "the original error")
			require.Equal(t, "Token Expired", fail(t, err).Message)
			require.Equal(t, c.logins, s.count("POST /login"))
			require.Equal(t, 1, s.count("POST /moderation/feedback"))
			require.Equal(t, 1, client.reloginWarnings())
		})
	}
}

// However many calls wait for a login, that it fails is one line.
func TestReloginFailsForAll(t *testing.T) {
	const callers = 10
	var refused sync.WaitGroup
	refused.Add(callers)
	refusal := answer(200, `{"status":400,"message":"Invalid Credentials"}`)
	s := serve(t, handlers{
		"POST /login": sequence(answer(200, loginOK), func(w http.ResponseWriter, r *http.Request) {
			refused.Wait()
			refusal(w, r)
		}),
		"POST /moderation/feedback": func(w http.ResponseWriter, r *http.Request) {
			answer(401, expiredJSON)(w, r)
			refused.Done()
		},
	})
	c := connect(t, s.URL)
	c.login(t)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() { _ = c.Feedback(t.Context(), "a", "b") })
	}
	all.Wait()
	require.Equal(t, 1, c.reloginWarnings())
}

// reloginWarnings may be called when no call is under way.
func (c testClient) reloginWarnings() int {
	return strings.Count(c.log.String(), "rest: login again failed")
}

func TestRefusedAgain(t *testing.T) {
	s := serve(t, handlers{
		"POST /login":               answer(200, loginOK),
		"POST /moderation/feedback": sequence(answer(401, expiredJSON), answer(401, `{"message":"second"}`)),
	})
	c := connect(t, s.URL)
	c.login(t)
	err := c.Feedback(t.Context(), "a", "b")
	require.Equal(t, 401, fail(t, err).Status)
	require.Equal(t, "Token Expired", fail(t, err).Message)
	require.Equal(t, 2, s.count("POST /moderation/feedback"))
	require.Equal(t, 2, s.count("POST /login"))
}

func TestNoReloginWithoutLogin(t *testing.T) {
	s := serve(t,
		handlers{"POST /login": answer(401, expiredJSON), "POST /moderation/feedback": answer(401, expiredJSON)},
	)
	c := connect(t, s.URL)
	require.Equal(t, 401, fail(t, c.Feedback(t.Context(), "a", "b")).Status)
	require.Zero(t, s.count("POST /login"))
	require.Equal(t, 401, fail(t, c.Login(t.Context(), "u", "p", "p")).Status)
	require.Equal(t, 1, s.count("POST /login"))
}

// slowLogin is a login that the test can hold up, from the second one on.
func slowLogin(entered chan<- struct{}, release <-chan struct{}) http.HandlerFunc {
	held := func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		answer(200, `{"status":200,"data":{"token":"tok-2"}}`)(w, r)
	}
	return sequence(answer(200, loginOK), held)
}

func needsSecondToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "tok-2" {
		answer(200, plainOK)(w, r)
		return
	}
	answer(401, expiredJSON)(w, r)
}

// The first caller gives up. The re-login goes on, and the second caller gets the token.
func TestReloginOutlivesItsFirstCaller(t *testing.T) {
	entered, release := make(chan struct{}, 4), make(chan struct{})
	s := serve(t, handlers{"POST /login": slowLogin(entered, release), "POST /moderation/feedback": needsSecondToken})
	c := connect(t, s.URL)
	c.login(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- c.Feedback(ctx, "a", "b") }() // ends when cancelled
	patient.Receive(t, entered)
	cancel()
	require.Equal(t, 499, fail(t, patient.Receive(t, first)).Status)
	second := make(chan error, 1)
	go func() { second <- c.Feedback(t.Context(), "a", "b") }() // ends when released
	close(release)
	require.NoError(t, patient.Receive(t, second))
	require.Equal(t, 2, s.count("POST /login"))
}

func TestForgetDuringRelogin(t *testing.T) {
	entered, release := make(chan struct{}, 4), make(chan struct{})
	s := serve(t, handlers{"POST /login": slowLogin(entered, release), "POST /moderation/feedback": needsSecondToken})
	c := connect(t, s.URL)
	c.login(t)
	first := make(chan error, 1)
	go func() { first <- c.Feedback(t.Context(), "a", "b") }() // ends when forgotten
	patient.Receive(t, entered)
	c.Forget()
	close(release)
	require.Equal(t, 401, fail(t, patient.Receive(t, first)).Status)
	require.Equal(t, 401, fail(t, c.Feedback(t.Context(), "a", "b")).Status)
	require.NotContains(t, s.header("POST /moderation/feedback"), "Authorization")
	require.Equal(t, 2, s.count("POST /login"), "none after Forget")
}

// Another user logs in while the old account logs in again: the late outcome
// must not replace the new session.
func TestLoginDuringRelogin(t *testing.T) {
	entered, release := make(chan struct{}, 4), make(chan struct{})
	held := slowLogin(entered, release)
	s := serve(t, handlers{
		"POST /login": func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"bob"`) {
				answer(200, `{"status":200,"data":{"token":"bob-1"}}`)(w, r)
				return
			}
			held(w, r)
		},
		"POST /moderation/feedback": answer(401, expiredJSON),
	})
	c := connect(t, s.URL)
	c.login(t)
	first := make(chan error, 1)
	go func() { first <- c.Feedback(t.Context(), "a", "b") }() // ends when bob has logged in
	patient.Receive(t, entered)
	require.NoError(t, c.Login(t.Context(), "bob", "p", "p"))
	close(release)
	require.Equal(t, 401, fail(t, patient.Receive(t, first)).Status)
	c.shared.Wait()
	require.Equal(t, "bob-1", c.session.token)
}

// A service that answers the login of an account that has been left, although no call waits for it
// any more: the token goes nowhere, and no request of the next account carries it.
func TestLateTokenOfAnAccountThatWasLeft(t *testing.T) {
	for name, leave := range map[string]func(testClient) error{
		"forgotten": func(c testClient) error { c.Forget(); return nil },
		"replaced":  func(c testClient) error { return c.Login(context.Background(), "bob", "p", "p") },
	} {
		t.Run(name, func(t *testing.T) {
			var sent []string
			entered, release := make(chan struct{}), make(chan struct{})
			logins := 0
			// It is deaf to the end of its context, as a transport may be that has its answer.
			service := roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != "/login" {
					sent = append(sent, r.Header.Get("Authorization"))
					return reply(expiredJSON), nil
				}
				logins++
				body, err := io.ReadAll(r.Body)
				switch {
				case err != nil:
					return nil, err
				case strings.Contains(string(body), `"bob"`):
					return reply(`{"status":200,"data":{"token":"bob-1"}}`), nil
				case logins == 1:
					return reply(loginOK), nil
				}
				close(entered)
				patient.Hold(t, release)
				return reply(`{"status":200,"data":{"token":"late"}}`), nil
			})
			c := connect(t,
				"http://service.example", func(cfg *Config) { cfg.HTTPClient = &http.Client{Transport: service} },
			)
			c.login(t)
			first := make(chan error, 1)
			// The test owns it. It ends when the account is left.
			go func() { first <- c.Feedback(t.Context(), "a", "b") }()
			patient.Receive(t, entered)
			require.NoError(t, leave(c))
			want := tokenOf(t, c)
			close(release)
			require.Equal(t, 401, fail(t, patient.Receive(t, first)).Status)
			c.shared.Wait()
			require.Equal(t, want, tokenOf(t, c))
			c.ForgetPassword("bob", "p")
			require.Equal(t, 401, fail(t, c.Feedback(t.Context(), "a", "b")).Status)
			require.Equal(t, []string{"tok-1", want}, sent)
		})
	}
}

func tokenOf(t *testing.T, c testClient) string {
	t.Helper()
	s, err := c.current(t.Context(), true)
	require.NoError(t, err)
	return s.token
}

// reply is an answer without a connection.
func reply(body string) *http.Response {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
}

// What was asked as one account must not be repeated as the one that logged in
// while the refusal was on its way: it could be the deletion.
func TestNeverRepeatedAsAnother(t *testing.T) {
	var c testClient
	s := serve(t, handlers{"POST /login": answer(200, loginOK), "POST /users/deleteMyAccount": func(
		w http.ResponseWriter, r *http.Request,
	) {
		_ = c.Login(r.Context(), "bob", "p", "p")
		answer(401, expiredJSON)(w, r)
	}})
	c = connect(t, s.URL)
	c.login(t)
	require.Equal(t, 401, fail(t, c.DeleteAccount(t.Context(), "moving", "")).Status)
	require.Equal(t, 1, s.count("POST /users/deleteMyAccount"))
	require.Equal(t, "bob", c.session.username)
}

func TestReloginIsBounded(t *testing.T) {
	entered, release := make(chan struct{}, 4), make(chan struct{})
	defer close(release)
	s := serve(t, handlers{"POST /login": slowLogin(entered, release), "POST /moderation/feedback": needsSecondToken})
	c := connect(t, s.URL)
	c.login(t)
	// Of what follows it bounds the login alone: the call has a deadline of its own.
	c.cfg.RequestTimeout = 30 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.Equal(t, 401, fail(t, c.Feedback(ctx, "a", "b")).Status)
}

func TestCloseEndsRelogin(t *testing.T) {
	entered, release := make(chan struct{}, 4), make(chan struct{})
	defer close(release)
	s := serve(t, handlers{"POST /login": slowLogin(entered, release), "POST /moderation/feedback": needsSecondToken})
	c := connect(t, s.URL)
	c.login(t)
	first := make(chan error, 1)
	go func() { first <- c.Feedback(t.Context(), "a", "b") }() // ends with Close
	patient.Receive(t, entered)
	c.Close()
	require.Equal(t, 401, fail(t, patient.Receive(t, first)).Status)
	require.Zero(t, c.reloginWarnings(), "the program has asked for it")
}

// A login lasts while its tokens are renewed and its user logs in again. What is bound to it ends
// with it.
func TestForLogin(t *testing.T) {
	for name, end := range map[string]func(c testClient){
		"forgotten":      func(c testClient) { c.Forget() },
		"somebody else":  func(c testClient) { require.NoError(t, c.Login(t.Context(), "bob", "p", "p")) },
		"logged in anew": func(c testClient) { c.Forget(); c.login(t) },
	} {
		t.Run(name, func(t *testing.T) {
			k := &tokens{http: 401}
			s := serve(t, handlers{
				"POST /login": k.login, "POST /moderation/feedback": k.guard(answer(200, plainOK)),
				"PUT /part": answer(200, ""),
			})
			c := connect(t, s.URL)
			c.login(t)
			ctx := ForLogin(t.Context(), c.CurrentLogin())
			k.expire()
			require.NoError(t, c.Feedback(ctx, "a", "b"))
			c.login(t)
			require.NoError(t, c.Feedback(ctx, "a", "b"))
			c.ForgetPassword("alice_1", "raw secret")
			c.login(t)
			require.NoError(t, c.Feedback(ctx, "a", "b"), "the same login, also with another password")
			before := s.count("POST /moderation/feedback")

			end(c)
			err := c.Feedback(ctx, "a", "b")
			require.ErrorIs(t, err, ErrLoginOver)
			require.True(t, unsent.Marked(err))
			_, err = c.PutPart(ctx, s.URL+"/part", []byte("x"), "a/b")
			require.ErrorIs(t, err, ErrLoginOver, "also what carries no token")
			require.Equal(t, before, s.count("POST /moderation/feedback"))
			require.Zero(t, s.count("PUT /part"))
		})
	}
}

// A password that the service has refused is not tried by every call: that would lock the account.
func TestRefusedReloginIsNotTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		login  http.HandlerFunc
		logins int
	}{
		"401":               {answer(401, `{"status":401,"message":"Unauthorized"}`), 1},
		"400":               {answer(200, `{"status":400,"message":"Invalid Credentials"}`), 1},
		"blocked":           {answer(200, `{"status":403,"message":"User is blocked by admin"}`), 1},
		"page of a proxy":   {answer(401, `<html>Please log in</html>`), 5},
		"another mistake":   {answer(200, `{"status":400,"message":"type is not valid or required"}`), 5},
		"service is broken": {answer(200, `{"status":500,"message":"boom"}`), 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handlers{
				"POST /login":               sequence(answer(200, loginOK), c.login),
				"POST /moderation/feedback": answer(401, expiredJSON),
			})
			client := connect(t, s.URL)
			client.login(t)
			for range 5 {
				require.Equal(t, 401, fail(t, client.Feedback(t.Context(), "a", "b")).Status)
			}
			require.Equal(t, 1+c.logins, s.count("POST /login"))
			client.ChangePassword("ALICE_1", "another")
			require.Equal(t, 401, fail(t, client.Feedback(t.Context(), "a", "b")).Status)
			require.Equal(t, 2+c.logins, s.count("POST /login"), "another password is tried")
			require.Contains(t, string(s.body("POST /login")), "another")
		})
	}
}

// A re-login is under way with the old password, and is refused, when another becomes known.
func TestPasswordChangesDuringRelogin(t *testing.T) {
	var c testClient
	s := serve(t, handlers{
		"POST /login": sequence(answer(200, loginOK), func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), "another") {
				answer(200, `{"status":200,"data":{"token":"tok-2"}}`)(w, r)
				return
			}
			c.ChangePassword("alice_1", "another")
			answer(401, `{"status":401,"message":"Unauthorized"}`)(w, r)
		}),
		"POST /moderation/feedback": needsSecondToken,
	})
	c = connect(t, s.URL)
	c.login(t)
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.Equal(t, 3, s.count("POST /login"))
}

func TestWirePassword(t *testing.T) {
	c := connect(t, "http://127.0.0.1:1")
	wire, err := c.WirePassword(t.Context(), "p@ss <w>&'x'")
	require.NoError(t, err)
	require.Equal(t, "p@ss <w>&'x'", wire)

	for _, zone := range []struct {
		name string
		east int
		want string
	}{
		{"UTC", 0, `{"password":"p@ss <w>&'x'","currentTimestamp":1700000000000}`},
		{"IST", 19800, `{"password":"p@ss <w>&'x'","currentTimestamp":1699980200000}`},
		{"EST", -18000, `{"password":"p@ss <w>&'x'","currentTimestamp":1700018000000}`},
	} {
		c := connect(t, "http://127.0.0.1:1", func(cfg *Config) {
			cfg.Trial = false
			cfg.Now = func() time.Time { return time.UnixMilli(1700000000000).In(time.FixedZone(zone.name, zone.east)) }
		})
		wire, err := c.WirePassword(t.Context(), "p@ss <w>&'x'")
		require.NoError(t, err)
		got, err := seal.OpenStrict(wire, seal.Triple(license), seal.ConstIV)
		require.NoError(t, err)
		require.Equal(t, zone.want, got)
	}
}

// What cannot be sealed must not leave in the clear.
func TestNothingLeavesUnsealed(t *testing.T) {
	s := serve(t, handlers{})
	c := connect(t, s.URL, func(cfg *Config) { cfg.Trial, cfg.LicenseKey = false, "" })
	_, err := c.WirePassword(t.Context(), "secret")
	require.NotContains(t, fail(t, err).Error(), "secret")
	_, err = c.Register(t.Context(), Registration{UserIdentifier: "u"})
	fail(t, err)
	require.Empty(t, s.calls)
}

func TestLoginToken(t *testing.T) {
	for body, good := range map[string]bool{
		loginOK:                                     true,
		`{"status":200,"data":{"token":12}}`:        true,
		`{"status":200,"data":{"token":""}}`:        false,
		`{"status":200,"data":{"token":"a\r\nb"}}`:  false,
		`{"status":200,"data":{"token":{"a":"b"}}}`: false,
		`{"status":200,"data":{}}`:                  false,
		`{"status":200,"data":"tok"}`:               false,
		`{"status":200}`:                            false,
	} {
		s := serve(t, handlers{"POST /login": answer(200, body)})
		err := connect(t, s.URL).Login(t.Context(), "u", "p", "p")
		if good {
			require.NoError(t, err, body)
		} else {
			require.Equal(t, 500, fail(t, err).Status, body)
		}
	}
}

// comparable replaces what differs between calls, and opens what is sealed.
func comparable(t *testing.T, body []byte) string {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal(body, &fields), "%s", body)
	for _, name := range []string{"registerData", "password"} {
		sealed, ok := fields[name].(string)
		if !ok {
			continue
		}
		if opened, err := seal.OpenStrict(sealed, seal.Triple(license), seal.ConstIV); err == nil {
			fields[name] = json.RawMessage(opened)
		}
	}
	return uuidForm.ReplaceAllString(toJSON(t, fields), "$$UUID")
}

var uuidForm = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
