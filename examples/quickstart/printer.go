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
	mu       sync.Mutex // calls and listeners print at the same time
	out      io.Writer
	terminal bool
	drawn    bool // there is a bar in the last line
}

func newPrinter(out io.Writer, terminal bool) *printer {
	p := &printer{out: out, terminal: terminal}
	fmt.Fprintf(out, "%-44s %6s  %8s  %s\n", "CALL", "STATUS", "TOOK", "WHAT CAME BACK")
	return p
}

func (p *printer) call(name string, status int, took time.Duration, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, "%-44s %6d  %6.1fms  %s\n", name, status, float64(took.Microseconds())/1000, oneLine(what))
}

func (p *printer) event(name, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, "  event  %-35s %6s  %8s  %s\n", name, "", "", oneLine(what))
}

func (p *printer) heading(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
	fmt.Fprintf(p.out, "\n%s\n", text)
}

// oneLine keeps names and messages of other people from moving the cursor or beginning a line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
