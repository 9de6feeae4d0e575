package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	mega    = 1_000_000
	noBar   = "------------------------"
	fullBar = "########################"
)

func TestProgressBar(t *testing.T) {
	for name, c := range map[string]struct {
		sent, total int64
		bar         string
		numbers     string
	}{
		"start":        {0, 16 * mega, "[" + noBar + "]", "  0%, 0.0 of 16.0 MB"},
		"half":         {8 * mega, 16 * mega, "[############------------]", " 50%, 8.0 of 16.0 MB"},
		"almost":       {16*mega - 1, 16 * mega, "[#######################-]", " 99%, 16.0 of 16.0 MB"},
		"end":          {16 * mega, 16 * mega, "[" + fullBar + "]", "100%, 16.0 of 16.0 MB"},
		"too much":     {17 * mega, 16 * mega, "[" + fullBar + "]", "100%, 17.0 of 16.0 MB"},
		"negative":     {-5, 16 * mega, "[" + noBar + "]", "  0%, 0.0 of 16.0 MB"},
		"empty file":   {0, 0, "[" + fullBar + "]", "100%, 0.0 of 0.0 MB"},
		"unknown size": {5 * mega, -1, "", "5.0 MB"},
		"huge":         {1 << 62, 1<<63 - 1, "[############------------]", " 50%, 4611686018427.4 of 9223372036854.8 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.numbers, progressNumbers(c.sent, c.total))
			require.Equal(t, strings.TrimSpace(c.bar+" "+c.numbers), strings.TrimSpace(progressBar(c.sent, c.total)))
			if c.total < 1<<40 {
				require.Less(t, len("  sending "+progressBar(c.sent, c.total)), barLine)
			}
		})
	}
}

// NO_COLOR or not: nothing is ever printed that a terminal would have to interpret but the carriage return.
func TestProgressOnATerminal(t *testing.T) {
	for _, noColor := range []string{"", "1"} {
		t.Setenv("NO_COLOR", noColor)
		var out bytes.Buffer
		p := newPrinter(&out, true)
		out.Reset()
		p.progress("report.txt", 0, 10*mega)
		p.progress("report.txt", 10*mega, 10*mega)
		for _, drawing := range strings.Split(out.String(), "\r")[1:] {
			require.Len(t, drawing, barLine, "each drawing covers the one before")
		}
		require.NotContains(t, out.String(), "\n")
		out.Reset()
		p.call("alice.UploadMedia(report.txt)", 200, time.Second, "done")
		wiped, line, _ := strings.Cut(strings.TrimPrefix(out.String(), "\r"), "\r")
		require.Equal(t, strings.Repeat(" ", barLine), wiped)
		require.True(t, strings.HasPrefix(line, "alice.UploadMedia("), line)
		out.Reset()
		p.event("alice.OnPresence", "bob is online")
		require.NotContains(t, out.String(), "\r", "there is no bar any more")
		require.NotContains(t, out.String(), "\x1b")
	}
}

func TestProgressElsewhere(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out, false)
	out.Reset()
	p.progress("report.txt", 0, 10*mega)
	p.progress("report.txt", 5*mega, 10*mega)
	p.progress("report.txt", 10*mega, 10*mega)
	p.progress("empty.txt", 0, 0)
	p.heading("next")
	require.Equal(t, "  sending report.txt:  50%, 5.0 of 10.0 MB\n  sending report.txt: 100%, 10.0 of 10.0 MB\n"+
		"  sending empty.txt: 100%, 0.0 of 0.0 MB\n\nnext\n", out.String())
}

func TestIsTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out.txt"))
	require.NoError(t, err)
	require.False(t, isTerminal(file))
	require.NoError(t, file.Close())
	require.False(t, isTerminal(file), "closed")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.False(t, isTerminal(w))
	require.NoError(t, r.Close())
	require.NoError(t, w.Close())
}
