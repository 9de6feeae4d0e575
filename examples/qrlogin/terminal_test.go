package main

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestTerminal(t *testing.T) {
	srv := sdktest.New(t)
	r := start(t, srv, settings{terminal: true})
	v := currentCode(t, r)
	firstLine := strings.SplitN(v, "\n", 2)[0]
	columns := utf8.RuneCountInString(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(firstLine, ""))
	require.LessOrEqual(t, columns, 80, "a terminal's width")
	require.LessOrEqual(t, strings.Count(v, "\n")+rowsBelow, 24, "a terminal's height")
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
	return r.out.await(t, `(?s)\n\n(\x1b\[.*?\n)Scan this code`)[1]
}

// A terminal that is too small is told what it needs, and gets the code when it has that.
func TestTooSmallTerminal(t *testing.T) {
	srv := sdktest.New(t)
	var columns, rows atomic.Int32
	columns.Store(80)
	rows.Store(23)
	looked := make(chan struct{})
	var asked atomic.Int32
	r := start(t, srv, settings{terminal: true, size: func() (int, int, bool) {
		if asked.Add(1) == 2 {
			close(looked)
		}
		return int(columns.Load()), int(rows.Load()), true
	}})
	r.out.await(t, `The code needs 45 columns and 24 rows, this terminal has 80 and 23: make it larger\.`)
	patient.Receive(t, looked)
	require.NotContains(t, r.out.String(), "Scan this code")
	require.Equal(t, 1, strings.Count(r.out.String(), "make it larger"), "once for each size")
	columns.Store(44)
	rows.Store(24)
	r.out.await(t, `this terminal has 44 and 24`)
	columns.Store(45)
	currentCode(t, r)
	status, text := post(t, r.url+scanPath, "bob")
	require.Equal(t, http.StatusOK, status, text)
	r.out.await(t, `(?m)^Logged in as bob$`)
}

func TestSizeOf(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	for _, out := range []io.Writer{new(output), file} {
		if size := sizeOf(out); size != nil {
			_, _, ok := size()
			require.False(t, ok, "it is no terminal")
		}
	}
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "Zoë 李?[2J??", printable("Zoë 李\x1b[2J\n\u202e"))
}
