package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatusText(t *testing.T) {
	since := time.Date(2026, 7, 1, 16, 5, 0, 0, time.FixedZone("", 2*3600))
	require.Equal(t, "On duty since Jul 1, 14:05 UTC, blocked by nobody", statusText(since, 0))
	require.Equal(t, "On duty since Jul 1, 14:05 UTC, blocked by 2 users", statusText(since, 2))
}
