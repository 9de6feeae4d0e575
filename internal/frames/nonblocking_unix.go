//go:build unix

package frames

import (
	"os"
	"syscall"
)

// canTry is whether the system can write without waiting.
const canTry = true

// dontWait makes sure that a system call does not wait. It may: File().Fd() of a connection has it
// wait again.
func dontWait(raw syscall.RawConn) error {
	var err error
	if failed := raw.Control(func(fd uintptr) { err = syscall.SetNonblock(int(fd), true) }); failed != nil {
		return failed
	}
	return err
}

// hasBytes reports whether a read would not wait.
func hasBytes(fd uintptr) bool {
	var first [1]byte
	for {
		switch _, _, err := syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK); err {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}

// tryWrite writes what the system has room for.
func tryWrite(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}
