package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/gif" // this and the next two are the formats that are shown
	_ "image/jpeg"
	"image/png"
	"io"
	"time"
)

const (
	maxPictureFile = 4 << 20 // bytes
	maxPictureSide = 1024    // pixels
	pictureTimeout = 10 * time.Second
)

// cleanPicture decodes a user's picture and encodes it anew, so that nothing but a picture reaches
// the browser.
func cleanPicture(r io.ReadSeeker) ([]byte, error) {
	cfg, _, err := image.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	if cfg.Width > maxPictureSide || cfg.Height > maxPictureSide {
		return nil, fmt.Errorf("%dx%d pixels are too many", cfg.Width, cfg.Height)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	picture, _, err := image.Decode(r)
	if err != nil {
		return nil, err
	}
	return encodePNG(picture)
}

func encodePNG(picture image.Image) ([]byte, error) {
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// limitedBuffer is a buffer that refuses to grow beyond most bytes.
type limitedBuffer struct {
	bytes.Buffer
	most int
}

var errTooLarge = errors.New("the picture is too large")

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}

var (
	blue = color.RGBA{R: 0x1d, G: 0x5f, B: 0xd6, A: 0xff}
	sand = color.RGBA{R: 0xf2, G: 0xd5, B: 0xb1, A: 0xff}
	wine = color.RGBA{R: 0x8c, G: 0x2f, B: 0x4f, A: 0xff}
	mist = color.RGBA{R: 0xd9, G: 0xe6, B: 0xf7, A: 0xff}
)

// shape reports whether a point is inside of it. A picture has 100 x 100 units.
type shape func(x, y float64) bool

func disc(cx, cy, r float64) shape {
	return func(x, y float64) bool { return (x-cx)*(x-cx)+(y-cy)*(y-cy) <= r*r }
}

// rounded is a rectangle with round corners.
func rounded(x0, y0, x1, y1, r float64) shape {
	return func(x, y float64) bool {
		dx, dy := x-min(max(x, x0+r), x1-r), y-min(max(y, y0+r), y1-r)
		return dx*dx+dy*dy <= r*r
	}
}

// drawLogo draws a speech bubble with three dots. Its white ground separates it from the modules of
// the code.
func drawLogo() image.Image {
	logo := canvas(128)
	paint(logo, color.White, rounded(0, 0, 100, 100, 18))
	paint(logo, blue, rounded(10, 12, 90, 74, 20))
	tail := func(x, y float64) bool { return x >= 26 && y >= 60 && x-26 <= (92-y)*0.8 && y <= 92 }
	paint(logo, blue, tail)
	for _, x := range []float64{30, 50, 70} {
		paint(logo, color.White, disc(x, 43, 7))
	}
	return logo
}

// drawAlice draws the picture of alice, the user of the test server.
func drawAlice() image.Image {
	picture := canvas(192)
	paint(picture, mist, rounded(0, 0, 100, 100, 0))
	paint(picture, wine, disc(50, 42, 27))
	paint(picture, wine, rounded(23, 42, 77, 76, 10))
	paint(picture, blue, disc(50, 106, 36))
	paint(picture, sand, rounded(43, 55, 57, 78, 6))
	paint(picture, sand, disc(50, 46, 20))
	paint(picture, color.Black, disc(43, 45, 2.4))
	paint(picture, color.Black, disc(57, 45, 2.4))
	paint(picture, wine, func(x, y float64) bool { return disc(50, 51, 8)(x, y) && y > 54 })
	return picture
}

func canvas(side int) *image.RGBA { return image.NewRGBA(image.Rect(0, 0, side, side)) }

// paint fills s, with smooth edges.
func paint(dst *image.RGBA, c color.Color, s shape) {
	const samples = 4 // per side of a pixel
	side := dst.Bounds().Dx()
	mask := image.NewAlpha(dst.Bounds())
	for py := range side {
		for px := range side {
			hits := 0
			for i := range samples * samples {
				x := (float64(px) + (float64(i%samples)+0.5)/samples) * 100 / float64(side)
				y := (float64(py) + (float64(i/samples)+0.5)/samples) * 100 / float64(side)
				if s(x, y) {
					hits++
				}
			}
			mask.SetAlpha(px, py, color.Alpha{A: uint8(hits * 255 / (samples * samples))})
		}
	}
	draw.DrawMask(dst, dst.Bounds(), image.NewUniform(c), image.Point{}, mask, image.Point{}, draw.Over)
}
