// Package qr draws QR codes as pictures, SVG and terminal text. The codes have
// error correction level H, so that a logo may cover their middle.
package qr

import (
	"errors"
	"fmt"
	"image"

	"github.com/skip2/go-qrcode"
)

// Sizes in pixels, as protocol.md 7.3 has them.
const (
	DefaultSize     = 240
	DefaultLogoSize = 50

	// a side of the picture, and of the logo handed in
	maxSize = 4096
	// pixels of a module's side; with fewer, cameras fail
	minModule = 2
	// modules of white around the code
	quiet = 1
	// 177 modules, ISO/IEC 18004
	maxVersion = 40

	// The logo covers at most a quarter of the picture's width, and of the code's
	// own a little more: where level H was seen to begin to fail is at 30 %.
	logoPart = 25
	codePart = 28
)

// Options says how a code is drawn. The zero value draws 240 px without a logo.
type Options struct {
	// Size is the side of the picture in pixels, at most 4096. 0 takes 240, or
	// more when the content needs more to be readable.
	Size int
	// Logo is drawn in the middle, its aspect kept, when it is not nil. It may
	// have at most 4096 pixels a side. New copies it.
	Logo image.Image
	// LogoSize is the side of the square that the logo fills, in pixels, at most
	// a quarter of Size; less where the code itself leaves much of a small picture
	// white. 0 takes 50, or the most that is allowed when that is less.
	LogoSize int
	// NoColor makes Terminal return plain half blocks, without escape codes. They
	// stand for the white modules, so the text is readable on a dark terminal
	// only. For programs that honour NO_COLOR; this package reads no environment.
	NoColor bool
}

// Code is a QR code, ready to be drawn. It never changes, so any number of
// goroutines may use it.
type Code struct {
	content string
	// rows without the quiet zone; true is black
	modules [][]bool
	// side of the picture in pixels
	size int
	// side of a module in pixels
	side int
	// our own copy; nil: none
	logo image.Image
	// side of the logo's square in pixels
	logoSize int
	noColor  bool
}

// New encodes content at level H. It fails when the content is empty or too long
// for that level (1273 bytes), when Size leaves less than 2 pixels for a module,
// and when the logo is larger than [Options] permits.
func New(content string, opts Options) (*Code, error) {
	q, err := qrcode.New(content, qrcode.Highest)
	if err != nil {
		return nil, fmt.Errorf("qr: encode: %w", err)
	}
	c := &Code{content: content, noColor: opts.NoColor}
	if err := c.setSize(opts.Size, q.VersionNumber); err != nil {
		return nil, err
	}
	if opts.Logo != nil {
		// A larger version where the modules stay as large: the logo then covers
		// less of the code.
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

// setSize takes the size asked for, if a code of that version fits in.
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

// setLogo takes the logo of a code of that version, if it may be that large.
func (c *Code) setLogo(logo image.Image, size, version int) error {
	most := min(c.size*logoPart, c.side*span(version)*codePart) / 100
	switch {
	case size == 0:
		size = min(DefaultLogoSize, most)
	case size < 0 || size > most:
		return fmt.Errorf("qr: logo size %d px is not within 1 to %d, a quarter of the width at most", size, most)
	}
	// Before any pixel is touched: the picture may be lazy or hostile.
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

// offset is where the code begins, in pixels from the left and from the top.
func (c *Code) offset() int { return (c.size - c.side*len(c.modules)) / 2 }

// black tells the module at column x and row y; everything outside is white.
func (c *Code) black(x, y int) bool {
	return y >= 0 && y < len(c.modules) && x >= 0 && x < len(c.modules) && c.modules[y][x]
}
