// How keys are exchanged is not the subject here, and what Go adds to that against quantum
// computers costs a tenth of this package under the race detector. All other packages have it.
//go:debug tlsmlkem=0

// Package faults holds the client against a network and a server that fail: in every place, in
// every way (TestFaults prints the table), and while it comes back from that (TestFlapping and what
// is beside it).
//
// Network faults are made by toxiproxy, inside this process; those of name servers, of single
// frames and of HTTP answers by the small servers of this package; those of the service by sdktest.
package faults

import (
	"flag"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The flags of this package.
var (
	flapFor = flag.Duration("flap", 5*time.Second, "how long the network flaps")
	// Most of them wait for a timeout.
	atOnce = flag.Int("at-once", 12, "how many cases run at the same time, instead of -parallel")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(*atOnce)); err != nil {
		panic(err)
	}
	// the names of these tests are known here only
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		_ = os.Unsetenv(name)
		_ = os.Unsetenv(strings.ToLower(name))
	}
	registerToxics()
	theNames = startNames()
	net.DefaultResolver = theNames.resolver() // before any test runs, and for all of them
	goleak.VerifyTestMain(suite{m}, toxiproxyLeaves()...)
}

// theNames is the one name server of this process, as there is one resolver. TestMain alone sets
// it.
var theNames *nameServer

// suite ends the name server behind the tests, before anybody looks for goroutines.
type suite struct{ tests *testing.M }

func (s suite) Run() int {
	defer theNames.close()
	return s.tests.Run()
}
