package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

const ivLength = aes.BlockSize

// chunk is how many bytes of plain text are encrypted at a time. It is a multiple of the cipher's
// block and of 3, so that neither AES nor base64 leaves a remainder.
const chunk = 64 * 3 * aes.BlockSize

var (
	errEmptyKey   = errors.New("seal: empty key string")
	errIV         = errors.New("seal: non-ASCII character in the IV")
	errEmpty      = errors.New("seal: empty text")
	errUTF8       = errors.New("seal: text is not valid UTF-8")
	errCiphertext = errors.New("seal: ciphertext is empty or not whole blocks")
	errPadding    = errors.New("seal: wrong padding")
)

// Key derives the AES key of a key string. It is the first 32 characters of the lower-case
// hexadecimal SHA-256, as bytes, not decoded (protocol.md 2.1). An empty key string is an error.
func Key(s string) ([]byte, error) {
	if s == "" {
		return nil, errEmptyKey
	}
	var room [64]byte // for most ids
	sum := sha256.Sum256(append(room[:0], s...))
	return hex.AppendEncode(make([]byte, 0, 2*len(sum)), sum[:])[:32], nil
}

// IV makes the 16 bytes of an IV of a string: its first 16 characters, filled up with NUL bytes
// when there are fewer (protocol.md 2.2). A character outside ASCII among them is an error.
func IV(s string) ([]byte, error) {
	iv := make([]byte, ivLength)
	for i := range copy(iv, s) {
		if iv[i] >= 0x80 {
			return nil, errIV
		}
	}
	return iv, nil
}

func keyAndIV(keyString, iv string) (cipher.Block, []byte, error) {
	key, err := Key(keyString)
	if err != nil {
		return nil, nil, err
	}
	vector, err := IV(iv)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	return block, vector, err
}

// encrypt percent-encodes every byte of text that is not in literal, and returns base64(AES(that)).
// It does these steps chunk by chunk, so that only the output grows with the text.
func encrypt(text string, literal *byteSet, keyString, iv string) (string, error) {
	block, vector, err := keyAndIV(keyString, iv)
	if err != nil {
		return "", err
	}
	mode := cipher.NewCBCEncrypter(block, vector)
	size := literal.encodedLen(text)
	size += aes.BlockSize - size%aes.BlockSize

	var out strings.Builder
	out.Grow(base64.StdEncoding.EncodedLen(size))
	// An escape of 3 bytes may begin at the last byte of a chunk.
	plain := make([]byte, 0, min(size, chunk+2))
	coded := make([]byte, base64.StdEncoding.EncodedLen(min(size, chunk)))
	flush := func(n int) {
		mode.CryptBlocks(plain[:n], plain[:n])
		base64.StdEncoding.Encode(coded, plain[:n])
		out.Write(coded[:base64.StdEncoding.EncodedLen(n)])
		plain = plain[:copy(plain[:cap(plain)], plain[n:])]
	}
	for i := range len(text) {
		plain = literal.appendByte(plain, text[i])
		if len(plain) >= chunk {
			flush(chunk)
		}
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	for range pad {
		plain = append(plain, byte(pad))
	}
	flush(len(plain))
	return out.String(), nil
}

// decrypt decrypts data in place and removes the padding.
func decrypt(data []byte, keyString, iv string) ([]byte, error) {
	// This comes first, since most texts that are not sealed fail here.
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, errCiphertext
	}
	block, vector, err := keyAndIV(keyString, iv)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, vector).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errPadding
	}
	for _, b := range data[len(data)-pad:] {
		if int(b) != pad {
			return nil, errPadding
		}
	}
	return data[:len(data)-pad], nil
}
