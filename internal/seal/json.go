package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// JSON writes v as JSON.stringify does (protocol.md 2.6): without spaces, struct fields in their
// order, without HTML escapes. U+2028, U+2029 and the replacement of invalid UTF-8 stay as they
// are, although encoding/json always escapes them.
func JSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("seal: encode JSON: %w", err)
	}
	return unescape(strings.TrimSuffix(b.String(), "\n")), nil
}

func unescape(s string) string {
	if !strings.Contains(s, `\u`) {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	for s != "" {
		at := strings.IndexByte(s, '\\')
		if at < 0 {
			break
		}
		out.WriteString(s[:at])
		s = s[at:]
		switch {
		case strings.HasPrefix(s, `\u2028`):
			out.WriteRune('\u2028')
			s = s[6:]
		case strings.HasPrefix(s, `\u2029`):
			out.WriteRune('\u2029')
			s = s[6:]
		case strings.HasPrefix(s, `\ufffd`):
			out.WriteRune('\ufffd')
			s = s[6:]
		// Any other escape has at least two characters, of which the second begins no other escape.
		default:
			out.WriteString(s[:2])
			s = s[2:]
		}
	}
	out.WriteString(s)
	return out.String()
}
