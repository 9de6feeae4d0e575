//go:build linux || darwin

package main

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// sizeOf returns what tells the size of the terminal that out is. It says no where out is none.
func sizeOf(out io.Writer) func() (columns, rows int, ok bool) {
	file, ok := out.(*os.File)
	if !ok {
		return nil
	}
	return func() (columns, rows int, ok bool) {
		var size struct{ rows, columns, width, height uint16 } // struct winsize of tty_ioctl(4)
		_, _, errno := syscall.Syscall(
			syscall.SYS_IOCTL, file.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)),
		)
		return int(size.columns), int(size.rows), errno == 0 && size.columns > 0 && size.rows > 0
	}
}
