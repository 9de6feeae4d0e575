// Package qr_test reads what internal/qr draws with gozxing, a decoder that shares nothing with
// the encoder: ZXing, from which it comes, is what many phones scan with. interop/qrlogin reads
// the same codes with zbarimg, as a browser and a terminal show them; that SVG and terminal show
// what the picture does is held by the tests of internal/qr.
package qr_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/qr"
	"github.com/mirrorfly-go/sdk/internal/testing/qrfixture"
)

// requireScans draws a code as a PNG file and reads it.
func requireScans(t *testing.T, want string, opts qr.Options) {
	t.Helper()
	c, err := qr.New(want, opts)
	require.NoError(t, err)
	file, err := c.PNG()
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t,
		want, decode(t, img), "%d characters, %d px, logo of %d", len(want), img.Bounds().Dx(), opts.LogoSize,
	)
}

func decode(t *testing.T, img image.Image) string {
	t.Helper()
	res, err := scan(t, img, nil)
	if err != nil {
		// Its detector takes data of a hundredth of all codes for a finder pattern when modules
		// are large; told that there is nothing but the code it reads on.
		res, err = scan(t, img, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	}
	require.NoError(t, err)
	requireLevel(t, "H", res)
	return res.GetText()
}

func scan(t *testing.T, img image.Image, hints map[gozxing.DecodeHintType]any) (*gozxing.Result, error) {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	return qrcode.NewQRCodeReader().Decode(bitmap, hints)
}

// A code in a terminal has level L, and is read in dark and in light terminals, whatever pixels a
// cell has.
func TestEveryCodeScansInATerminal(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	requireTerminalScans := func(n int) {
		text := qrfixture.Content(r, n)
		c, err := qr.New(text, qr.Options{})
		require.NoError(t, err)
		columns, rows := c.TerminalSize()
		cells := []image.Point{{4, 8}, {7, 14}, {8, 17}, {9, 19}}
		for i, around := range []color.Gray{{0}, {0x30}, {0xff}} {
			cell := cells[(n+i)%len(cells)]
			res, err := scan(t, screen(c.Terminal(), columns, rows, cell, around), nil)
			if err != nil {
				// As above. A phone looks again from another distance.
				cell = cells[(n+i+1)%len(cells)]
				res, err = scan(t, screen(c.Terminal(), columns, rows, cell, around), nil)
			}
			require.NoError(t, err, "%d characters, cells of %v, around %v", n, cell, around)
			require.Equal(t, text, res.GetText())
			requireLevel(t, "L", res)
		}
	}
	for n := 8; n <= 460; n += 12 {
		requireTerminalScans(n)
	}
	for range 25 {
		requireTerminalScans(128) // as long as the codes of QR logins are
	}
}

// requireLevel checks the level of error correction of a code that was read.
func requireLevel(t *testing.T, want string, res *gozxing.Result) {
	t.Helper()
	require.Equal(t, want, fmt.Sprint(res.GetResultMetadata()[gozxing.ResultMetadataType_ERROR_CORRECTION_LEVEL]))
}

// screen shows what Terminal draws, in the middle of a terminal of a colour of its own. It knows
// half blocks, and black on white.
func screen(text string, columns, rows int, cell image.Point, around color.Gray) image.Image {
	const margin = 3 // cells
	size := image.Pt((columns+2*margin)*cell.X, (rows+2*margin)*cell.Y)
	img := image.NewGray(image.Rectangle{Max: size})
	draw.Draw(img, img.Bounds(), image.NewUniform(around), image.Point{}, draw.Src)
	text = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	for y, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		for x, char := range []rune(line) {
			at := image.Rectangle{Max: cell}.Add(image.Pt((x+margin)*cell.X, (y+margin)*cell.Y))
			upper, lower := at, at
			upper.Max.Y -= cell.Y / 2
			lower.Min.Y = upper.Max.Y
			for half, black := range map[image.Rectangle]bool{
				upper: char == '█' || char == '▀', lower: char == '█' || char == '▄',
			} {
				ink := image.White
				if black {
					ink = image.Black
				}
				draw.Draw(img, half, ink, image.Point{}, draw.Src)
			}
		}
	}
	return img
}

// Contents as long as sealed ones are: six versions of the code, and with a logo one that is larger
// than all of them.
func TestEveryCodeScans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	wide, colourful := qrfixture.Logo(300, 200), qrfixture.Photo(200)
	for n := 300; n <= 450; n += 5 {
		text := qrfixture.Content(r, n)
		requireScans(t, text, qr.Options{})
		requireScans(t, text, qr.Options{Logo: wide})
		if n%30 == 0 {
			requireScans(t, text, qr.Options{Logo: colourful})
		}
	}
}

// The logo at its largest, in pictures where the code leaves the most room around.
func TestLargestLogoScans(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 8, 120, 300, 700} {
		text := qrfixture.Content(r, n)
		span := acrossModules(t, text)
		for _, size := range []int{2 * span, 3*span - 1, 4*span - 1} {
			opts := qr.Options{Size: size, Logo: qrfixture.Logo(90, 90), LogoSize: size / 4}
			_, err := qr.New(text, opts)
			for err != nil && opts.LogoSize > size/6 {
				opts.LogoSize--
				_, err = qr.New(text, opts)
			}
			requireScans(t, text, opts)
		}
	}
}

// acrossModules is how many modules the picture of a code is wide at least, its white border
// included.
func acrossModules(t *testing.T, text string) int {
	t.Helper()
	const least = 2 // pixels of a module
	_, err := qr.New(text, qr.Options{Size: 1})
	require.Error(t, err)
	var size, needed int
	_, scanErr := fmt.Sscanf(err.Error(), "qr: size %d px is too small, this content needs %d", &size, &needed)
	require.NoError(t, scanErr, "%v", err)
	return needed / least
}

func TestExtremesScan(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		text string
		opts qr.Options
	}{
		// the longest there is
		{qrfixture.Content(r, 1273), qr.Options{Logo: qrfixture.Logo(4096, 1), LogoSize: 1}},
		{"short", qr.Options{Size: 100, Logo: qrfixture.Logo(1, 1)}},
		{"short", qr.Options{Size: 1000, Logo: qrfixture.Logo(4096, 4096), LogoSize: 250}},
	} {
		requireScans(t, c.text, c.opts)
	}
}
