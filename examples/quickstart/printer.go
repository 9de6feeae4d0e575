package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// printer writes one aligned line for each call and each event.
type printer struct {
	// calls and listeners print at the same time
	mu  sync.Mutex
	out io.Writer
}

func newPrinter(out io.Writer) *printer {
	p := &printer{out: out}
	p.print("%-44s %6s  %8s  %s\n", "CALL", "STATUS", "TOOK", "WHAT CAME BACK")
	return p
}

func (p *printer) print(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format, args...)
}

func (p *printer) heading(text string) { p.print("\n%s\n", text) }

func (p *printer) call(name string, status int, took time.Duration, what string) {
	p.print("%-44s %6d  %6.1fms  %s\n", name, status, float64(took.Microseconds())/1000, oneLine(what))
}

func (p *printer) event(name, what string) {
	p.print("  event  %-35s %6s  %8s  %s\n", name, "", "", oneLine(what))
}

// progress is one line for each part of a file that was sent.
func (p *printer) progress(name string, sent, total int64) {
	const mb = 1e6
	p.print("  sending %s: %3d%%, %.1f of %.1f MB\n", name, 100*sent/total, float64(sent)/mb, float64(total)/mb)
}

// oneLine replaces what does not print, so that names and messages of other people cannot move the
// cursor or begin a line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
