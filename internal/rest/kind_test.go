package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// What the service's answers to Register, Token and any other call are about.
func TestKindOfAnAnswer(t *testing.T) {
	minute := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			h(w, r)
		}
	}
	to := "/elsewhere"
	for _, c := range []struct {
		name                   string
		answer                 http.HandlerFunc
		register, login, other Kind
	}{
		{"blocked", answer(403, `{"status":403,"message":"User Blocked"}`), KindBlocked, KindBlocked, KindOther},
		{
			"sessions", answer(400, `{"status":400,"message":"You have reached maximum sessions allowed."}`),
			KindMaxSessions, KindOther, KindOther,
		},
		{
			"sessions, without a status", answer(400, `{"message":"You have reached maximum sessions allowed."}`),
			KindMaxSessions, KindAway, KindAway,
		},
		{
			"sessions, by their code", answer(405, `{"status":405,"message":"no"}`), KindMaxSessions, KindOther,
			KindOther,
		},
		{
			"sessions, forbidden", answer(403, `{"status":403,"message":"Too many Sessions"}`), KindMaxSessions,
			KindBlocked, KindOther,
		},
		{
			"credentials", answer(400, `{"status":400,"message":"Invalid Credentials"}`), KindOther,
			KindInvalidCredentials, KindOther,
		},
		{"unauthorized", answer(401, `{"status":401,"message":"no"}`), KindOther, KindInvalidCredentials, KindOther},
		{"clock", minute(answer(401, `{"status":401,"message":"no"}`)), KindOther, KindClock, KindOther},
		{"clock, any text", minute(answer(400, `{"status":400,"message":"no"}`)), KindOther, KindClock, KindOther},
		{
			"blocked, and the clock is off", minute(answer(403, `{"status":403,"message":"no"}`)), KindBlocked,
			KindBlocked, KindOther,
		},
		{
			"licence", answer(400, `{"status":400,"message":"Invalid License key"}`), KindLicense, KindOther,
			KindOther,
		},
		{
			"trial", answer(403, `{"status":403,"message":"No licence for the sandbox"}`), KindLicenseMode,
			KindBlocked, KindOther,
		},
		{
			"sessions of a licence", answer(405, `{"status":405,"message":"License: too many"}`), KindMaxSessions,
			KindOther, KindOther,
		},
		{"invalid", answer(400, `{"status":400,"message":"no"}`), KindOther, KindOther, KindOther},
		{"a firewall", answer(403, "<html>"), KindAway, KindAway, KindAway},
		{"away", answer(503, `{"status":503,"message":"busy"}`), KindAway, KindAway, KindAway},
		{"redirect", redirect(303, &to), KindAway, KindAway, KindAway},
		{
			"too often", answer(429, `{"status":429,"message":"slow down"}`), KindRateLimited, KindRateLimited,
			KindRateLimited,
		},
		{"broken", answer(500, `{"status":500,"message":"boom"}`), KindOther, KindOther, KindOther},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t,
				handlers{"POST /register": c.answer, "POST /login": c.answer, "POST /moderation/feedback": c.answer},
			)
			client := New(Config{LicenseKey: license, BaseURL: s.URL, AllowInsecure: true})
			defer client.Close()
			client.wait = func(context.Context, time.Duration) error { return nil }
			_, err := client.Register(t.Context(), Registration{UserIdentifier: "u"})
			require.Equal(t, c.register, fail(t, err).Kind(), "Register")
			_, err = client.Token(t.Context(), "u", "p")
			require.Equal(t, c.login, fail(t, err).Kind(), "Token")
			require.Equal(t, c.other, fail(t, client.Feedback(t.Context(), "a", "b")).Kind(), "Feedback")
		})
	}
}

// Failures without an answer have a kind, too.
func TestKindWithoutAnAnswer(t *testing.T) {
	s := serve(t, handlers{"POST /moderation/feedback": answer(200, plainOK)})
	feedback := func(ctx context.Context, c *Client) Kind { return fail(t, c.Feedback(ctx, "a", "b")).Kind() }
	client := New(Config{LicenseKey: license, BaseURL: s.URL, AllowInsecure: true})
	defer client.Close()

	require.Equal(t, KindLoginOver, feedback(ForLogin(t.Context(), client.CurrentLogin()+1), client))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, KindCancelled, feedback(ctx, client))
	ctx, cancel = context.WithTimeout(t.Context(), -1)
	defer cancel()
	require.Equal(t, KindTimeout, feedback(ctx, client))

	refused := New(Config{LicenseKey: license, BaseURL: s.URL})
	defer refused.Close()
	require.Equal(t, KindInsecure, feedback(t.Context(), refused))

	failing := &http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }),
	}
	offline := New(Config{LicenseKey: license, BaseURL: "https://service.example", HTTPClient: failing})
	defer offline.Close()
	require.Equal(t, KindNetwork, feedback(t.Context(), offline))

	closed := New(Config{LicenseKey: license})
	closed.Close()
	require.Equal(t, KindClosed, feedback(t.Context(), closed))

	_, err := client.PostMedia(
		t.Context(), Form{File: File{Name: "a", Reader: iotest.ErrReader(errors.New("torn")), Size: 1}},
	)
	require.Equal(t, KindSource, fail(t, err).Kind())
	require.Equal(t, KindSource, (&Error{Err: ErrSource}).Kind())
}

// An error that tells another one in its own words is of its kind.
func TestKindOfAnErrorInOtherWords(t *testing.T) {
	s := serve(t, handlers{"POST /media/": answer(503, "")})
	c := connect(t, s.URL)
	_, err := c.UploadProfileImage(t.Context(), "u", File{Name: "a", ContentType: "a/b", Reader: strings.NewReader("")})
	require.Equal(t, "Media Upload Failed", fail(t, err).Message)
	require.Equal(t, KindAway, fail(t, err).Kind())
}

func TestRefused(t *testing.T) {
	for status, want := range map[int]bool{400: true, 403: true, 429: true, 408: false, 500: false, 503: false} {
		s := serve(t, handlers{"POST /moderation/feedback": answer(status, "")})
		c := connect(t, s.URL)
		require.Equal(t, want, fail(t, c.Feedback(t.Context(), "a", "b")).Refused(), status)
	}
	require.False(t, (&Error{Status: http.StatusBadRequest}).Refused(), "that was not answered")
}

// An account that does not open is sealed with the key of another licence.
func TestAccountSealedWithAnotherKey(t *testing.T) {
	for data, want := range map[string]Kind{
		`"c2VhbGVk"`: KindLicense, `""`: KindOther, `{"username":""}`: KindOther, `7`: KindOther,
		`"` + strings.Repeat("x", maxData) + `"`: KindOther,
	} {
		s := serve(t, handlers{"POST /register": answer(200, `{"status":200,"data":`+data+`}`)})
		client := New(Config{LicenseKey: license, BaseURL: s.URL, AllowInsecure: true})
		_, err := client.Register(t.Context(), Registration{UserIdentifier: "u"})
		require.Equal(t, want, fail(t, err).Kind(), "%.20s", data)
		client.Close()
	}
}

// What answers in place of the service, and what may be the service itself.
func TestForeign(t *testing.T) {
	to := "https://login.example/"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   bool
	}{
		"page":                {answer(200, "<html>"), true},
		"page that forbids":   {answer(403, "<html>"), true},
		"nothing there":       {answer(404, ""), true},
		"another JSON":        {answer(404, `{"error":"not found"}`), true},
		"redirect":            {redirect(303, &to), true},
		"bare 401":            {answer(401, ""), false},
		"401 with a text":     {typed("text/plain", 401, "Unauthorized"), false},
		"page that wants 401": {typed("text/html; charset=utf-8", 401, "<html>"), true},
		"page as a text":      {typed("text/html", 401, "Unauthorized"), true},
		"JSON called a page":  {typed("text/html", 401, `{"status":401,"message":"no"}`), false},
		"proxy":               {answer(407, "<html>"), false},
		"gateway":             {answer(502, "<html>"), false},
		"breakdown":           {answer(500, "<html>"), false},
		"too often":           {answer(429, ""), false},
		"the service, no":     {answer(404, `{"status":404,"message":"Not Found"}`), false},
		"the service, later":  {answer(503, `{"status":503,"message":"busy"}`), false},
		"the service, odd no": {answer(404, `{"status":404}`), false},
	} {
		s := serve(t, handlers{"POST /moderation/feedback": c.answer})
		client := New(Config{LicenseKey: license, BaseURL: s.URL, AllowInsecure: true})
		client.wait = func(context.Context, time.Duration) error { return nil }
		err := client.Feedback(t.Context(), "t", "d")
		require.Equal(t, c.want, fail(t, err).Foreign(), name)
		client.Close()
	}
}
