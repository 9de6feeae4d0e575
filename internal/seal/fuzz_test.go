package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

const most = 4 << 20 // what callers hand over at most: an answer of the service

// OPEN gives its input back or what is sealed in it, and what SEAL has made it opens. Where the
// standard library can read the input, it reads the same.
func FuzzOpen(f *testing.F) {
	for _, s := range []string{
		"Aql8BBVJ0gCyh8KFRRfuaA==", "Aql8BBVJ0gCyh8KFRRfuaA", "Aql8\nBBVJ0gCyh8KFRRfuaA==x", "%zz", "", "plain",
		"é\xff", strings.Repeat("A", 64), "-_-_",
	} {
		f.Add(s, "alice", ConstIV)
	}
	f.Add("x", "", "é")
	f.Add("x", "k", "")
	f.Fuzz(func(t *testing.T, text, key, iv string) {
		var got, opened string
		var err error
		fuzz.Bounded(t, len(text)+len(key), most, func() { got = Open(text, key, iv) })
		opened, err = OpenStrict(text, key, iv)
		if err != nil {
			require.Equal(t, text, got)
			require.NotContains(t, err.Error(), "\n")
		} else {
			require.Equal(t, opened, got)
			require.True(t, utf8.ValidString(opened))
		}
		if want, ok := openByTheBook(text, key, iv); ok {
			require.NoError(t, err)
			require.Equal(t, want, opened)
		}
		for _, seal := range []func(text, key, iv string) (string, error){SealStrict, SealShort} {
			if sealed, err := seal(text, key, iv); err == nil {
				require.Equal(t, text, Open(sealed, key, iv))
				_, err := base64.StdEncoding.DecodeString(sealed)
				require.NoError(t, err)
			}
		}
	})
}

// openByTheBook opens what is padded base64 of whole blocks that hold padded, percent-encoded
// UTF-8.
func openByTheBook(text, key, iv string) (string, bool) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	k, keyErr := Key(key)
	v, ivErr := IV(iv)
	if err != nil || keyErr != nil || ivErr != nil || len(data) == 0 || len(data)%aes.BlockSize != 0 ||
		strings.ContainsAny(text, "\r\n") {
		return "", false
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return "", false
	}
	cipher.NewCBCDecrypter(block, v).CryptBlocks(data, data)
	pad := data[len(data)-1]
	plain, whole := strings.CutSuffix(string(data), strings.Repeat(string([]byte{pad}), int(pad)))
	if pad < 1 || pad > aes.BlockSize || !whole || !utf8.ValidString(plain) {
		return "", false
	}
	opened, err := url.PathUnescape(plain)
	return opened, err == nil && utf8.ValidString(opened)
}

// LO gives its input back or what LP has made of it.
func FuzzLO(f *testing.F) {
	f.Add("FOujZmVQ4ZISpOf%2Fg5WBEqFwxqBrQuHS6CpZN4aS64w%3D", "apiBaseUrl")
	f.Add("null", "")
	f.Add("%", "k")
	f.Add("é\xff\x00", "k")
	f.Fuzz(func(t *testing.T, text, key string) {
		fuzz.Bounded(t, len(text)+len(key), most, func() { LO(text, key) })
		if key != "" {
			sealed := LP(text, key)
			require.NotContains(t, sealed, "=", "it goes into a query as it is")
			require.Equal(t, utf8Text([]byte(text)), utf8Text([]byte(LO(sealed, key))))
		}
	})
}

// Percent-encoding is that of the standard library but for the five characters that only ECMAScript
// leaves alone.
func FuzzPercent(f *testing.F) {
	for _, s := range []string{
		"", "a b+c", "%", "%4", "%41%zz", "%c3%a9", "%c3", "%ff", "!'()*~", "é😀", "\x00\xff", "%ed%a0%80",
		"%F0%9F%98%80",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var encoded, decoded string
		var err error
		fuzz.Bounded(t, len(s), most, func() {
			encoded = EncodeURIComponent(s)
			decoded, err = DecodeURIComponent(s)
		})
		theirs := strings.NewReplacer(
			"+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*",
		).Replace(url.QueryEscape(s))
		require.Equal(t, theirs, encoded)
		want, wrong := url.PathUnescape(s)
		if err == nil {
			require.NoError(t, wrong)
			require.Equal(t, want, decoded)
		} else if wrong == nil && utf8.ValidString(s) {
			require.False(t, utf8.ValidString(want), "%q", s)
		}
		if utf8.ValidString(s) {
			back, err := DecodeURIComponent(encoded)
			require.NoError(t, err)
			require.Equal(t, s, back)
		}
	})
}

// The JSON is encoding/json's but for what it escapes more than JavaScript does.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "a<b>&", "\u2028\u2029\ufffd", "\xff", `\u2028 \\u2028`, "\"\\\n\x00", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := JSON(map[string]string{s: s})
		require.NoError(t, err)
		require.True(t, utf8.ValidString(text))
		for _, escaped := range []string{`\u003c`, `\u003e`, `\u0026`, `\u2028`, `\u2029`, `\ufffd`} {
			require.NotContains(t, strings.ReplaceAll(text, `\\`, ""), escaped)
		}
		var back map[string]string
		require.NoError(t, json.Unmarshal([]byte(text), &back))
		want := strings.ToValidUTF8(s, "\ufffd")
		for key, value := range back {
			require.Equal(t, key, value)
			require.Equal(t, utf8Text([]byte(s)), value)
			require.Equal(t, len(want) == 0, len(value) == 0)
		}
		require.Len(t, back, 1)
	})
}
