package qrlogin_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// testRenderings reads all that QRCode can draw with zbarimg, 50 codes of different length with
// random content.
func testRenderings(t *testing.T, c *browser.Browser) {
	page := open(t, c, "svg", "", 500, 500, false)
	srv := sdktest.New(t)
	for name, logo := range map[string]image.Image{"plain": nil, "logo": harshLogo()} {
		t.Run(name, func(t *testing.T) {
			const codes = 25
			dir := t.TempDir()
			var files, wanted []string
			reads := func(file, content string) { files, wanted = append(files, file), append(wanted, content) }
			for i := range codes {
				code := offer(t, srv, sdk.QROptions{Logo: logo, Platform: strings.Repeat("x", 5*i)})
				file := func(kind string) string { return filepath.Join(dir, fmt.Sprintf("%s-%d", kind, i)) }

				raw, err := code.PNG()
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file("PNG"), raw, 0o600))
				reads(file("PNG"), code.Content())

				writePNG(t, file("Image"), code.Image())
				reads(file("Image"), code.Content())

				// In its own size, and scaled to one that meets no whole pixels.
				scale := ""
				if i%2 == 1 {
					scale = fmt.Sprintf("width: %dpx; height: auto", 300+7*i)
				}
				page.Do("show", params{"html": `<style>svg { ` + scale + ` }</style>` + code.SVG()}, nil)
				reads(page.Screenshot(fmt.Sprintf("%s-%d", name, i), ""), code.Content())

				writePNG(t, file("Terminal"), screen(t, code.Terminal()))
				reads(file("Terminal"), code.Content())
			}
			for i, content := range zbar(t, files...) {
				require.Equal(t, wanted[i], content, files[i])
			}
		})
	}
}

// offer makes a code for a random id.
func offer(t *testing.T, srv *sdktest.Server, opts sdk.QROptions) *sdk.QRCode {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	opts.SignalServerURL = srv.SignalURL()
	login, err := client.GenerateQRCode(t.Context(), opts)
	require.NoError(t, err)
	select {
	case code, open := <-login.Codes():
		require.True(t, open)
		return code
	case <-time.After(patience):
		require.FailNow(t, "no code")
		return nil
	}
}

// harshLogo is what a scanner likes least: black, with white in it.
func harshLogo() image.Image {
	logo := image.NewGray(image.Rect(0, 0, 60, 60))
	draw.Draw(logo, image.Rect(15, 15, 45, 45), image.White, image.Point{}, draw.Src)
	draw.Draw(logo, image.Rect(25, 25, 35, 35), image.Black, image.Point{}, draw.Src)
	return logo
}

func writePNG(t *testing.T, file string, img image.Image) {
	t.Helper()
	out, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(out, img))
	require.NoError(t, out.Close())
}

// screen draws half blocks as a dark terminal does that shows the colours which the text sets.
func screen(t *testing.T, text string) image.Image {
	t.Helper()
	const width, height = 4, 8 // pixels of a character cell
	require.Equal(t,
		strings.Count(text, "\n"), strings.Count(text, "\x1b[38;5;16;48;5;231m"), "every line sets black on white",
	)
	plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	columns := len([]rune(lines[0]))
	img := image.NewGray(image.Rect(0, 0, width*(columns+10), height*(len(lines)+4)))
	for y, line := range lines {
		require.Len(t, []rune(line), columns)
		for x, r := range []rune(line) {
			cell := image.Rect(0, 0, width, height).Add(image.Pt((x+5)*width, (y+2)*height))
			upper, lower := cell, cell
			upper.Max.Y -= height / 2
			lower.Min.Y += height / 2
			fill(img, upper, r == '█' || r == '▀')
			fill(img, lower, r == '█' || r == '▄')
		}
	}
	return img
}

func fill(img draw.Image, area image.Rectangle, black bool) {
	ink := color.White
	if black {
		ink = color.Black
	}
	draw.Draw(img, area, image.NewUniform(ink), image.Point{}, draw.Src)
}
