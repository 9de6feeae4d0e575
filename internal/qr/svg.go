package qr

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"strings"
)

// SVG is the code as a document: a white square, one black path whose units are modules, and the
// logo as an embedded picture. It scales to any size. At its own size it is [Code.Image] pixel by
// pixel.
func (c *Code) SVG() string {
	var b strings.Builder
	// The view is the picture's square, so that modules meet whole pixels.
	unit := float64(c.side)
	start, width := -float64(c.offset())/unit, float64(c.size)/unit
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="%g %g %g %g" `+
		`role="img" aria-label="QR code">`,
		c.size, c.size, start, start, width, width)
	fmt.Fprintf(&b, `<rect x="%g" y="%g" width="%g" height="%g" fill="#fff"/>`, start, start, width, width)
	b.WriteString(`<path fill="#000" shape-rendering="crispEdges" d="`)
	c.writePath(&b)
	b.WriteString(`"/>`)
	if c.logo != nil {
		side := float64(c.logoSize) / unit
		c.writeLogo(&b, start+(width-side)/2, side)
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// writePath writes a rectangle for each run of black modules in a row.
func (c *Code) writePath(b *strings.Builder) {
	for y := range c.modules {
		for x := 0; x < len(c.modules); x++ {
			run := 0
			for c.modules.black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(b, "M%d %dh%dv1h-%dz", x, y, run, run)
				x += run
			}
		}
	}
}

// writeLogo writes the logo into a square at (at, at). The viewer keeps its aspect.
func (c *Code) writeLogo(b *strings.Builder, at, side float64) {
	var file bytes.Buffer
	if err := png.Encode(&file, c.logo); err != nil {
		// This cannot happen: a write to a buffer never fails, and shrink has given the logo a
		// valid size.
		return
	}
	fmt.Fprintf(b, `<image x="%g" y="%g" width="%g" height="%g" href="data:image/png;base64,%s"/>`,
		at, at, side, side, base64.StdEncoding.EncodeToString(file.Bytes()))
}
