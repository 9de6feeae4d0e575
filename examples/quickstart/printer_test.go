package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWordsOfOthersStayInTheirLine(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(&out)
	p.call("bob.Read()", 200, time.Second, "Zoë 😀\n\x1b[2J\u202e")
	p.event("bob.OnRead", "a\r\tb")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.True(t, strings.HasSuffix(lines[1], "Zoë 😀\ufffd\ufffd[2J\ufffd"), lines[1])
	require.True(t, strings.HasSuffix(lines[2], "a\ufffd\ufffdb"), lines[2])
}

func TestProgress(t *testing.T) {
	const mega = 1_000_000
	var out bytes.Buffer
	p := newPrinter(&out)
	out.Reset()
	p.progress("report.txt", 0, 10*mega)
	p.progress("report.txt", 5*mega, 10*mega)
	p.progress("report.txt", 10*mega, 10*mega)
	p.heading("next")
	require.Equal(t, "  sending report.txt:   0%, 0.0 of 10.0 MB\n  sending report.txt:  50%, 5.0 of 10.0 MB\n"+
		"  sending report.txt: 100%, 10.0 of 10.0 MB\n\nnext\n", out.String())
}
