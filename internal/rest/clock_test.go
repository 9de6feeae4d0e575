package rest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The clock of time stamps is compared with the Date of an answer, in licensed mode alone.
func TestClockOff(t *testing.T) {
	real := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		off   time.Duration
		trial bool
		date  string
		want  time.Duration
	}{
		{"agrees", 59 * time.Second, false, real.Format(http.TimeFormat), 0},
		{"ahead", time.Minute, false, real.Format(http.TimeFormat), time.Minute},
		{"behind", -time.Hour, false, real.Format(http.TimeFormat), -time.Hour},
		{"trial", time.Hour, true, real.Format(http.TimeFormat), 0},
		{"garbled", time.Hour, false, "yesterday", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refuse := withHeader("Date", tc.date, answer(400, `{"status":400,"message":"Invalid Credentials"}`))
			s := serve(t,
				handlers{"POST /api/login": refuse, "HEAD /api": withHeader("Date", tc.date, answer(404, ""))},
			)
			c := connect(t, s.URL+"/api", func(cfg *Config) {
				cfg.Trial, cfg.Now = tc.trial, func() time.Time { return real.Add(tc.off) }
			})
			err := c.Login(t.Context(), "u", "p", "p")
			require.Equal(t, tc.want, fail(t, err).ClockOff())
			require.Equal(t, tc.want, c.AskClock(t.Context()))
			require.NotContains(t, s.header("HEAD /api"), "Authorization")
		})
	}
	c := connect(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.Trial = false })
	require.Zero(t, c.AskClock(t.Context()), "nobody there")
}
