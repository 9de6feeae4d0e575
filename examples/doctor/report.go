package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/mirrorfly-go/sdk"
)

// step is something that has to work before the next one can.
type step struct {
	name string
	// run returns what it has found. An error is a skipped, a problem, or any other failure.
	run func(context.Context) (found string, err error)
}

// skipped is why a step has nothing to do.
type skipped string

func (s skipped) Error() string { return string(s) }

// problem is why a step has failed, and what to do about it.
type problem struct {
	err error
	fix string
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

// examine runs steps until one fails, prints a line for each and one for all that were not reached,
// and cleans up in any case. It reports whether everything works.
func examine(ctx context.Context, out io.Writer, patience time.Duration, steps []step, cleanUp step) bool {
	healthy := true
	for i, s := range steps {
		if healthy = s.examine(ctx, out, patience); !healthy {
			printNotReached(out, len(steps)-i-1, s)
			break
		}
	}
	// Also after Ctrl+C.
	cleaned := cleanUp.examine(context.WithoutCancel(ctx), out, patience)
	return healthy && cleaned
}

func (s step) examine(ctx context.Context, out io.Writer, patience time.Duration) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := s.run(ctx)
	var nothing skipped
	var p *problem
	switch {
	case err == nil:
		printLine(out, "ok", s.name, found)
		return true
	case errors.As(err, &nothing):
		printLine(out, "skipped", s.name, string(nothing))
		return true
	case !errors.As(err, &p):
		p = &problem{err, advice(err)}
	}
	printLine(out, "failed", s.name, found)
	printLine(out, "", "why", reason(p.err))
	printLine(out, "", "what to do", p.fix)
	return false
}

// reason is the text of an error. Of package sdk's it is what happened, without the advice, which
// speaks of Config where a user of this program has environment variables.
func reason(err error) string {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := fmt.Sprintf("%s: %s (%d)", e.Op, e.Message, e.StatusCode)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func printNotReached(out io.Writer, steps int, failed step) {
	count := fmt.Sprintf("%d steps", steps)
	switch steps {
	case 0:
		return
	case 1:
		count = "1 step"
	}
	printLine(out, "skipped", count, fmt.Sprintf("not reached, because %q has failed", failed.name))
}

func printLine(out io.Writer, state, name, text string) {
	line := strings.TrimRight(fmt.Sprintf("%-8s %-12s %s", state, name, oneLine(text)), " ")
	_, _ = fmt.Fprintln(out, line)
}

// oneLine replaces what does not print, so that the words of a server cannot move the cursor or
// begin a line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
