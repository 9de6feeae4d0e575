package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type vector struct {
	KeyString string `json:"key_string"`
	Key       string `json:"key"`
	IV        string `json:"iv"`
	Input     string `json:"input"`
	Output    string `json:"output"`
	FellBack  bool   `json:"fell_back"`
}

// vectors reads the recorded answers of the service's own library.
func vectors(t *testing.T) map[string][]vector {
	t.Helper()
	data, err := os.ReadFile("testdata/crypto.json")
	require.NoError(t, err)
	var file struct {
		Vectors map[string][]vector `json:"vectors"`
	}
	require.NoError(t, json.Unmarshal(data, &file))
	return file.Vectors
}

func seals(t *testing.T, v vector) {
	require.Equal(t, v.Output, Seal(v.Input, v.KeyString, v.IV))
	got, err := SealStrict(v.Input, v.KeyString, v.IV)
	if v.FellBack {
		require.Error(t, err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, v.Output, got)
	require.Equal(t, v.Input, Open(got, v.KeyString, v.IV))
}

func opens(t *testing.T, v vector) {
	require.Equal(t, v.Output, Open(v.Input, v.KeyString, v.IV))
	_, err := OpenStrict(v.Input, v.KeyString, v.IV)
	require.Equal(t, v.FellBack, err != nil)
}

// TestVectors counts what it ran: a group that is renamed or empty must not pass
// in silence. The media groups are run by internal/media.
func TestVectors(t *testing.T) {
	groups := []struct {
		name  string
		count int
		check func(*testing.T, vector)
	}{
		{"key_derivation", 10, func(t *testing.T, v vector) {
			key, err := Key(v.KeyString)
			require.NoError(t, err)
			require.Equal(t, v.Key, string(key))
		}},
		{"encode_uri_component", 16, func(t *testing.T, v vector) {
			require.Equal(t, v.Output, EncodeURIComponent(v.Input))
			back, err := DecodeURIComponent(v.Output)
			require.NoError(t, err)
			require.Equal(t, v.Input, back)
		}},
		{"seal_const", 18, seals},
		{"open_const", 26, opens},
		{"seal_profile", 15, seals},
		{"open_profile", 17, opens},
		{"license_param", 13, func(t *testing.T, v vector) {
			require.Equal(t, LicenseIV, v.IV)
			require.Equal(t, v.Output, LP(v.Input, v.KeyString))
			require.Equal(t, v.Input, LO(v.Output, v.KeyString))
		}},
		{"local_open", 11, func(t *testing.T, v vector) {
			require.Equal(t, v.Output, LO(v.Input, v.KeyString))
		}},
		{"message_body", 8, seals},
	}
	all := vectors(t)
	total := len(all["media_single_part"]) + len(all["media_chunked"])
	for _, g := range groups {
		require.Len(t, all[g.name], g.count, g.name)
		total += g.count
		for _, v := range all[g.name] {
			t.Run(g.name, func(t *testing.T) { g.check(t, v) })
		}
	}
	require.Len(t, all, len(groups)+2)
	require.Equal(t, 152, total)
}

func TestKeyAndIV(t *testing.T) {
	_, err := Key("")
	require.ErrorIs(t, err, errEmptyKey)
	require.Equal(t, "text", Seal("text", "", ConstIV))
	require.Equal(t, "text", LP("text", ""))

	for in, want := range map[string]string{
		"":                   strings.Repeat("\x00", 16),
		"short":              "short" + strings.Repeat("\x00", 11),
		"0123456789abcdef":   "0123456789abcdef",
		"0123456789abcdefgh": "0123456789abcdef",
		"0123456789abcdefé":  "0123456789abcdef", // the 17th character does not count
	} {
		got, err := IV(in)
		require.NoError(t, err, in)
		require.Equal(t, want, string(got))
	}
	for _, bad := range []string{"é", "0123456789abcdé", "0123456789abcdeé", "\xff"} {
		_, err := IV(bad)
		require.ErrorIs(t, err, errIV)
		require.Equal(t, "hello", Seal("hello", "alice", bad))
		require.Equal(t, "Fz7DkBYUBIA4i5BQbkxN3g==", Open("Fz7DkBYUBIA4i5BQbkxN3g==", "alice_1", bad))
	}
}

// sealRaw encrypts text without percent-encoding it.
func sealRaw(t *testing.T, text string) string {
	t.Helper()
	out, err := encrypt(text, &allLiteral, "key", ConstIV)
	require.NoError(t, err)
	return out
}

func TestOpenWhatOthersWrote(t *testing.T) {
	sealed := Seal("hello there", "key", ConstIV)
	cases := []struct{ name, in, want string }{
		{"wrapped lines", sealed[:9] + "\r\n " + sealed[9:], "hello there"},
		{"foreign characters", "*" + sealed[:5] + "é!" + sealed[5:], "hello there"},
		{"no padding", strings.TrimRight(sealed, "="), "hello there"},
		{"url alphabet", strings.NewReplacer("+", "-", "/", "_").Replace(sealed), "hello there"},
		{"text after the padding", Seal("hello", "key", ConstIV) + "AAAA", "hello"},
		{"literal plus", sealRaw(t, "a+b"), "a+b"},
		{"raw UTF-8", sealRaw(t, "Zoë"), "Zoë"},
		{"raw invalid UTF-8", sealRaw(t, "a\xff\xfeb"), "a\ufffd\ufffdb"},
		{"empty plain text", sealRaw(t, ""), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := OpenStrict(c.in, "key", ConstIV)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestOpenFallsBack(t *testing.T) {
	sealed := Seal("hello", "key", ConstIV)
	for name, in := range map[string]string{
		"empty":                  "",
		"one character":          "A",
		"no base64 at all":       "%%%",
		"padding alone":          "====",
		"cut":                    sealed[:len(sealed)-6],
		"half a block more":      sealed[:len(sealed)-2] + sealed[:12],
		"percent without digits": sealRaw(t, "100%"),
		"percent wrong digits":   sealRaw(t, "%zz"),
		"percent not UTF-8":      sealRaw(t, "%FF"),
		"percent cut character":  sealRaw(t, "%C3"),
		"percent surrogate":      sealRaw(t, "%ED%A0%80"),
		"percent overlong":       sealRaw(t, "%C0%80"),
		"percent above Unicode":  sealRaw(t, "%F4%90%80%80"),
		"percent half, raw half": sealRaw(t, "%C3\xab"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenStrict(in, "key", ConstIV)
			require.Error(t, err)
			require.Equal(t, in, Open(in, "key", ConstIV))
		})
	}
}

func TestSealRefusesInvalidUTF8(t *testing.T) {
	_, err := SealStrict("a\xff", "key", ConstIV)
	require.ErrorIs(t, err, errUTF8)
	require.Equal(t, "a\xff", Seal("a\xff", "key", ConstIV))
}

// Every decoder of percent sequences reads what SealShort has sealed: that of forms, too.
func TestSealShort(t *testing.T) {
	const text = `{"token":"a+b%41 é` + "\n\x7f" + `~"}`
	sealed, err := SealShort(text, "key", ConstIV)
	require.NoError(t, err)
	data, err := base64.StdEncoding.DecodeString(sealed)
	require.NoError(t, err)
	key, err := Key("key")
	require.NoError(t, err)
	b, err := aes.NewCipher(key)
	require.NoError(t, err)
	cipher.NewCBCDecrypter(b, []byte(ConstIV)).CryptBlocks(data, data)
	inside := string(data[:len(data)-int(data[len(data)-1])])
	require.Equal(t, `{"token":"a%2Bb%2541 %C3%A9%0A%7F~"}`, inside)
	for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape, DecodeURIComponent} {
		got, err := decode(inside)
		require.NoError(t, err)
		require.Equal(t, text, got)
	}
	for _, bad := range []string{"", "\xff"} {
		_, err := SealShort(bad, "key", ConstIV)
		require.Error(t, err)
	}
}

// An escape can begin on each of the last bytes of a chunk.
func TestSealAcrossChunks(t *testing.T) {
	for n := chunk - 20; n <= chunk+20; n++ {
		text := strings.Repeat("a", n) + "é" + strings.Repeat("%", n/7)
		require.Equal(t, text, Open(Seal(text, "key", ConstIV), "key", ConstIV), n)
	}
}

func TestDecodeURIComponent(t *testing.T) {
	got, err := DecodeURIComponent("a+b%20c%f0%9f%98%80%EF%BF%BD\xff")
	require.NoError(t, err)
	require.Equal(t, "a+b c😀\ufffd\xff", got)
	for _, bad := range []string{"%", "%4", "%4g", "%80", "%E2%82", "%E2%82x", "%f8%88%80%80%80"} {
		_, err := DecodeURIComponent(bad)
		require.ErrorIs(t, err, errPercent, bad)
	}
}

func TestJSON(t *testing.T) {
	type body struct {
		B string         `json:"b"`
		A map[string]any `json:"a"`
	}
	got, err := JSON(body{B: "<w>&'\"\\u2028\u2028\u2029\b\x01\xff", A: map[string]any{}})
	require.NoError(t, err)
	require.Equal(t, `{"b":"<w>&'\"\\u2028`+"\u2028\u2029"+`\b\u0001`+"\ufffd"+`","a":{}}`, got)

	_, err = JSON(func() {})
	require.Error(t, err)
	require.Equal(t, "aaa", Triple("a"))
}

// TestSealAllocatesOutputOnce holds the promise that sealing needs the output and
// a few small buffers, however much there is to percent-encode.
func TestSealAllocatesOutputOnce(t *testing.T) {
	for name, text := range map[string]string{
		"literal": strings.Repeat("a", 1<<20),
		"escaped": strings.Repeat("é", 1<<19),
	} {
		t.Run(name, func(t *testing.T) {
			size := len(Seal(text, "key", ConstIV))
			result := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Seal(text, "key", ConstIV)
				}
			})
			// The allocator rounds a large block up to whole pages.
			require.Less(t, result.AllocedBytesPerOp(), int64(size+24<<10))
			require.LessOrEqual(t, testing.AllocsPerRun(5, func() { Seal(text, "key", ConstIV) }), 12.0)
		})
	}
}

func BenchmarkSeal1MiB(b *testing.B) {
	text := strings.Repeat("a", 1<<20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Seal(text, "key", ConstIV)
	}
}
