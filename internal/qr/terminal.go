package qr

import (
	"strings"

	"github.com/skip2/go-qrcode"
)

const (
	// The white border in modules. It is wider than that of a picture, since the terminal around it
	// may be black. The number of modules is odd, so with these all rows are full. The wide border
	// is above: when one more line scrolls the first one away, the code is still whole.
	terminalSide, terminalTop, terminalBottom = 2, 2, 1

	// Black on white from the fixed part of the palette of 256 colours. The user's theme defines
	// the first 16 of them.
	blackOnWhite = "\x1b[38;5;16;48;5;231m"
	reset        = "\x1b[0m"
)

// smallest is a code at level L, as small as content permits. Nothing covers a code in a terminal,
// and its modules are sharp and all of one size, so that is correction enough: what does not fit
// cannot be scanned at all. Contents of the service leave no room for another level in that size.
func smallest(content string) modules {
	q, err := qrcode.New(content, qrcode.Low)
	if err != nil {
		// This cannot happen: New has encoded the same at level H, which takes more room.
		return nil
	}
	q.DisableBorder = true
	return q.Bitmap()
}

// TerminalSize is how many columns and rows [Code.Terminal] takes.
func (c *Code) TerminalSize() (columns, rows int) {
	n := len(c.small())
	return n + 2*terminalSide, (n + terminalTop + terminalBottom) / 2
}

// Terminal is the code as lines of half block characters, two rows of modules in a line, for a
// terminal with UTF-8. It sets black on white, so dark and light terminals show the same. With
// Options.NoColor it is plain text instead. There is no logo, so the code has less error correction
// than the picture and is smaller.
func (c *Code) Terminal() string {
	var b strings.Builder
	code := c.small()
	for y := -terminalTop; y < len(code)+terminalBottom; y += 2 {
		if !c.noColor {
			b.WriteString(blackOnWhite)
		}
		for x := -terminalSide; x < len(code)+terminalSide; x++ {
			b.WriteString(halfBlock(code.black(x, y) != c.noColor, code.black(x, y+1) != c.noColor))
		}
		if !c.noColor {
			b.WriteString(reset)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// halfBlock paints the upper and the lower half of a character cell.
func halfBlock(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
