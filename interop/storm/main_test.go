// Package storm holds a whole process of clients against the loss of its server: 1,000 sessions lose it at once, it is
// away for ten seconds, and then they all want to come back (TestStorm).
//
// The server is a process of its own, so that what is measured here is the clients'; the loss is a SIGKILL. To be
// that process, the test binary runs itself.
package storm

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(boxAddress); address != "" {
		os.Exit(serveBox(address, os.Getenv(boxData)))
	}
	goleak.VerifyTestMain(m)
}
