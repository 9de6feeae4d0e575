package media

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
)

const (
	// sniffed is how much of the content may tell its type: what http.DetectContentType looks at.
	sniffed = 512
	// maxType is longer than any type of content is.
	maxType = 255
)

// tellType sets ContentType; whole: what comes next is the beginning of the file.
func (c *Content) tellType(announced string, whole bool) {
	said := c.ContentType
	c.ContentType = ""
	switch {
	case saysMuch(said):
		c.ContentType = said
	case saysMuch(announced):
		c.ContentType = announced
	case whole:
		c.sniff()
	}
}

// sniff sets ContentType to what the content tells.
func (c *Content) sniff() {
	head := make([]byte, 0, sniffed)
	var err error
	for err == nil && len(head) < sniffed {
		var n int
		n, err = c.r.Read(head[len(head):sniffed])
		head = head[:len(head)+n]
	}
	if err == nil || err == io.EOF {
		c.ContentType = http.DetectContentType(head)
	}
	// An error comes again where it belongs, behind what came before it.
	if err != nil {
		c.r = failed{err}
	}
	c.r = io.MultiReader(bytes.NewReader(head), c.r)
}

// saysMuch reports whether a Content-Type says what something is. The JavaScript SDK stores files
// as x-www-form-urlencoded, whatever they are (protocol.md 14.5), and servers say octet-stream of
// what they know nothing of.
func saysMuch(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || len(contentType) > maxType || strings.ContainsFunc(contentType, unicode.IsControl) {
		return false
	}
	switch kind {
	case "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded":
		return false
	}
	return strings.Contains(kind, "/")
}
