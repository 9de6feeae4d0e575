// Package qrfixture has contents and logos for tests of QR codes.
package qrfixture

import (
	"encoding/base64"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
)

// Content is n bytes of base64 text, as the service's sealed contents are.
func Content(r *rand.Rand, n int) string {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)[:n]
}

// LogoOrigin is the upper left corner of what [Logo] returns: a picture need not begin at (0, 0).
var LogoOrigin = image.Pt(-7, 5)

// Logo is a picture that is bad for a scanner: black, with a white rectangle in it.
func Logo(w, h int) image.Image {
	img := image.NewPaletted(image.Rect(0, 0, w, h).Add(LogoOrigin), color.Palette{color.Black, color.White})
	white := image.Rect(w/4, h/4, w/2, h/2).Add(LogoOrigin)
	draw.Draw(img, white, image.White, image.Point{}, draw.Src)
	return img
}

// Photo is a logo with more colours than a palette holds.
func Photo(side int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = byte(i*i>>8 ^ i)
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}
