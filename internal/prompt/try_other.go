//go:build !unix

package prompt

import "syscall"

const canTry = false

func dontWait(syscall.RawConn) error { return nil }

func tryWrite(uintptr, []byte) (int, error) { return 0, nil }
