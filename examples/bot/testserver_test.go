package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Without settings there is a server, two bots, and a visitor who does something.
func TestOnTheTestServer(t *testing.T) {
	log := newJournal()
	stop := startRun(t, log, "-listen", "127.0.0.1:0")
	log.await(t, "test server (sdktest)")
	log.await(t, "sees a profile change", "jid=weather@", "On duty")
	log.await(t, "blocks a bot", "jid=news@", "err=<nil>")
	log.await(t, "profile updated", "user=news", "blocked by 1 user")
	require.NoError(t, stop())
	require.NotContains(t, log.text(), "level=WARN")
	require.NotContains(t, log.text(), "level=ERROR")
}
