// Package latency_test measures what connecting and a request cost over a network that takes its
// time: beside what the official JavaScript SDK takes on the same link, to the same real server,
// and counted in round trips.
//
// Times are printed (go test -v) and decide nothing. What is counted does: see chain.
package latency_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(
		m,
		// These toxiproxy leaves behind when one side of a connection has gone while a toxic holds
		// data back for it.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"),
	)
}
