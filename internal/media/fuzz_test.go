package media

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// bytes of one range: a file is a stream, and costs the same whatever its length
const most = 5 << 20

// Decryption undoes encryption, in pieces of any size.
func FuzzCipher(f *testing.F) {
	f.Add([]byte("hello"), 3)
	f.Add(make([]byte, 32), 16)
	f.Add(bytes.Repeat([]byte{16}, 48), 31)
	f.Fuzz(func(t *testing.T, plain []byte, size int) {
		size = 1 + (size&0x7fffffff)%64
		stored, err := collect(encrypted(t, bytes.NewReader(plain), true), size)
		require.NoError(t, err)
		back, err := collect(decrypted(t, bytes.NewReader(stored), trimTo(int64(len(plain)))), size)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, back))

		stored, err = collect(&textReader{src: encrypted(t, bytes.NewReader(plain), false)}, size)
		require.NoError(t, err)
		back, err = collect(
			decrypted(t, base64.NewDecoder(base64.StdEncoding, bytes.NewReader(stored)), trimAlways), size,
		)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, back))
	})
}

// Whatever is stored under whatever key: an error, or what one call of the standard library's
// cipher makes of it, however the file arrives and in whatever pieces it is read. Never more than
// was stored, and never more than was announced.
func FuzzDecrypt(f *testing.F) {
	for _, stored := range [][]byte{
		nil, make([]byte, 15), make([]byte, 16), make([]byte, 33), bytes.Repeat([]byte("0123456789abcdef"), 5),
		[]byte("AAAA====\n"),
	} {
		f.Add(stored, "key", testIV, int64(20), true, 7)
		f.Add(stored, "key", "", int64(0), false, 64)
	}
	f.Add([]byte("x"), "", "é", int64(-1), true, 0)
	f.Fuzz(func(t *testing.T, stored []byte, key, iv string, announced int64, large bool, size int) {
		size = 1 + (size&0x7fffffff)%100
		file := File{Key: key, Large: large, Size: announced}
		read := func(src io.Reader, size int) (plain []byte, err error) {
			fuzz.Bounded(t, len(stored), most, func() {
				var content io.Reader
				if content, err = decoded(src, file, iv, 0); err != nil {
					return
				}
				if announced > 0 {
					content = &boundedReader{r: content, left: announced, short: errSize, long: errSize}
				}
				plain, err = collect(content, size)
			})
			return plain, err
		}
		if len(stored) > 4<<10 {
			stored = stored[:4<<10] // every offset in it is tried
		}
		whole, err := read(bytes.NewReader(stored), 4096)
		require.LessOrEqual(t, len(whole), len(stored))
		if announced > 0 {
			require.LessOrEqual(t, int64(len(whole)), announced)
		}
		pieces, err2 := read(iotest.OneByteReader(bytes.NewReader(stored)), size)
		require.Equal(t, err == nil, err2 == nil, "%v, %v", err, err2)
		if err != nil {
			return
		}
		require.True(t, bytes.Equal(whole, pieces))
		if announced > 0 {
			require.EqualValues(t, announced, len(whole))
		}
		for offset := range int64(len(whole)) + 3 {
			src := bytes.NewReader(stored[min(file.storedOffset(offset), int64(len(stored))):])
			content, err := decoded(src, file, iv, offset)
			var rest []byte
			if err == nil {
				rest, err = collect(content, size)
			}
			if offset <= int64(len(whole)) {
				require.NoError(t, err, offset)
				require.True(t, bytes.Equal(whole[offset:], rest), offset)
			} else if key != "" {
				require.Error(t, err, "offset %d of %d", offset, len(whole))
			}
		}
		if key != "" && large {
			b, vector, err := newCipher(key, iv)
			require.NoError(t, err)
			all := bytes.Clone(stored)
			cipher.NewCBCDecrypter(b, vector).CryptBlocks(all, all)
			require.True(t, bytes.HasPrefix(all, whole))
			require.Less(t, len(all)-len(whole), block)
		}
	})
}
