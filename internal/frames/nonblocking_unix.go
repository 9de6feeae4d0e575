//go:build unix

package frames

import (
	"io"
	"os"
	"syscall"
)

// canTry is whether the system can read and write without waiting.
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

// tryRead reads what has come. The error is errNothingYet where that is nothing.
func tryRead(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, errNothingYet
		default:
			return 0, os.NewSyscallError("read", err)
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
