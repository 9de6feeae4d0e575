package media

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const (
	testKey = "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf"
	testIV  = "0123456789abcdef"
)

type vector struct {
	FileKey   string `json:"file_key"`
	IV        string `json:"iv"`
	ChunkSize int    `json:"chunk_size"`
	Plain     string `json:"plain_hex"`
	Text      string `json:"uploaded_text"`
	Hex       string `json:"uploaded_hex"`
}

func vectors(t *testing.T) (single, chunked []vector) {
	t.Helper()
	data, err := os.ReadFile("testdata/media.json")
	require.NoError(t, err)
	var file struct {
		Single  []vector `json:"media_single_part"`
		Chunked []vector `json:"media_chunked"`
	}
	require.NoError(t, json.Unmarshal(data, &file))
	require.Len(t, file.Single, 9)
	require.Len(t, file.Chunked, 9)
	return file.Single, file.Chunked
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// readers are the ways in which a reader may deliver and a caller may ask.
var readers = map[string]func(io.Reader) io.Reader{
	"whole":       func(r io.Reader) io.Reader { return r },
	"single byte": iotest.OneByteReader,
	"half":        iotest.HalfReader,
	"data+EOF":    iotest.DataErrReader,
}

func collect(r io.Reader, size int) ([]byte, error) {
	var out []byte
	buf := make([]byte, size)
	for {
		n, err := r.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func encrypted(t *testing.T, r io.Reader, whole bool) *encrypter {
	t.Helper()
	e, err := newEncrypter(r, testKey, testIV, whole)
	require.NoError(t, err)
	return e
}

func decrypted(t *testing.T, r io.Reader, f trim) *decrypter {
	t.Helper()
	d, err := newDecrypter(r, testKey, testIV, f)
	require.NoError(t, err)
	return d
}

func TestVectors(t *testing.T) {
	single, chunked := vectors(t)
	for name, wrap := range readers {
		for _, size := range []int{1, 7, 15, 16, 17, 31, 32, 33, 100, 4096} {
			for _, v := range single {
				require.Equal(t, testKey+testIV, v.FileKey+v.IV)
				plain := unhex(t, v.Plain)
				e := encrypted(t, wrap(bytes.NewReader(plain)), false)
				text, err := collect(&textReader{src: e}, size)
				require.NoError(t, err)
				require.Equal(t, v.Text, string(text), "%s, %d", name, size)
				d := decrypted(t, wrap(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(text))), trimAlways)
				back, err := collect(d, size)
				require.NoError(t, err)
				require.Equal(t, plain, append([]byte{}, back...))
			}
			for _, v := range chunked {
				plain := unhex(t, v.Plain)
				stored, err := collect(encrypted(t, wrap(bytes.NewReader(plain)), true), size)
				require.NoError(t, err)
				require.Equal(t, v.Hex, hex.EncodeToString(stored), "%s, %d", name, size)
				require.Equal(t, int64(len(stored)), File{Key: "k", Large: true, Size: int64(len(plain))}.StoredSize())
				for _, f := range []trim{trimTo(int64(len(plain))), trimGuess} {
					back, err := collect(decrypted(t, wrap(bytes.NewReader(stored)), f), size)
					require.NoError(t, err)
					require.Equal(t, plain, back)
				}
			}
		}
	}
}

func TestStoredSize(t *testing.T) {
	for size := range int64(70) {
		text, err := io.ReadAll(&textReader{src: encrypted(t, bytes.NewReader(make([]byte, size)), false)})
		require.NoError(t, err)
		require.Equal(t, int64(len(text)), File{Key: "k", Size: size}.StoredSize())
	}
	require.Equal(t, int64(17), File{Size: 17, Large: true}.StoredSize())
	// This is more than an int of 32 bits holds.
	require.Equal(t, int64(5<<30), File{Key: "k", Size: 15<<28 - 1}.StoredSize())
}

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	letters := map[rune]bool{}
	for range 200 {
		key := newKey()
		require.Regexp(t, regexp.MustCompile(`^[a-zA-Z]{32}$`), key)
		require.False(t, seen[key])
		seen[key] = true
		for _, r := range key {
			letters[r] = true
		}
	}
	require.Len(t, letters, 52)
}

func TestBadCipherArguments(t *testing.T) {
	for _, k := range []struct{ key, iv string }{{"", testIV}, {testKey, "é"}} {
		_, err := newEncrypter(nil, k.key, k.iv, true)
		require.Error(t, err)
		_, err = newDecrypter(nil, k.key, k.iv, trimGuess)
		require.Error(t, err)
	}
}

// store encrypts as a chunked upload does.
func store(t *testing.T, plain []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(encrypted(t, bytes.NewReader(plain), true))
	require.NoError(t, err)
	return b
}

func TestTrim(t *testing.T) {
	ones := append(make([]byte, 31), 1)
	cases := []struct {
		name   string
		stored []byte
		trim   trim
		want   []byte
		err    error
	}{
		{"looks padded, size known", store(t, ones), trimTo(32), ones, nil},
		{"looks padded, size not known", store(t, ones), trimGuess, ones[:31], nil},
		{
			"full padding block is content", store(t, bytes.Repeat([]byte{16}, 16)), trimGuess,
			bytes.Repeat([]byte{16}, 16), nil,
		},
		{"size too small", store(t, make([]byte, 40)), trimTo(32), nil, errPadding},
		{"size too large", store(t, make([]byte, 40)), trimTo(49), nil, errPadding},
		{"other size in the last block", store(t, make([]byte, 40)), trimTo(41), nil, errPadding},
		{"cut in a block", store(t, make([]byte, 40))[:20], trimGuess, nil, errCut},
		{"cut between blocks", store(t, make([]byte, 40))[:32], trimTo(40), nil, errPadding},
		{"less than a block", []byte("abc"), trimAlways, nil, errCut},
		{"empty, always padded", nil, trimAlways, nil, errPadding},
		{"empty", nil, trimGuess, nil, nil},
		{"not padded, always padded", store(t, make([]byte, 32)), trimAlways, nil, errPadding},
	}
	for _, c := range cases {
		for _, size := range []int{1, 16, 33, 4096} {
			got, err := collect(decrypted(t, bytes.NewReader(c.stored), c.trim), size)
			require.ErrorIs(t, err, c.err, c.name)
			if c.err == nil {
				require.Equal(t, c.want, got, c.name)
			}
		}
	}
	_, err := io.ReadAll(
		&decrypter{src: bytes.NewReader(store(t, make([]byte, 40))), mode: wrongKey(t), trim: trimTo(40)},
	)
	require.ErrorIs(t, err, errPadding, "another key")
}

func wrongKey(t *testing.T) cipher.BlockMode {
	d, err := newDecrypter(nil, "other", testIV, nil)
	require.NoError(t, err)
	return d.mode
}

// A source that breaks must never pass for one that ends, whatever its error wraps.
func TestBrokenSource(t *testing.T) {
	for _, broken := range []error{errors.New("boom"), &wrapped{io.ErrUnexpectedEOF}, &wrapped{io.EOF}} {
		src := func() io.Reader {
			return io.MultiReader(bytes.NewReader(store(t, make([]byte, 40))), iotest.ErrReader(broken))
		}
		for _, size := range []int{1, 20, 4096} {
			_, err := collect(encrypted(t, src(), false), size)
			require.ErrorIs(t, err, broken)
			_, err = collect(&textReader{src: src()}, size)
			require.ErrorIs(t, err, broken)
			_, err = collect(decrypted(t, src(), trimGuess), size)
			require.ErrorIs(t, err, broken)
		}
	}
}

type wrapped struct{ err error }

func (w *wrapped) Error() string { return "connection broke: " + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }

// zeros is an endless source that costs no time.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

const benchSize, benchBuffer = 64 << 20, 256 << 10

func stream(b *testing.B, r func() io.Reader) {
	b.SetBytes(benchSize)
	buf := make([]byte, benchBuffer)
	for b.Loop() {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r()}, buf)
		if err != nil || n != benchSize {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkStream holds the streams against the standard library's CBC over the same
// buffers: each is to be at least 0.9 times as fast.
func BenchmarkStream(b *testing.B) {
	key, vector, err := newCipher(testKey, testIV)
	if err != nil {
		b.Fatal(err)
	}
	requireSameAsCBC(b, key, vector)
	cbc := func(b *testing.B, mode cipher.BlockMode) {
		b.SetBytes(benchSize)
		buf := make([]byte, benchBuffer)
		for b.Loop() {
			for range benchSize / benchBuffer {
				mode.CryptBlocks(buf, buf)
			}
		}
	}
	b.Run("encrypt/crypto-cipher", func(b *testing.B) { cbc(b, cipher.NewCBCEncrypter(key, vector)) })
	b.Run("encrypt/media", func(b *testing.B) {
		stream(b, func() io.Reader {
			e, _ := newEncrypter(io.LimitReader(zeros{}, benchSize), testKey, testIV, true)
			return e
		})
	})
	b.Run("decrypt/crypto-cipher", func(b *testing.B) { cbc(b, cipher.NewCBCDecrypter(key, vector)) })
	b.Run("decrypt/media", func(b *testing.B) {
		stream(b, func() io.Reader {
			d, _ := newDecrypter(io.LimitReader(zeros{}, benchSize), testKey, testIV,
				func(last []byte, _ int64) (int, error) { return len(last), nil })
			return d
		})
	})
}

// requireSameAsCBC checks that both sides of a benchmark do the same.
func requireSameAsCBC(b *testing.B, key cipher.Block, vector []byte) {
	b.Helper()
	plain := content(1 << 20)
	sealed := make([]byte, len(plain))
	cipher.NewCBCEncrypter(key, vector).CryptBlocks(sealed, plain)
	e, err := newEncrypter(bytes.NewReader(plain), testKey, testIV, true)
	require.NoError(b, err)
	got, err := io.ReadAll(e)
	require.NoError(b, err)
	require.True(b, bytes.Equal(sealed, got), "encrypt")
	d, err := newDecrypter(bytes.NewReader(sealed), testKey, testIV, trimTo(int64(len(plain))))
	require.NoError(b, err)
	got, err = io.ReadAll(d)
	require.NoError(b, err)
	require.True(b, bytes.Equal(plain, got), "decrypt")
}
