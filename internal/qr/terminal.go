package qr

import "strings"

const (
	// terminalQuiet is in modules. It is wider, since the terminal around it may be black.
	terminalQuiet = 2

	// Black on white from the fixed part of the palette of 256 colours. The user's theme defines
	// the first 16 of them.
	blackOnWhite = "\x1b[38;5;16;48;5;231m"
	reset        = "\x1b[0m"
)

// Terminal is the code as lines of half block characters, two rows of modules in a line, for a
// terminal with UTF-8. It sets black on white, so dark and light terminals show the same. With
// Options.NoColor it is plain text instead. There is no logo.
func (c *Code) Terminal() string {
	var b strings.Builder
	end := len(c.modules) + terminalQuiet
	for y := -terminalQuiet; y < end; y += 2 {
		if !c.noColor {
			b.WriteString(blackOnWhite)
		}
		for x := -terminalQuiet; x < end; x++ {
			b.WriteString(halfBlock(c.black(x, y) != c.noColor, c.black(x, y+1) != c.noColor))
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
