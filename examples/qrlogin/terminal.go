package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/mirrorfly-go/sdk"
)

// rowsBelow are for the line below a code, and for the cursor in the next one.
const rowsBelow = 2

// terminal prints what every page shows.
type terminal struct {
	out io.Writer
	// size is how many columns and rows the terminal has. nil: nobody knows.
	size func() (columns, rows int, ok bool)
	// look is how often the size is looked at again while it is too small.
	look time.Duration
	// told is the last size that was said to be too small.
	told [2]int
}

// printViews prints each new code and who has logged in, until ctx ends.
func (t *terminal) printViews(ctx context.Context, b *board) {
	var last view
	for {
		v, changed := b.look()
		if v.notice != "" && v.notice != last.notice {
			fmt.Fprintln(t.out, printable(v.notice))
		}
		var again <-chan time.Time
		switch {
		case v.code != nil && v.code != last.code:
			if !t.show(v.code) {
				again = time.After(t.look)
				v.code = last.code
			}
		case v.user != nil && v.user != last.user:
			fmt.Fprintf(t.out, "Logged in as %s\n", printable(v.user.name))
		}
		last = v
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// show prints a code, or once for each size how large the terminal has to be.
func (t *terminal) show(code *sdk.QRCode) bool {
	columns, rows := code.TerminalSize()
	rows += rowsBelow
	if has, ok := t.now(); ok && (has[0] < columns || has[1] < rows) {
		if has != t.told {
			fmt.Fprintf(t.out, "The code needs %d columns and %d rows, this terminal has %d and %d: make it larger.\n",
				columns, rows, has[0], has[1])
		}
		t.told = has
		return false
	}
	t.told = [2]int{}
	fmt.Fprintf(t.out, "\n%s", code.Terminal())
	fmt.Fprintln(t.out, "Scan this code with the app on your phone. Ctrl+C ends the program.")
	return true
}

// now is the size of the terminal at the moment.
func (t *terminal) now() (size [2]int, ok bool) {
	if t.size == nil {
		return size, false
	}
	size[0], size[1], ok = t.size()
	return size, ok
}

// printable replaces what does not print, so that a name cannot control the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
