package seal

import (
	"encoding/base64"
	"strings"
)

// decodeBase64 is as lenient as the JavaScript decoder (protocol.md 2.3). It accepts both
// alphabets, skips characters of neither, needs no padding, ends at the first "=", and drops bits
// that make no whole byte.
func decodeBase64(s string) []byte {
	s, _, _ = strings.Cut(s, "=")
	if out, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return out // nearly always so
	}
	out := make([]byte, 0, len(s)/4*3+3)
	var bits uint32
	var have int
	for i := range len(s) {
		v, ok := sextet(s[i])
		if !ok {
			continue
		}
		bits = bits<<6 | uint32(v)
		if have += 6; have >= 8 {
			have -= 8
			out = append(out, byte(bits>>have))
		}
	}
	return out
}

func sextet(c byte) (byte, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return c - 'A', true
	case 'a' <= c && c <= 'z':
		return c - 'a' + 26, true
	case '0' <= c && c <= '9':
		return c - '0' + 52, true
	case c == '+' || c == '-':
		return 62, true
	case c == '/' || c == '_':
		return 63, true
	}
	return 0, false
}
