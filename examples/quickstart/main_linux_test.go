package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// openTerminal makes a terminal: what is written to user comes out of screen.
func openTerminal(t *testing.T) (screen, user *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, screen.Close()) })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(unsafe.Pointer(value)))
		require.Zero(t, errno)
	}
	user, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return screen, user
}

// On a real terminal there is a bar, and a plain line on one that can't draw it.
func TestOnATerminal(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"TERM=xterm", "NO_COLOR=1", "TERM=dumb"} {
		screen, user := openTerminal(t)
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "TERM=xterm", env)
		cmd.Stdout = user
		require.NoError(t, cmd.Start())
		require.NoError(t, user.Close())
		raw, _ := io.ReadAll(screen) // ends with an error when nobody has the terminal open any more
		require.NoError(t, cmd.Wait())
		printed := strings.ReplaceAll(string(raw), "\r\n", "\n") // as terminals do it
		require.Contains(t, printed, "Everything worked.")
		require.NotContains(t, printed, "\x1b")
		require.Equal(t, env != "TERM=dumb", strings.Contains(printed, "\r  sending [------------------------]   0%, 0.0 of 16.0 MB"), printed)
		require.Equal(t, env == "TERM=dumb", strings.Contains(printed, "  sending report.txt: 100%, 16.0 of 16.0 MB\n"), printed)
	}
}
