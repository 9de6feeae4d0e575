package seal

import "unicode/utf8"

// Seal is SEAL of protocol.md 2.3: percent-encode, encrypt, base64. When that
// fails (empty text, text that is not UTF-8, empty key string, bad IV) it returns
// text unchanged, as all clients of the service do.
func Seal(text, keyString, iv string) string {
	if sealed, err := SealStrict(text, keyString, iv); err == nil {
		return sealed
	}
	return text
}

// SealStrict is [Seal] without the fall-back. Use it for text that must never be sent in the clear.
func SealStrict(text, keyString, iv string) (string, error) {
	return sealAs(text, &uriLiteral, keyString, iv)
}

// SealShort is [SealStrict] with no more percent sequences than a decoder needs, for text that has
// to be short. It is opened like any other: decodeURIComponent leaves alone what is not escaped.
func SealShort(text, keyString, iv string) (string, error) {
	return sealAs(text, &sureLiteral, keyString, iv)
}

func sealAs(text string, literal *byteSet, keyString, iv string) (string, error) {
	if text == "" {
		return "", errEmpty
	}
	if !utf8.ValidString(text) {
		return "", errUTF8
	}
	return encrypt(text, literal, keyString, iv)
}

// Open is OPEN of protocol.md 2.3, the inverse of [Seal]. When that fails it
// returns text unchanged: profiles hold sealed and plain values side by side.
func Open(text, keyString, iv string) string {
	if opened, err := OpenStrict(text, keyString, iv); err == nil {
		return opened
	}
	return text
}

// OpenStrict is [Open] without the fall-back.
func OpenStrict(text, keyString, iv string) (string, error) {
	opened, err := OpenBytes(text, keyString, iv)
	return string(opened), err
}

// OpenBytes is [OpenStrict] for callers that go on with bytes. They are the caller's.
func OpenBytes(text, keyString, iv string) ([]byte, error) {
	plain, err := decrypt(decodeBase64(text), keyString, iv)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(plain) {
		plain = []byte(utf8Text(plain))
	}
	// What is decoded is never longer than what it is read from.
	return appendDecoded(plain[:0], plain)
}

// LP is the licence cipher of protocol.md 2.4: base64 of the encrypted text, percent-encoded. When
// that fails it returns text unchanged.
func LP(text, keyString string) string {
	if text == "" {
		return text
	}
	coded, err := encrypt(text, &allLiteral, keyString, LicenseIV)
	if err != nil {
		return text
	}
	return EncodeURIComponent(coded)
}

// LO is the inverse of [LP]. When that fails it returns enc unchanged.
func LO(enc, keyString string) string {
	coded, err := DecodeURIComponent(enc)
	if err != nil {
		return enc
	}
	plain, err := decrypt(decodeBase64(coded), keyString, LicenseIV)
	if err != nil {
		return enc
	}
	return utf8Text(plain)
}

// Triple is K3 of protocol.md: s three times in a row.
func Triple(s string) string { return s + s + s }

// utf8Text reads bytes as JavaScript does: each byte that is not part of a valid
// sequence becomes U+FFFD.
func utf8Text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string([]rune(string(b)))
}
