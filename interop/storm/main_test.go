// Package storm holds a whole process of clients against the loss of its server: hundreds of
// sessions lose it at once, it is away for a while, and then they all want to come back
// (TestStorm). `make soak` does it with 1,000 sessions and ten seconds.
//
// The server is a process of its own, so that what is measured here is the clients'; the loss is a
// SIGKILL. To be that process, the test binary runs itself.
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
