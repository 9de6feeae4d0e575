//go:build !unix

package frames

import "syscall"

// canTry is whether the system can write without waiting.
const canTry = false

func dontWait(syscall.RawConn) error { return nil }

func hasBytes(uintptr) bool { return true }

func tryWrite(uintptr, []byte) (int, error) { return 0, nil }
