package qr

import (
	"image"
	"math/rand/v2"
	"testing"

	skip2 "github.com/skip2/go-qrcode"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/versus"
)

// BenchmarkPNG holds a code with a logo, from its content to a file, against a plain one of skip2. The goal is a cpu-ratio of at most 1.5.
func BenchmarkPNG(b *testing.B) {
	text := content(rand.New(rand.NewPCG(11, 12)), 400)
	for name, pic := range map[string]image.Image{"flat": logo(200, 200), "photo": photo(200)} {
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
