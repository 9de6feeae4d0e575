// Package jssdk_test drives the official JavaScript SDK (mirrorfly-sdk from npm, untouched, in headless Chromium)
// against this repository's server, and compares it with package sdk call by call.
package jssdk_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second // for one step

// need ends the test when a program is not installed: as a failure where MIRRORFLY_INTEROP=required, elsewhere it is
// skipped, so that the tests run on any machine.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		_, err := exec.LookPath(name)
		if err == nil {
			continue
		}
		if os.Getenv("MIRRORFLY_INTEROP") == "required" {
			t.Fatalf("%s is not installed (interop/install.sh does it), and MIRRORFLY_INTEROP=required", name)
		}
		t.Skipf("%s is not installed; `make test` installs it and runs this", name)
	}
}
