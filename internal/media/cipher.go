package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

const (
	block = aes.BlockSize
	// KeyLength is the length of every file key.
	KeyLength = 32
)

// newKey returns a file key: 32 random letters (protocol.md 8).
func newKey() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	key := make([]byte, 0, KeyLength)
	var random [64]byte
	for len(key) < cap(key) {
		// It never fails.
		rand.Read(random[:])
		for _, b := range random {
			// 208 is the largest multiple of 52 in a byte, so no letter is more likely than
			// another.
			if b < 208 && len(key) < cap(key) {
				key = append(key, letters[b%52])
			}
		}
	}
	return string(key)
}

func newCipher(fileKey, iv string) (cipher.Block, []byte, error) {
	key, err := seal.Key(fileKey)
	if err != nil {
		return nil, nil, err
	}
	vector, err := seal.IV(iv)
	if err != nil {
		return nil, nil, err
	}
	b, err := aes.NewCipher(key)
	return b, vector, err
}

// encrypter reads the AES-CBC ciphertext of src. In the protocol each piece has the last block of
// the piece before it as its IV. All pieces together are therefore one CBC stream, which can be cut
// anywhere.
type encrypter struct {
	src  io.Reader
	mode cipher.BlockMode
	// whole: a file of whole blocks gets no padding, as in a chunked upload. Otherwise there is
	// always PKCS#7 padding.
	whole bool
	// tail is the end of the ciphertext, once src is exhausted.
	tail  []byte
	ended bool
	// small is for a caller whose buffer is smaller than a block.
	small [block]byte
}

func newEncrypter(src io.Reader, fileKey, iv string, whole bool) (*encrypter, error) {
	b, vector, err := newCipher(fileKey, iv)
	if err != nil {
		return nil, err
	}
	return &encrypter{src: src, mode: cipher.NewCBCEncrypter(b, vector), whole: whole}, nil
}

// Read encrypts in place, in the caller's buffer.
func (e *encrypter) Read(p []byte) (int, error) {
	if len(e.tail) > 0 || e.ended {
		n := copy(p, e.tail)
		if e.tail = e.tail[n:]; n == 0 && e.ended && len(p) > 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	into := p[:len(p)/block*block]
	if len(into) == 0 {
		into = e.small[:]
	}
	n, err := io.ReadFull(e.src, into)
	full := n / block * block
	e.mode.CryptBlocks(into[:full], into[:full])
	switch {
	// They are compared, since errors.Is would match a broken connection that wraps one of them.
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		e.ended = true
		e.tail = e.pad(into[full:n])
	case err != nil:
		return 0, err
	}
	if len(p) < block {
		// The plain text is in small.
		e.tail = append(append([]byte{}, into[:full]...), e.tail...)
		full = 0
	}
	m := copy(p[full:], e.tail)
	e.tail = e.tail[m:]
	if full+m == 0 && e.ended && len(p) > 0 {
		return 0, io.EOF
	}
	return full + m, nil
}

// pad returns the ciphertext of the rest behind the last whole block.
func (e *encrypter) pad(rest []byte) []byte {
	if len(rest) == 0 && e.whole {
		return nil
	}
	last := make([]byte, block)
	for i := copy(last, rest); i < block; i++ {
		last[i] = byte(block - len(rest))
	}
	e.mode.CryptBlocks(last, last)
	return last
}

var (
	errCut     = errors.New("media: file is cut")
	errPadding = errors.New("media: wrong key, or the file is damaged")
)

// trim returns how many bytes of the last block are content. total is the length of everything
// decrypted, that block included.
type trim func(last []byte, total int64) (int, error)

// padding returns how many bytes of PKCS#7 padding the block ends with; 0: none.
func padding(last []byte) int {
	if len(last) == 0 {
		return 0
	}
	n := int(last[len(last)-1])
	if n < 1 || n > len(last) {
		return 0
	}
	for _, b := range last[len(last)-n:] {
		if int(b) != n {
			return 0
		}
	}
	return n
}

// trimAlways is for the single part, which is always padded.
func trimAlways(last []byte, _ int64) (int, error) {
	n := padding(last)
	if n == 0 {
		return 0, errPadding
	}
	return len(last) - n, nil
}

// trimTo is for a chunked file whose content has size bytes.
func trimTo(size int64) trim {
	return func(last []byte, total int64) (int, error) {
		more := total - size
		if more < 0 || more >= block || more > 0 && int64(padding(last)) != more {
			return 0, errPadding
		}
		return len(last) - int(more), nil
	}
}

// trimGuess is for a chunked file of unknown size. It is padded unless its size is a multiple of
// 16, so an end that looks like padding is taken for padding. Only a file of whole blocks that ends
// like padding, for example with a byte 1, loses that end. trimTo avoids that when the size is
// known.
func trimGuess(last []byte, _ int64) (int, error) {
	n := padding(last)
	if n == block {
		// A file of whole blocks is not padded.
		n = 0
	}
	return len(last) - n, nil
}

// decrypter reads the plain text of AES-CBC ciphertext. It holds a block back until it knows
// whether it is the last one.
type decrypter struct {
	src  io.Reader
	mode cipher.BlockMode
	trim trim
	// total is the length of what is decrypted, with what lies before the place where it began.
	total int64
	// held is the plain text of the block that is held back, when holds is set.
	held  [block]byte
	holds bool
	// out is plain text for which the caller's buffer had no room.
	out   []byte
	err   error
	small [2 * block]byte
	spill [2 * block]byte
}

func newDecrypter(src io.Reader, fileKey, iv string, t trim) (*decrypter, error) {
	b, vector, err := newCipher(fileKey, iv)
	if err != nil {
		return nil, err
	}
	return &decrypter{src: src, mode: cipher.NewCBCDecrypter(b, vector), trim: t}, nil
}

// startAt makes d begin at a place that is behind the first block, and a multiple of its length.
// The source begins one block earlier: what comes of that block is noise, but it is the IV of the
// next one.
func (d *decrypter) startAt(at int64) error {
	switch _, err := io.ReadFull(d.src, d.held[:]); err {
	case nil:
	case io.EOF, io.ErrUnexpectedEOF:
		return errBehindEnd()
	default:
		return err
	}
	d.mode.CryptBlocks(d.held[:], d.held[:])
	d.total = at
	return nil
}

// Read decrypts in place, in the caller's buffer when that has room for two blocks.
func (d *decrypter) Read(p []byte) (int, error) {
	for len(d.out) == 0 && d.err == nil && len(p) > 0 {
		if len(p) >= len(d.small) {
			if n := d.fill(p); n > 0 {
				return n, nil
			}
			continue
		}
		n := d.fill(d.small[:])
		d.out = append(d.spill[:0], d.small[:n]...)
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	if n == 0 && len(p) > 0 {
		return 0, d.err
	}
	return n, nil
}

// fill reads into p, behind the block that was held back, and returns how many bytes of p are
// content. The end, or an error, is then in d.err. Before an error comes all that is certain: the
// last block may be padding.
func (d *decrypter) fill(p []byte) int {
	start := 0
	if d.holds {
		start = copy(p, d.held[:])
	}
	into := p[start : len(p)/block*block]
	n, err := io.ReadFull(d.src, into)
	full := n / block * block
	d.mode.CryptBlocks(into[:full], into[:full])
	d.total += int64(full)
	content := p[:start+full]
	last := content[max(0, len(content)-block):]
	before := len(content) - len(last)
	switch {
	case err == nil:
		copy(d.held[:], last)
		d.holds = true
		return before
	// They are compared, as above.
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		d.err = err
		return before
	case n != full:
		d.err = errCut
		return before
	}
	keep, err := d.trim(last, d.total)
	if d.err = err; err != nil {
		return before
	}
	d.err = io.EOF
	return before + keep
}

// textReader reads the standard base64 of src.
type textReader struct {
	src   io.Reader
	in    [3 << 10]byte
	out   [4 << 10]byte
	ready []byte
	err   error
}

func (t *textReader) Read(p []byte) (int, error) {
	for len(t.ready) == 0 && t.err == nil && len(p) > 0 {
		n, err := io.ReadFull(t.src, t.in[:])
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		if t.err = err; err != nil && err != io.EOF {
			break
		}
		base64.StdEncoding.Encode(t.out[:], t.in[:n])
		t.ready = t.out[:base64.StdEncoding.EncodedLen(n)]
	}
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	if n == 0 && len(p) > 0 {
		return 0, t.err
	}
	return n, nil
}
