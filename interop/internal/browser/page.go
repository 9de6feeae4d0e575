package browser

import (
	"os"
	"path/filepath"
	"testing"
)

// Page is a page in a window of its own.
type Page struct {
	*Browser
	t    testing.TB
	name string
}

// Open opens a page, in a window of that size; url may be empty.
func (b *Browser) Open(t testing.TB, name, url string, width, height int, dark bool) *Page {
	t.Helper()
	b.Do(t, "open", Params{"page": name, "url": url, "width": width, "height": height, "dark": dark}, nil)
	return &Page{b, t, name}
}

// Do is [Browser.Do] for this page.
func (p *Page) Do(command string, more Params, result any) {
	p.t.Helper()
	line := Params{"page": p.name}
	for name, value := range more {
		line[name] = value
	}
	p.Browser.Do(p.t, command, line, result)
}

// AwaitText waits until an element of a selector is visible and contains a text.
func (p *Page) AwaitText(selector, text string) {
	p.t.Helper()
	p.Do("awaitText", Params{"selector": selector, "text": text}, nil)
}

// Click clicks on the element of a selector.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Do("click", Params{"selector": selector}, nil)
}

// Fill types into the element of a selector.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Do("fill", Params{"selector": selector, "text": text}, nil)
}

// Evaluate puts the value of a JavaScript expression in the page into result, unless that is nil.
func (p *Page) Evaluate(code string, result any) {
	p.t.Helper()
	p.Do("evaluate", Params{"code": code}, result)
}

// Close closes the page.
func (p *Page) Close() {
	p.t.Helper()
	p.Do("close", nil, nil)
}

// Screenshot keeps a picture of what a selector finds, or of the whole page, in
// $SCREENSHOT_DIR, or for as long as the test lasts.
func (p *Page) Screenshot(name, selector string) (file string) {
	p.t.Helper()
	dir := os.Getenv("SCREENSHOT_DIR")
	if dir == "" {
		dir = p.t.TempDir()
	}
	file = filepath.Join(dir, p.name+"-"+name+".png")
	p.Do("screenshot", Params{"selector": selector, "file": file}, nil)
	return file
}

// RequireFits checks that the page need not be scrolled sideways.
func (p *Page) RequireFits() {
	p.t.Helper()
	var over int
	p.Evaluate("document.documentElement.scrollWidth - innerWidth", &over)
	if over > 0 {
		p.t.Fatalf("%s is %d pixels too wide", p.name, over)
	}
}
