// Package fipsmode runs a test in FIPS 140-only mode (GODEBUG=fips140=only), in which Go refuses
// SHA-1 and other algorithms.
package fipsmode

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const only = "fips140=only"

// On reports whether this process is in FIPS 140-only mode.
func On() bool { return os.Getenv("GODEBUG") == only }

// Run runs test in FIPS 140-only mode. The mode holds for a whole process, so Run starts the test
// binary once more, with t as its only test. In that process, Run calls test.
func Run(t *testing.T, test func()) {
	t.Helper()
	if On() {
		test()
		return
	}
	elements := strings.Split(t.Name(), "/")
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.Join(elements, "$/^")+"$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG="+only)
	output, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("in FIPS 140-only mode: %v\n%s", err, output)
	}
}
