package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printViews prints each new code and who has logged in, until ctx ends.
func printViews(ctx context.Context, b *board, out io.Writer) {
	var last view
	for {
		v, changed := b.look()
		if v.notice != "" && v.notice != last.notice {
			fmt.Fprintln(out, printable(v.notice))
		}
		switch {
		case v.code != nil && v.code != last.code:
			fmt.Fprintf(out, "\n%s\n", v.code.Terminal())
			fmt.Fprintln(out, "Scan this code with the app on your phone. Ctrl+C ends the program.")
		case v.user != nil && v.user != last.user:
			fmt.Fprintf(out, "Logged in as %s\n", printable(v.user.name))
		}
		last = v
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
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
