package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestTerminal(t *testing.T) {
	srv := sdktest.New(t)
	r := start(t, srv, settings{terminal: true})
	v := currentCode(t, r)
	firstLine := strings.SplitN(v, "\n", 2)[0]
	columns := utf8.RuneCountInString(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(firstLine, ""))
	require.Less(t, columns, 80, "a terminal's width")
	srv.ExpireQR()
	scanTwice := func() bool { return strings.Count(r.out.String(), "Scan this code") == 2 }
	require.Eventually(t, scanTwice, patience, 5*time.Millisecond)
	require.NotContains(t, r.out.String(), "in a browser")
	require.Equal(t, 1, strings.Count(r.out.String(), v), "the second code is another one")
	status, text := post(t, r.url+scanPath, "bob")
	require.Equal(t, http.StatusOK, status, text)
	r.out.await(t, `(?m)^Logged in as bob$`)
	status, text = post(t, r.url+endPath, "bob")
	require.Equal(t, http.StatusOK, status, text)
	r.out.await(t, `session was ended(?s:.*)Scan this code`)
}

// currentCode is the first code in the terminal.
func currentCode(t *testing.T, r *running) string {
	t.Helper()
	return r.out.await(t, `(?s)\n\n(\x1b\[.*?\n)\nScan this code`)[1]
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "Zoë 李?[2J??", printable("Zoë 李\x1b[2J\n\u202e"))
}
