// Package uuid makes random ids (protocol.md 3, 4.3).
package uuid

import (
	"crypto/rand"
	"encoding/hex"
)

// New returns a random UUID of version 4 (RFC 9562 5.4), in lowercase.
func New() string {
	var b [16]byte
	// It never fails, by its documentation.
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
