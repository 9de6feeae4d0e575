// Package versus measures two ways to do the same against each other, for benchmarks: both in one
// run, in turn, in CPU time of this process, so that neither the machine nor the server decides.
// The server of both is a process of its own.
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

// serveVariable says to a test binary that it is the server.
const serveVariable = "VERSUS_SERVE"

// Main belongs at the beginning of TestMain of a package that uses [Server]: in the server's
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
	// ends the process with the benchmark's
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Fprintln(os.Stderr, "versus:", http.Serve(l, h))
	os.Exit(1)
}

// Server starts the server that [Main] is, and returns its URL.
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
	// what is done once, such as connecting, is not of the call
	for _, side := range sides {
		side()
	}
	var spent [2]time.Duration
	rounds := 0
	for b.Loop() {
		for i := range sides {
			// who goes first changes
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
	// of both together: it says nothing
	b.ReportMetric(0, "ns/op")
}
