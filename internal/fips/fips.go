// Package fips tells what Go forbids in FIPS 140-only mode (GODEBUG=fips140=only), where it would panic else.
package fips

import "crypto/sha1"

// SHA1 returns why SHA-1 cannot be used, nil if it can. Writing to it tells; computing it at once
// panics instead, as the handshake of a WebSocket does.
func SHA1() error {
	_, err := sha1.New().Write(nil)
	return err
}
