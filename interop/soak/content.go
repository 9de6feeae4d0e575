package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// content is the content of a file: size bytes that follow from seed.
type content struct {
	seed uint32
	size int64
}

// reader reads it, and can be rewound.
func (c content) reader() io.ReadSeeker { return bytes.NewReader(c.bytes()) }

func (c content) bytes() []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint32(seed[:], c.seed)
	b := make([]byte, c.size)
	// It never fails.
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// begins reports whether b is its beginning.
func (c content) begins(b []byte) bool { return bytes.HasPrefix(c.bytes(), b) }

// is reports whether b is all of it.
func (c content) is(b []byte) bool { return bytes.Equal(c.bytes(), b) }
