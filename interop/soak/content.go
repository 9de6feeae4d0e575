package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// content is what is in a file: as much as size of what follows from seed.
type content struct {
	seed uint32
	size int64
}

// reader delivers it, and can be read again.
func (c content) reader() io.ReadSeeker { return bytes.NewReader(c.bytes()) }

func (c content) bytes() []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint32(seed[:], c.seed)
	b := make([]byte, c.size)
	// never fails
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}

// begins tells whether b is its beginning.
func (c content) begins(b []byte) bool { return bytes.HasPrefix(c.bytes(), b) }

// is tells whether b is all of it.
func (c content) is(b []byte) bool { return bytes.Equal(c.bytes(), b) }
