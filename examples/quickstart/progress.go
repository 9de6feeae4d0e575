package main

import (
	"fmt"
	"os"
	"strings"
)

// isTerminal reports whether a bar can be drawn on f: a console of Windows is one too, what a dumb terminal shows would be a mess.
// (The null device counts as a terminal. Nobody looks at it.)
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// barLine is the longest line that is drawn for progress: short enough for every terminal.
const barLine = 60

// progress shows how much of a file has arrived. On a terminal that is one line which is drawn again and again, and which the next line
// wipes away; elsewhere it is a line each time. There are no colours and no escape codes, so NO_COLOR has nothing to turn off,
// and old consoles of Windows show it as well.
func (p *printer) progress(name string, sent, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprintf(p.out, "\r%-*s", barLine, "  sending "+progressBar(sent, total))
		p.drawn = true
	} else if sent > 0 || total <= 0 {
		fmt.Fprintf(p.out, "  sending %s: %s\n", name, progressNumbers(sent, total))
	}
}

// wipe takes the bar away. It needs mu.
func (p *printer) wipe() {
	if p.drawn {
		fmt.Fprintf(p.out, "\r%*s\r", barLine, "")
		p.drawn = false
	}
}

func progressBar(sent, total int64) string {
	const width = 24
	if total < 0 {
		return progressNumbers(sent, total)
	}
	filled := int(share(sent, total) * width)
	return "[" + strings.Repeat("#", filled) + strings.Repeat("-", width-filled) + "] " + progressNumbers(sent, total)
}

// progressNumbers is what a bar shows, in digits. A negative total is not known.
func progressNumbers(sent, total int64) string {
	const mb = 1e6
	sent = max(sent, 0)
	if total < 0 {
		return fmt.Sprintf("%.1f MB", float64(sent)/mb)
	}
	return fmt.Sprintf("%3d%%, %.1f of %.1f MB", int(share(sent, total)*100), float64(sent)/mb, float64(total)/mb)
}

// share is between 0 and 1; of nothing, all has been sent.
func share(sent, total int64) float64 {
	if sent >= total {
		return 1
	}
	return float64(max(sent, 0)) / float64(total)
}
