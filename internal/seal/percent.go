package seal

import (
	"errors"
	"strings"
	"unicode/utf8"
)

var errPercent = errors.New("seal: malformed percent sequence")

// byteSet is a set of bytes that percent-encoding leaves as they are.
type byteSet [256]bool

// Sets of bytes. They are immutable.
var (
	// uriLiteral are those that encodeURIComponent leaves as they are.
	uriLiteral = literals("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
	// sureLiteral are those that every decoder leaves as they are: printable ASCII without "%", and
	// without "+", of which the decoders of forms make a space.
	sureLiteral = printableWithout("%+")
	allLiteral  = everyByte()
)

func literals(chars string) (set byteSet) {
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}

func printableWithout(special string) (set byteSet) {
	for b := byte(' '); b <= '~'; b++ {
		set[b] = strings.IndexByte(special, b) < 0
	}
	return set
}

func everyByte() (set byteSet) {
	for i := range set {
		set[i] = true
	}
	return set
}

func (set *byteSet) encodedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if !set[s[i]] {
			n += 2
		}
	}
	return n
}

func (set *byteSet) appendByte(dst []byte, b byte) []byte {
	if set[b] {
		return append(dst, b)
	}
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[b>>4], digits[b&15])
}

// EncodeURIComponent is encodeURIComponent of ECMAScript. It leaves A-Z a-z 0-9 - _ . ! ~ * ' ( )
// as they are and writes every other byte as %XX. Neither url.QueryEscape nor url.PathEscape does
// that.
func EncodeURIComponent(s string) string {
	out := make([]byte, 0, uriLiteral.encodedLen(s))
	for i := range len(s) {
		out = uriLiteral.appendByte(out, s[i])
	}
	return string(out)
}

// DecodeURIComponent is decodeURIComponent of ECMAScript: "+" stays "+", and the percent sequences
// must be complete and make valid UTF-8.
func DecodeURIComponent(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	out, err := appendDecoded(make([]byte, 0, len(s)), s)
	return string(out), err
}

// appendDecoded appends what [DecodeURIComponent] makes of s. dst may be the beginning of s.
func appendDecoded[T string | []byte](dst []byte, s T) ([]byte, error) {
	for i := 0; i < len(s); {
		if s[i] != '%' {
			dst = append(dst, s[i])
			i++
			continue
		}
		var char [utf8.UTFMax]byte
		n, err := decodeChar(char[:], s[i:])
		if err != nil {
			return nil, err
		}
		dst = append(dst, char[:n]...)
		i += 3 * n
	}
	return dst, nil
}

// decodeChar reads the escapes of one character at the start of s and returns
// the number of its bytes.
func decodeChar[T string | []byte](char []byte, s T) (int, error) {
	for n := range char {
		b, ok := escaped(s, 3*n)
		if !ok {
			return 0, errPercent
		}
		char[n] = b
		if utf8.FullRune(char[:n+1]) {
			if r, size := utf8.DecodeRune(char[:n+1]); r == utf8.RuneError && size <= 1 {
				return 0, errPercent
			}
			return n + 1, nil
		}
	}
	return 0, errPercent
}

func escaped[T string | []byte](s T, at int) (byte, bool) {
	if len(s) < at+3 || s[at] != '%' {
		return 0, false
	}
	hi, ok1 := unhex(s[at+1])
	lo, ok2 := unhex(s[at+2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
