// Package versus compares two ways to do the same in a benchmark. Both run in turn, and are
// measured in CPU time of this process, so that the speed of machine and server does not matter.
// The server of both is another process.
package versus

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// serveVariable is set in the environment of a test binary that is the server.
const serveVariable = "VERSUS_SERVE"

// Main must be called at the beginning of TestMain of a package that uses [Server]. In the server's
// process it serves h and does not return.
func Main(h http.Handler) {
	if os.Getenv(serveVariable) == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "versus:", err)
		os.Exit(1)
	}
	fmt.Println("http://" + l.Addr().String())
	// Main owns it. It ends this process when the benchmark's process ends.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, "versus:", http.Serve(l, h))
	os.Exit(1)
}

// Server starts the process in which [Main] is the server, and returns its URL.
func Server(b *testing.B) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// Compare runs ours and theirs in turn, calls times each, as often as the benchmark loops. It
// reports the CPU time of a call of ours, and how many times that of theirs it is.
func Compare(b *testing.B, calls int, ours, theirs func()) {
	b.Helper()
	sides := [2]func(){ours, theirs}
	// What is done only once, such as connecting, does not belong to the calls.
	for _, side := range sides {
		side()
	}
	var spent [2]time.Duration
	rounds := 0
	for b.Loop() {
		for i := range sides {
			// Ours and theirs take turns to be first.
			side := (i + rounds) % 2
			before := Used(b)
			for range calls {
				sides[side]()
			}
			spent[side] += Used(b) - before
		}
		rounds++
	}
	b.ReportMetric(float64(spent[0].Nanoseconds())/float64(rounds*calls), "cpu-ns/call")
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "cpu-ratio")
	// This would be the time of both together, which says nothing.
	b.ReportMetric(0, "ns/op")
}
