// Package qr draws QR codes as pictures, SVG and terminal text. The codes have
// error correction level H, so that a logo may cover their middle.
package qr

import (
	"errors"
	"fmt"
	"image"
	"sync"

	"github.com/skip2/go-qrcode"
)

// Sizes in pixels, as in protocol.md 7.3.
const (
	DefaultSize     = 240
	DefaultLogoSize = 50

	// maxSize bounds the sides of the picture and of the logo.
	maxSize = 4096
	// minModule is how many pixels wide a module is at least. Cameras fail with fewer.
	minModule = 2
	// quiet is how many modules wide the white border is.
	quiet = 1
	// maxVersion has 177 modules (ISO/IEC 18004).
	maxVersion = 40

	// The logo covers at most a quarter of the picture's width, and a little more of the code's
	// width. In tests, level H began to fail at 30 %.
	logoPart = 25
	codePart = 28
)

// Options says how a code is drawn. The zero value draws 240 px without a logo.
type Options struct {
	// Size is the side of the picture in pixels, at most 4096; 0: 240, or more when the content
	// needs more to be readable.
	Size int
	// Logo is drawn in the middle and keeps its aspect; nil: no logo. It may have at most 4096
	// pixels a side. New copies it.
	Logo image.Image
	// LogoSize is the side of the square that the logo fills, in pixels. It is at most a quarter of
	// Size, and less when the code leaves much of a small picture white; 0: 50, or the most that is
	// permitted when that is less.
	LogoSize int
	// NoColor makes Terminal return plain half blocks without escape codes. They show the white
	// modules, so scanners can read the text on dark terminals only. It is for programs that honour
	// NO_COLOR: this package does not read the environment.
	NoColor bool
}

// Code is a QR code, ready to be drawn. It is immutable, so any number of goroutines may use it.
type Code struct {
	content string
	modules modules
	// size is the side of the picture in pixels.
	size int
	// side is the side of a module in pixels.
	side int
	// logo is our own copy; nil: there is none.
	logo image.Image
	// logoSize is the side of the logo's square in pixels.
	logoSize int
	noColor  bool
	// small returns the modules for a terminal.
	small func() modules
}

// modules are the rows of a code without the quiet zone; true is black.
type modules [][]bool

// New encodes content at level H. It fails when the content is empty or too long
// for that level (1273 bytes), when Size leaves less than 2 pixels for a module,
// and when the logo is larger than [Options] permits.
func New(content string, opts Options) (*Code, error) {
	q, err := qrcode.New(content, qrcode.Highest)
	if err != nil {
		return nil, fmt.Errorf("qr: encode: %w", err)
	}
	c := &Code{content: content, noColor: opts.NoColor}
	c.small = sync.OnceValue(func() modules { return smallest(content) })
	if err := c.setSize(opts.Size, q.VersionNumber); err != nil {
		return nil, err
	}
	if opts.Logo != nil {
		// A larger version, if the modules can stay as large: the logo then covers less of the
		// code.
		q, err = qrcode.NewWithForcedVersion(content, largestVersion(c.size, c.side), qrcode.Highest)
		if err != nil {
			return nil, fmt.Errorf("qr: encode: %w", err)
		}
		if err := c.setLogo(opts.Logo, opts.LogoSize, q.VersionNumber); err != nil {
			return nil, err
		}
	}
	q.DisableBorder = true
	c.modules = q.Bitmap()
	return c, nil
}

// span is the number of modules across a code of a version, quiet zone included.
func span(version int) int { return 17 + 4*version + 2*quiet }

// largestVersion is the largest that fits into size pixels with modules of side.
func largestVersion(size, side int) int {
	return min(maxVersion, (size/side-span(0))/4)
}

// setSize sets the size of the picture, if a code of that version fits in.
func (c *Code) setSize(size, version int) error {
	least := minModule * span(version)
	switch {
	case size == 0:
		size = max(DefaultSize, least)
	case size > maxSize:
		return fmt.Errorf("qr: size %d px is more than %d", size, maxSize)
	case size < least:
		return fmt.Errorf("qr: size %d px is too small, this content needs %d", size, least)
	}
	c.size, c.side = size, size/span(version)
	return nil
}

// setLogo sets the logo of a code of that version, if it may be that large.
func (c *Code) setLogo(logo image.Image, size, version int) error {
	most := min(c.size*logoPart, c.side*span(version)*codePart) / 100
	switch {
	case size == 0:
		size = min(DefaultLogoSize, most)
	case size < 0 || size > most:
		return fmt.Errorf("qr: logo size %d px is not within 1 to %d, a quarter of the width at most", size, most)
	}
	// This comes before any pixel is read, since the picture may compute its pixels or be hostile.
	b := logo.Bounds()
	if w, h := b.Dx(), b.Dy(); w > maxSize || h > maxSize {
		return fmt.Errorf("qr: logo of %dx%d px is more than %d a side", w, h, maxSize)
	} else if w <= 0 || h <= 0 {
		return errors.New("qr: logo is empty")
	}
	c.logo, c.logoSize = shrink(logo, max(size, logoDetail)), size
	return nil
}

// Content is the text that a scanner reads.
func (c *Code) Content() string { return c.content }

// offset is how many pixels from the left and from the top the code begins.
func (c *Code) offset() int { return (c.size - c.side*len(c.modules)) / 2 }

// black reports whether the module at column x and row y is black. Everything outside is white.
func (m modules) black(x, y int) bool {
	return y >= 0 && y < len(m) && x >= 0 && x < len(m) && m[y][x]
}
