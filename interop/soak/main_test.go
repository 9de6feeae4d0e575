package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What "make soak" runs, but shorter and smaller.
func TestSoak(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-t", "12s", "-seed", "4", "-sessions", "20"}, &stdout, &stderr)
	t.Logf("%s", stdout.String())
	require.Empty(t, stderr.String())
	require.Zero(t, code)
	require.Contains(t, stdout.String(), "round 1.1  plan "+Plan{Seed: 4, Sessions: 20}.Round(1, 1).Hash())
	for _, part := range []string{"CALLS", "FAULTS", "EVENTS", "CHECKS", "all held"} {
		require.Contains(t, stdout.String(), part)
	}
	for _, what := range []string{
		"profile", "block list entry", "feedback", "report", "number of a push", "order of events", "goroutines",
	} {
		require.Regexp(t, `(?m)^`+what+` +[1-9]`, stdout.String(), "nothing was compared")
	}
}

func TestFlags(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		says string
	}{
		{"-h", 0, "-seed"},
		{"-t x", exitUsage, "invalid value"},
		{"-t -1s", exitUsage, "negative"},
		{"-sessions 3", exitUsage, "3 sessions"},
		{"-sessions 100000", exitUsage, "100000 sessions"},
		{"5m", exitUsage, "unexpected"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, tc.code, run(t.Context(), strings.Fields(tc.args), &stdout, &stderr))
			require.Contains(t, stderr.String(), tc.says)
		})
	}
}

func TestThePlanCanBeRead(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(t.Context(), []string{"-plan", "2", "-seed", "7", "-sessions", "4"}, &stdout, &stderr))
	require.Equal(t,
		Plan{Seed: 7, Sessions: 4}.Round(1, 1).String()+Plan{Seed: 7, Sessions: 4}.Round(1, 2).String(),
		stdout.String(),
	)
}

func TestARandomSeedIsTold(t *testing.T) {
	first, err := parse(nil, nil)
	require.NoError(t, err)
	second, err := parse(nil, nil)
	require.NoError(t, err)
	require.NotEqual(t, first.plan.Seed, second.plan.Seed)
	require.NotZero(t, first.plan.Seed)
	require.Equal(t, 5*time.Minute, first.length)
	require.Equal(t, 200, first.plan.Sessions)
}

// A report says what is needed to look into it, and the exit code is 1.
func TestReport(t *testing.T) {
	b := newBook()
	p := Plan{Seed: 42, Sessions: 10}
	var stdout, stderr bytes.Buffer
	require.Zero(t, finish(p, b, time.Second, &stdout, &stderr))
	for range mostViolations + 2 {
		b.fail(violation{where: "1.2/s003/4.1", what: "another profile than was set", told: "a", held: "b"})
	}
	require.Equal(t, exitFailed, finish(p, b, time.Second, &stdout, &stderr))
	for _, part := range []string{
		"seed 42", "1.2/s003/4.1: another profile", "told: a", "held: b", "and 2 more", "SEED=42",
	} {
		require.Contains(t, stderr.String(), part)
	}
}
