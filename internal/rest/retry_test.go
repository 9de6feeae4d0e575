package rest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRepetition(t *testing.T) {
	busy := func(code int) http.HandlerFunc {
		return answer(code, fmt.Sprintf(`{"status":%d,"message":"busy"}`, code))
	}
	ok := answer(200, `{"status":200,"data":{}}`)
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cases := []struct {
		name        string
		answers     []http.HandlerFunc
		read, write int // how often a GET and a POST are sent
		last        int // status of the read in the end
	}{
		{"success", []http.HandlerFunc{ok}, 1, 1, 200},
		{"400", []http.HandlerFunc{busy(400)}, 1, 1, 400},
		{"500 is not repeated", []http.HandlerFunc{busy(500)}, 1, 1, 500},
		{"500 in the body of a 503", []http.HandlerFunc{answer(503, `{"status":500}`)}, 1, 1, 500},
		{"502", []http.HandlerFunc{busy(502)}, 3, 1, 502},
		{"503 then success", []http.HandlerFunc{busy(503), ok}, 2, 1, 200},
		{"504 twice then success", []http.HandlerFunc{busy(504), busy(504), ok}, 3, 1, 200},
		{"503 in the body", []http.HandlerFunc{answer(200, `{"status":503}`)}, 3, 1, 503},
		{"429 everything", []http.HandlerFunc{busy(429)}, 3, 3, 429},
		{"429 then success", []http.HandlerFunc{busy(429), ok}, 2, 2, 200},
		{"connection lost", []http.HandlerFunc{hangUp}, 3, 1, 599},
		{"connection lost then success", []http.HandlerFunc{hangUp, ok}, 2, 1, 200},
		{"short wait", []http.HandlerFunc{withHeader("Retry-After", "30", busy(429)), ok}, 2, 2, 200},
		{"long wait", []http.HandlerFunc{withHeader("Retry-After", "31", busy(429)), ok}, 1, 1, 429},
		{"absurd wait", []http.HandlerFunc{withHeader("Retry-After", "9223372036854775807", busy(503)), ok}, 1, 1, 503},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{
				"GET /contacts/vcard":       sequence(c.answers...),
				"POST /moderation/feedback": sequence(c.answers...),
				"GET /logout":               sequence(c.answers...),
			})
			s.Config.ErrorLog = discardLog()
			client := connect(t, s.URL)
			_, err := client.Profile(t.Context(), "bob")
			require.Equal(t, c.read, s.count("GET /contacts/vcard"))
			require.Len(t, *client.waits, c.read-1)
			if c.last == 200 {
				require.NoError(t, err)
			} else {
				require.Equal(t, c.last, fail(t, err).Status)
			}
			_ = client.Feedback(t.Context(), "a", "b")
			require.Equal(t, c.write, s.count("POST /moderation/feedback"))
			_ = client.Logout(t.Context())
			require.Equal(t, c.write, s.count("GET /logout"), "logout is no safe GET")
		})
	}
}

func TestDelays(t *testing.T) {
	// The Date of an answer, which differs from the client's clock.
	const date = "Tue, 14 Nov 2023 22:13:20 GMT"
	s := serve(t, handlers{"GET /contacts/vcard": sequence(
		withHeader("Retry-After", "7", answer(503, "")),
		withHeader("Date", date, withHeader("Retry-After", "Tue, 14 Nov 2023 22:13:45 GMT", answer(503, ""))),
		withHeader("Retry-After", "tomorrow", answer(503, "")),
	)})
	c := connect(t, s.URL)
	_, err := c.Profile(t.Context(), "bob")
	require.Zero(t, fail(t, err).RetryAfter)
	require.Equal(t, []time.Duration{7 * time.Second, 25 * time.Second}, *c.waits)

	s = serve(t, handlers{"GET /contacts/vcard": answer(503, "")})
	for range 20 {
		c = connect(t, s.URL)
		_, err = c.Profile(t.Context(), "bob")
		fail(t, err)
		require.Len(t, *c.waits, 2)
		require.Less(t, (*c.waits)[0], 500*time.Millisecond)
		require.Less(t, (*c.waits)[1], time.Second)
	}

	s = serve(t,
		handlers{"GET /contacts/vcard": withHeader("Retry-After", "3600", answer(429, `{"message":"slow down"}`))},
	)
	_, err = connect(t, s.URL).Profile(t.Context(), "bob")
	require.Equal(t, time.Hour, fail(t, err).RetryAfter)
	require.Equal(t, "slow down", fail(t, err).Message)

	require.Zero(t, retryAfter(http.Header{"Retry-After": {"-5"}}, time.Now()))
	require.Zero(t,
		retryAfter(http.Header{"Retry-After": {"Tue, 14 Nov 2023 22:13:45 GMT"}}, time.Now()), "in the past",
	)
}

func TestWaitEndsWithTheContext(t *testing.T) {
	s := serve(t, handlers{"GET /contacts/vcard": withHeader("Retry-After", "20", answer(503, ""))})
	c := connect(t, s.URL)
	c.wait = sleep

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_, err := c.Profile(ctx, "bob")
	require.Equal(t, 503, fail(t, err).Status, "no wait that cannot be sat out")
	require.Equal(t, 20*time.Second, fail(t, err).RetryAfter)

	cancelled, stop := context.WithCancel(t.Context())
	c.wait = func(ctx context.Context, d time.Duration) error {
		stop() // in the middle of the wait
		return sleep(ctx, d)
	}
	_, err = c.Profile(cancelled, "bob")
	require.Equal(t, 499, fail(t, err).Status)
}
