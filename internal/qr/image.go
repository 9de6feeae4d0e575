package qr

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"sync"
)

const (
	// logoDetail is how many pixels a side a logo keeps at least, for SVG.
	logoDetail = 128
	// maxSamples is per side of the box that makes one pixel of a smaller logo.
	maxSamples = 8
)

// Image draws the code, Size x Size pixels, black on white. All modules have the same whole number
// of pixels, since uneven ones are harder to read. Pixels that remain widen the quiet zone. The
// caller owns the picture.
func (c *Code) Image() image.Image {
	bounds := image.Rect(0, 0, c.size, c.size)
	if c.logo == nil {
		// Two colours make a small PNG.
		img := image.NewPaletted(bounds, color.Palette{color.White, color.Black})
		c.drawModules(img)
		return img
	}
	img := image.NewRGBA(bounds)
	draw.Draw(img, bounds, image.White, image.Point{}, draw.Src)
	c.drawModules(img)
	c.drawLogo(img)
	return img
}

// PNG is [Code.Image] as a PNG file.
func (c *Code) PNG() ([]byte, error) {
	img := c.Image()
	if full, ok := img.(*image.RGBA); ok {
		img = indexed(full)
	}
	// Speed matters more than size: a code is looked at once.
	encoder := png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: &pngBuffers}
	var buf bytes.Buffer
	if err := encoder.Encode(&buf, img); err != nil {
		return nil, fmt.Errorf("qr: PNG: %w", err)
	}
	return buf.Bytes(), nil
}

// pngBuffers are buffers of the encoder, which are larger than the files.
var pngBuffers pool

type pool struct{ sync.Pool }

func (p *pool) Get() *png.EncoderBuffer {
	buf, _ := p.Pool.Get().(*png.EncoderBuffer)
	return buf
}

func (p *pool) Put(buf *png.EncoderBuffer) { p.Pool.Put(buf) }

// indexed is img with a palette, which makes a smaller PNG in less time. It is img itself when that
// has more colours than a palette.
func indexed(img *image.RGBA) image.Image {
	out := image.NewPaletted(img.Rect, nil)
	known := make(map[color.RGBA]uint8)
	// Most pixels are like the one before. None is transparent, so the zero value is no colour of
	// img.
	var last color.RGBA
	var n uint8
	for i := range out.Pix {
		p := color.RGBA{R: img.Pix[4*i], G: img.Pix[4*i+1], B: img.Pix[4*i+2], A: img.Pix[4*i+3]}
		if p != last {
			var ok bool
			if n, ok = known[p]; !ok && len(out.Palette) == 256 {
				return img
			} else if !ok {
				n = uint8(len(out.Palette))
				known[p], out.Palette = n, append(out.Palette, p)
			}
			last = p
		}
		out.Pix[i] = n
	}
	return out
}

func (c *Code) drawModules(img draw.Image) {
	side, offset := c.side, c.offset()
	for y, row := range c.modules {
		for x, black := range row {
			if black {
				at := image.Pt(offset+x*side, offset+y*side)
				draw.Draw(
					img, image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))}, image.Black, image.Point{},
					draw.Src,
				)
			}
		}
	}
}

func (c *Code) drawLogo(img draw.Image) {
	b := c.logo.Bounds()
	w, h := fit(b.Dx(), b.Dy(), c.logoSize)
	scaled := resize(c.logo, w, h)
	at := image.Pt((c.size-w)/2, (c.size-h)/2)
	draw.Draw(img, scaled.Bounds().Add(at), scaled, image.Point{}, draw.Over)
}

// fit scales w x h to the largest size within a square of side.
func fit(w, h, side int) (int, int) {
	longer := max(w, h)
	return max(1, w*side/longer), max(1, h*side/longer)
}

// shrink copies src, with at most side pixels a side.
func shrink(src image.Image, side int) *image.RGBA {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if max(w, h) > side {
		w, h = fit(w, h, side)
	}
	return resize(src, w, h)
}

// resize scales src. Each pixel is the mean of the box of src that it stands for. To enlarge src,
// that box is the nearest pixel.
func resize(src image.Image, w, h int) *image.RGBA {
	b := src.Bounds()
	from := rgba64(src)
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		y0, y1 := b.Min.Y+y*b.Dy()/h, b.Min.Y+(y+1)*b.Dy()/h
		for x := range w {
			x0, x1 := b.Min.X+x*b.Dx()/w, b.Min.X+(x+1)*b.Dx()/w
			dst.SetRGBA(x, y, mean(from, image.Rect(x0, y0, max(x1, x0+1), max(y1, y0+1))))
		}
	}
	return dst
}

// mean is the mean colour of src within box, premultiplied by alpha. It takes samples of a large
// box, so that the size of src does not matter.
func mean(src image.RGBA64Image, box image.Rectangle) color.RGBA {
	stepX, stepY := 1+(box.Dx()-1)/maxSamples, 1+(box.Dy()-1)/maxSamples
	// The sums of 64 samples of 16 bits fit.
	var r, g, b, a, n uint32
	for y := box.Min.Y; y < box.Max.Y; y += stepY {
		for x := box.Min.X; x < box.Max.X; x += stepX {
			p := src.RGBA64At(x, y)
			r, g, b, a, n = r+uint32(p.R), g+uint32(p.G), b+uint32(p.B), a+uint32(p.A), n+1
		}
	}
	return color.RGBA{R: uint8(r / n >> 8), G: uint8(g / n >> 8), B: uint8(b / n >> 8), A: uint8(a / n >> 8)}
}

// rgba64 returns src as a picture that can be read without an allocation for each pixel. All
// pictures of the standard library can.
func rgba64(src image.Image) image.RGBA64Image {
	if fast, ok := src.(image.RGBA64Image); ok {
		return fast
	}
	return slow{src}
}

type slow struct{ image.Image }

func (s slow) RGBA64At(x, y int) color.RGBA64 {
	r, g, b, a := s.At(x, y).RGBA()
	return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
}
