package qr

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	skip2 "github.com/skip2/go-qrcode"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/qrfixture"
	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

// BenchmarkPNG holds a code with a logo, from its content to a file, against a plain one of skip2.
// The goal is a cpu-ratio of at most 1.5.
func BenchmarkPNG(b *testing.B) {
	text := qrfixture.Content(rand.New(rand.NewPCG(11, 12)), 400)
	for name, pic := range map[string]image.Image{
		"flat": qrfixture.Logo(200, 200), "smooth": smooth(200), "noise": qrfixture.Photo(200),
	} {
		b.Run(name, func(b *testing.B) {
			versus.Compare(b, 3, func() {
				c, err := New(text, Options{Logo: pic})
				require.NoError(b, err)
				_, err = c.PNG()
				require.NoError(b, err)
			}, func() {
				_, err := skip2.Encode(text, skip2.Highest, DefaultSize)
				require.NoError(b, err)
			})
		})
	}
}

// smooth is like most photographs: it has many colours, and neighbours are similar.
func smooth(side int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			dx, dy := float64(x-side/2), float64(y-side/3)
			light := math.Exp(-(dx*dx + dy*dy) / float64(side*side/4))
			img.SetRGBA(
				x, y, color.RGBA{R: uint8(255 * light), G: uint8(255 * x / side), B: uint8(200 * y / side), A: 255},
			)
		}
	}
	return img
}
