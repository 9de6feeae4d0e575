//go:build !unix

package frames

import "syscall"

// canTry is whether the system can read and write without waiting.
const canTry = false

func dontWait(syscall.RawConn) error { return nil }

func tryRead(uintptr, []byte) (int, error) { return 0, nil }

func tryWrite(uintptr, []byte) (int, error) { return 0, nil }
