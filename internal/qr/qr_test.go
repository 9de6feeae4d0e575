package qr

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/qrfixture"
)

// interop/qr tests that a scanner reads the picture, with a decoder that we did not write.
func TestEveryRenderingShowsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	// These are the lengths of sealed contents, with every size of a code among them.
	for n := 300; n <= 450; n += 25 {
		text := qrfixture.Content(r, n)
		pictures := map[string]Options{"plain": {}, "logo": {Logo: qrfixture.Logo(300, 200)}}
		if n%50 == 0 {
			pictures["photo"] = Options{Logo: qrfixture.Photo(200)}
		}
		for name, opts := range pictures {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c, err := New(text, opts)
				require.NoError(t, err)
				require.Equal(t, text, c.Content())
				picture := c.Image()
				require.Equal(t, image.Rect(0, 0, DefaultSize, DefaultSize), picture.Bounds())
				requireModules(t, c, picture)
				requireSamePicture(t, picture, rasterise(t, c.SVG(), 1))
				requireModulesInTerminal(t, c)

				file, err := c.PNG()
				require.NoError(t, err)
				fromFile, err := png.Decode(bytes.NewReader(file))
				require.NoError(t, err)
				requireSamePicture(t, picture, fromFile)
			})
		}
	}
}

// requireModules checks that a picture in the code's own size shows every module that the logo
// leaves free.
func requireModules(t *testing.T, c *Code, picture image.Image) {
	t.Helper()
	corner := (c.size - c.logoSize) / 2
	covered := image.Rect(corner, corner, corner+c.logoSize, corner+c.logoSize).Inset(-1)
	for y := range c.modules {
		for x, black := range c.modules[y] {
			middle := image.Pt(c.offset()+x*c.side+c.side/2, c.offset()+y*c.side+c.side/2)
			if (c.logo == nil || !middle.In(covered)) && isBlack(picture, middle) != black {
				t.Fatalf("module %d,%d: black is not %v", x, y, black)
			}
		}
	}
}

// requireModulesInTerminal checks that a terminal shows every module, and white around.
func requireModulesInTerminal(t *testing.T, c *Code) {
	t.Helper()
	shown := screen(t, c.Terminal(), c.noColor)
	const side = 4
	columns, rows := c.TerminalSize()
	require.Equal(t, image.Rect(0, 0, side*columns, 2*side*rows), shown.Bounds())
	for y := range 2 * rows {
		for x := range columns {
			black := c.small().black(x-terminalSide, y-terminalTop)
			if isBlack(shown, image.Pt(side*x+1, side*y+1)) != black {
				t.Fatalf("cell of module %d,%d: black is not %v", x-terminalSide, y-terminalTop, black)
			}
		}
	}
}

func isBlack(img image.Image, at image.Point) bool {
	r, g, b, _ := img.At(at.X, at.Y).RGBA()
	return r+g+b == 0
}

func requireSamePicture(t *testing.T, want, got image.Image) {
	t.Helper()
	require.Equal(t, want.Bounds(), got.Bounds())
	require.True(t, bytes.Equal(pixels(want), pixels(got)), "the pictures differ")
}

func pixels(img image.Image) []byte {
	all := image.NewRGBA(img.Bounds())
	draw.Draw(all, img.Bounds(), img, img.Bounds().Min, draw.Src)
	return all.Pix
}

// The logo at its largest, in pictures where the code leaves the most room around.
func TestLargestLogo(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 8, 120, 300, 700} {
		text := qrfixture.Content(r, n)
		plain, err := New(text, Options{})
		require.NoError(t, err)
		span := len(plain.modules) + 2*quiet
		for _, size := range []int{2 * span, 3*span - 1, 4*span - 1} {
			_, err := New(text, Options{Size: size, Logo: qrfixture.Logo(90, 90), LogoSize: size/4 + 1})
			require.Error(t, err)
			largest := size / 4
			c, err := New(text, Options{Size: size, Logo: qrfixture.Logo(90, 90), LogoSize: largest})
			for err != nil && largest > size/6 {
				largest--
				c, err = New(text, Options{Size: size, Logo: qrfixture.Logo(90, 90), LogoSize: largest})
			}
			require.NoError(t, err)
			require.Equal(t, size, c.Image().Bounds().Dx())
			requireModules(t, c, c.Image())
			requireModules(t, c, rasterise(t, c.SVG(), 1))
		}
	}
}

// A quarter of the default picture is never refused.
func TestQuarterOfTheDefault(t *testing.T) {
	t.Parallel()
	// How many bytes a code of each version holds, with the most correction (ISO/IEC 18004, table
	// 7).
	versions := []int{
		7, 14, 24, 34, 44, 58, 64, 84, 98, 119, 137, 155, 177, 194, 220, 250, 280, 310, 338, 382, 403, 439, 461, 511,
		535,
	}
	r := rand.New(rand.NewPCG(13, 14))
	for version, n := range versions {
		c, err := New(qrfixture.Content(r, n), Options{Logo: qrfixture.Logo(9, 9), LogoSize: DefaultSize / 4})
		require.NoError(t, err, "%d characters", n)
		require.GreaterOrEqual(t, len(c.modules), 17+4*(version+1))
	}
	require.Len(t, versions, largestVersion(DefaultSize, minModule), "what fits the default picture")
}

func TestPicture(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	red := image.NewUniform(color.RGBA{R: 255, A: 255})
	c, err := New(qrfixture.Content(r, 400), Options{Logo: at(red, 100, 50)})
	require.NoError(t, err)
	img := c.Image()
	side := c.side
	for i := range DefaultSize {
		for d := range side { // quiet zone of a module at least
			for _, p := range []image.Point{{i, d}, {d, i}, {i, 239 - d}, {239 - d, i}} {
				require.Equal(t, color.RGBA{255, 255, 255, 255}, img.At(p.X, p.Y))
			}
		}
	}
	// protocol.md 7.3: a 50 px square whose corner is at 95; 2:1 leaves 25 rows.
	var got image.Rectangle
	for y := range DefaultSize {
		for x := range DefaultSize {
			if img.At(x, y) == (color.RGBA{R: 255, A: 255}) {
				got = got.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	require.Equal(t, image.Rect(95, 107, 145, 132), got)

	// The picture is the caller's.
	draw.Draw(img.(draw.Image), img.Bounds(), image.Black, image.Point{}, draw.Src)
	requireSamePicture(t, rasterise(t, c.SVG(), 1), c.Image())
}

// at cuts w x h pixels out of an endless picture.
func at(src image.Image, w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Bounds(), src, image.Point{}, draw.Src)
	return img
}

// bounded is a logo that has a size and no pixels.
type bounded struct{ image.Rectangle }

func (b bounded) Bounds() image.Rectangle { return b.Rectangle }
func (bounded) ColorModel() color.Model   { return color.RGBAModel }
func (bounded) At(int, int) color.Color   { panic("pixel touched") }

func TestRefused(t *testing.T) {
	text := qrfixture.Content(rand.New(rand.NewPCG(7, 8)), 400)
	huge := image.Rectangle{image.Pt(math.MinInt, 0), image.Pt(math.MaxInt, 10)}
	for name, tc := range map[string]struct {
		content string
		opts    Options
		want    string
	}{
		"empty content":         {"", Options{}, "qr: encode"},
		"too long":              {strings.Repeat("a", 1274), Options{}, "content too long"},
		"size negative":         {text, Options{Size: -1}, "too small"},
		"size too small":        {text, Options{Size: 201}, "this content needs 206"},
		"size absurd":           {text, Options{Size: math.MaxInt}, "more than 4096"},
		"logo above a quarter":  {text, Options{Logo: qrfixture.Logo(9, 9), LogoSize: 61}, "1 to 60"},
		"logo size negative":    {text, Options{Logo: qrfixture.Logo(9, 9), LogoSize: -1}, "1 to 60"},
		"logo wide":             {text, Options{Logo: bounded{image.Rect(0, 0, 4097, 1)}}, "more than 4096 a side"},
		"logo high":             {text, Options{Logo: bounded{image.Rect(0, 0, 1, 4097)}}, "more than 4096 a side"},
		"logo empty":            {text, Options{Logo: bounded{}}, "empty"},
		"logo wider than int":   {text, Options{Logo: bounded{huge}}, "logo"},
		"logo with no height":   {text, Options{Logo: bounded{image.Rect(0, 0, 5, 0)}}, "empty"},
		"default size, no room": {text, Options{Size: 206, Logo: qrfixture.Logo(9, 9), LogoSize: 52}, "1 to 51"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(tc.content, tc.opts)
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, c)
		})
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	c, err := New(qrfixture.Content(r, 1273), Options{Logo: qrfixture.Logo(4096, 1), LogoSize: 1})
	require.NoError(t, err)
	require.Equal(t, 2*179, c.Image().Bounds().Dx(), "the default grows with the content")
	requireModules(t, c, c.Image())

	c, err = New("short", Options{Size: 100, Logo: qrfixture.Logo(1, 1)})
	require.NoError(t, err)
	require.Equal(t, 25, c.logoSize, "the default logo shrinks with the picture")
	requireModules(t, c, c.Image())

	c, err = New("short", Options{Size: 1000, Logo: qrfixture.Logo(4096, 4096), LogoSize: 250})
	require.NoError(t, err)
	requireModules(t, c, c.Image())
}

func TestTransparentLogoLeavesTheCode(t *testing.T) {
	plain, err := New("content", Options{})
	require.NoError(t, err)
	clear, err := New("content", Options{Logo: image.NewNRGBA(image.Rect(0, 0, 50, 50))})
	require.NoError(t, err)
	a, b := plain.Image(), clear.Image()
	for y := range DefaultSize {
		for x := range DefaultSize {
			want, _, _, _ := a.At(x, y).RGBA()
			got, _, _, _ := b.At(x, y).RGBA()
			if want != got {
				require.Failf(t, "pixel", "(%d,%d) has changed", x, y)
			}
		}
	}
}

// How large a code in a terminal is: as small as its content permits, whatever the picture needs.
func TestTerminalSize(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, tc := range []struct{ bytes, columns, rows int }{
		// How many bytes each version holds at level L (ISO/IEC 18004, table 7).
		{1, 25, 12},
		{17, 25, 12},
		{18, 29, 14},
		{32, 29, 14},
		{106, 41, 20},
		{107, 45, 22},
		{134, 45, 22},
		{135, 49, 24},
		{154, 49, 24},
		{155, 53, 26},
		{192, 53, 26},
		{450, 77, 38},
		{1273, 121, 60},
	} {
		forms := []Options{{}, {NoColor: true}}
		if tc.bytes == 134 { // that of a login; the terminal has no logo
			forms = append(forms, Options{Logo: qrfixture.Logo(9, 9)})
		}
		for _, opts := range forms {
			c, err := New(qrfixture.Content(r, tc.bytes), opts)
			require.NoError(t, err)
			columns, rows := c.TerminalSize()
			require.Equal(t, []int{tc.columns, tc.rows}, []int{columns, rows}, "%d bytes", tc.bytes)
			require.Equal(t, rows, strings.Count(c.Terminal(), "\n"))
		}
		c, err := New(qrfixture.Content(r, tc.bytes), Options{})
		require.NoError(t, err)
		requireModulesInTerminal(t, c)
	}
}

func TestTerminalColours(t *testing.T) {
	c, err := New("content", Options{})
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(c.Terminal(), "\n"), "\n")
	_, rows := c.TerminalSize()
	require.Len(t, lines, rows)
	for _, line := range lines {
		require.True(t, strings.HasPrefix(line, blackOnWhite) && strings.HasSuffix(line, reset), "%q", line)
		require.Equal(t, 2, strings.Count(line, "\x1b"), "one colour a line, and its end")
	}

	c, err = New("content", Options{NoColor: true})
	require.NoError(t, err)
	require.NotContains(t, c.Terminal(), "\x1b")
	requireModulesInTerminal(t, c)
}

var (
	pathPart    = regexp.MustCompile(`^M\d+ \d+h\d+v\d+h-\d+z$`)
	pathNumbers = strings.NewReplacer("M", "", "h-", " -", "h", " ", "v", " ", "z", "")
)

// rasterise draws what SVG writes, and nothing else: rect, a path of M h v h z
// rectangles, image.
func rasterise(t *testing.T, doc string, zoom int) image.Image {
	t.Helper()
	var img *image.RGBA
	var scale, origin float64
	px := func(v float64) int { return int(math.Round((v - origin) * scale)) }
	length := func(s string) int { return int(math.Round(numbers(t, s)[0] * scale)) }
	dec := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			require.NotNil(t, img, "no svg element")
			return img
		}
		require.NoError(t, err)
		el, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		attr := map[string]string{}
		for _, a := range el.Attr {
			attr[a.Name.Local] = a.Value
		}
		switch el.Name.Local {
		case "svg":
			box := numbers(t, attr["viewBox"])
			require.Len(t, box, 4)
			require.Equal(t, box[2], box[3])
			size := int(numbers(t, attr["width"])[0]) * zoom
			img = image.NewRGBA(image.Rect(0, 0, size, size))
			scale, origin = float64(size)/box[2], box[0]
			require.Equal(t, box[0], box[1])
		case "rect":
			require.Equal(t, "#fff", attr["fill"])
			corner := image.Pt(px(numbers(t, attr["x"])[0]), px(numbers(t, attr["y"])[0]))
			r := image.Rectangle{corner, corner.Add(image.Pt(length(attr["width"]), length(attr["height"])))}
			require.Equal(t, img.Bounds(), r, "all of it is white")
			draw.Draw(img, r, image.White, image.Point{}, draw.Src)
		case "path":
			require.Equal(t, "#000", attr["fill"])
			for _, part := range strings.SplitAfter(attr["d"], "z") {
				if part == "" {
					continue
				}
				if !pathPart.MatchString(part) {
					t.Fatalf("%q is not a part of a path that this rasteriser knows", part)
				}
				n := numbers(t, pathNumbers.Replace(part))
				if n[2] != -n[4] {
					t.Fatalf("%q does not close", part)
				}
				draw.Draw(
					img, image.Rect(px(n[0]), px(n[1]), px(n[0]+n[2]), px(n[1]+n[3])), image.Black, image.Point{},
					draw.Src,
				)
			}
		case "image":
			x, y := px(numbers(t, attr["x"])[0]), px(numbers(t, attr["y"])[0])
			w, h := length(attr["width"]), length(attr["height"])
			data, ok := strings.CutPrefix(attr["href"], "data:image/png;base64,")
			require.True(t, ok)
			pic, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
			require.NoError(t, err)
			pw, ph := fit(pic.Bounds().Dx(), pic.Bounds().Dy(), min(w, h))
			corner := image.Pt(x+(w-pw)/2, y+(h-ph)/2)
			scaled := resize(pic, pw, ph)
			draw.Draw(img, scaled.Bounds().Add(corner), scaled, image.Point{}, draw.Over)
		default:
			require.Failf(t, "element", "%s is unknown to the rasteriser", el.Name.Local)
		}
	}
}

func numbers(t *testing.T, s string) []float64 {
	t.Helper()
	var out []float64
	for _, field := range strings.Fields(s) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	require.NotEmpty(t, out)
	return out
}

// screen is what a terminal shows, 4 pixels for half a cell. light says that the
// blocks are the white modules.
func screen(t *testing.T, text string, light bool) image.Image {
	t.Helper()
	text = strings.NewReplacer(blackOnWhite, "", reset, "").Replace(text)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	width := len([]rune(lines[0]))
	img := image.NewGray(image.Rect(0, 0, 4*width, 8*len(lines)))
	for y, line := range lines {
		cells := []rune(line)
		require.Len(t, cells, width)
		for x, cell := range cells {
			require.Contains(t, " ▀▄█", string(cell))
			for half, block := range []bool{cell == '█' || cell == '▀', cell == '█' || cell == '▄'} {
				if block == light {
					corner := image.Pt(4*x, 8*y+4*half)
					draw.Draw(
						img, image.Rectangle{corner, corner.Add(image.Pt(4, 4))}, image.White, image.Point{}, draw.Src,
					)
				}
			}
		}
	}
	return img
}
