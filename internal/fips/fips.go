// Package fips tells what Go forbids in FIPS 140-only mode (GODEBUG=fips140=only).
package fips

import "crypto/sha1"

// SHA1 returns nil when SHA-1 can be used, and otherwise the reason why it cannot. It writes to a
// hash, which returns the reason; sha1.Sum, which the handshake of a WebSocket calls, would panic.
func SHA1() error {
	_, err := sha1.New().Write(nil)
	return err
}
