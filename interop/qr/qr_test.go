// Package qr_test reads what internal/qr draws with gozxing, a decoder that shares nothing with
// the encoder: ZXing, from which it comes, is what many phones scan with. interop/qrlogin reads
// the same codes with zbarimg, as a browser and a terminal show them; that SVG and terminal show
// what the picture does is held by the tests of internal/qr.
package qr_test

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

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
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	require.NoError(t, err)
	reader := qrcode.NewQRCodeReader()
	res, err := reader.Decode(bitmap, nil)
	if err != nil {
		// Its detector takes data of a hundredth of all codes for a finder pattern when modules
		// are large; told that there is nothing but the code it reads on.
		res, err = reader.Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	}
	require.NoError(t, err)
	return res.GetText()
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

// acrossModules is how many modules the picture of a code is wide at least, its white border of
// one included. A terminal's has two.
func acrossModules(t *testing.T, text string) int {
	t.Helper()
	c, err := qr.New(text, qr.Options{NoColor: true})
	require.NoError(t, err)
	line, _, _ := strings.Cut(c.Terminal(), "\n")
	return utf8.RuneCountInString(line) - 2
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
