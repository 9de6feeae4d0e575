package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// By default a lost stream can be resumed: what a killed bot had not handled comes again.
func TestResumeFlag(t *testing.T) {
	for _, c := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 30 * time.Second},
		{[]string{"-resume", "2m"}, 2 * time.Minute},
		{[]string{"-resume", "0"}, 0},
	} {
		s, err := parse(c.args, t.Output())
		require.NoError(t, err)
		require.Equal(t, c.want, s.options.ResumeTimeout)
	}

	e := launch(t)
	bot := newUser(t, e.at)
	resumed := make(chan bool, 10)
	bot.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Status == sdk.StatusConnected {
			resumed <- e.Resumed
		}
	})
	login(t, bot, "bot")
	require.False(t, patient.Receive(t, resumed))
	// Its answer comes behind the server's consent to resume the stream.
	_, err := bot.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	_, failure := e.order("drop", `{}`)
	require.Empty(t, failure)
	require.True(t, patient.Receive(t, resumed))
}
