package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// figure is one measured value.
type figure struct {
	value float64
	text  string
	// isTime: it depends on the machine, and is shown only on request.
	isTime bool
	// more: a larger one is better, as with rates.
	more bool
}

func rate(each time.Duration) figure {
	perSecond := float64(time.Second) / float64(max(each, 1))
	return figure{value: perSecond, text: fmt.Sprintf("%.0f/s", perSecond), isTime: true, more: true}
}

func micros(d time.Duration) figure {
	return figure{value: float64(d), text: fmt.Sprintf("%.1f us", float64(d)/1e3), isTime: true}
}

func count(n float64) figure { return figure{value: n, text: fmt.Sprintf("%.1f", n)} }

func size(n float64) figure { return figure{value: n, text: fmt.Sprintf("%.1f kB", n/1e3)} }

func kibibytes(n float64) figure { return figure{value: n, text: fmt.Sprintf("%.1f KiB", n/1024)} }

// table compares peers: each figure as it is, as a ratio to the limit, and as a ratio to the best
// of the peers that are not ours.
type table struct {
	columns []string
	rows    []row
}

type row struct {
	peer    peer
	figures []figure
}

func newTable(columns ...string) *table { return &table{columns: columns} }

func (t *table) add(p peer, figures ...figure) { t.rows = append(t.rows, row{p, figures}) }

func (t *table) print(out io.Writer, verbose bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprint(w, "peer\t")
	for i, name := range t.columns {
		if t.shown(i, verbose) {
			fmt.Fprint(w, name, "\t")
		}
		fmt.Fprint(w, name+"/limit\t/best\t")
	}
	fmt.Fprintln(w)
	for _, r := range t.rows {
		fmt.Fprint(w, r.peer.name, "\t")
		for i, f := range r.figures {
			if t.shown(i, verbose) {
				fmt.Fprint(w, f.text, "\t")
			}
			fmt.Fprint(w, ratio(f, t.limit(i)), "\t", ratio(f, t.best(i)), "\t")
		}
		fmt.Fprintln(w)
	}
}

// shown hides times, which say something only about this machine. Ratios say something about the
// peers.
func (t *table) shown(column int, verbose bool) bool {
	return verbose || !t.rows[0].figures[column].isTime
}

func (t *table) limit(column int) float64 {
	for _, r := range t.rows {
		if r.peer.name == limitName {
			return r.figures[column].value
		}
	}
	return 0
}

func (t *table) best(column int) float64 {
	best := 0.0
	for _, r := range t.rows {
		f := r.figures[column]
		if !r.peer.ours && (best == 0 || f.more == (f.value > best)) {
			best = f.value
		}
	}
	return best
}

func ratio(f figure, to float64) string {
	// What it is compared with is next to nothing.
	if to*1000 < f.value {
		return "-"
	}
	return fmt.Sprintf("%.2f", f.value/to)
}
