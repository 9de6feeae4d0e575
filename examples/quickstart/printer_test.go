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
	p := newPrinter(&out, false)
	p.call("bob.Read()", 200, time.Second, "Zoë 😀\n\x1b[2J\u202e")
	p.event("bob.OnRead", "a\r\tb")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.True(t, strings.HasSuffix(lines[1], "Zoë 😀\ufffd\ufffd[2J\ufffd"), lines[1])
	require.True(t, strings.HasSuffix(lines[2], "a\ufffd\ufffdb"), lines[2])
}
