// Package messages holds what OnMessage promises against real servers: a program that handles
// messages is killed again and again, and every message that the server has taken from its sender
// is handled at least once (TestCrash); over a network that comes and goes it is handled once
// (TestFlapping); and what a program has not handled when it ends comes to the next one (TestEnd),
// if that is the same device (TestAnotherDevice). docs/messages.md says what holds where.
//
// The program is a process of its own. To be that process, the test binary runs itself.
package messages

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The flag of this package.
var kills = flag.Int("kills", 8, "how often the program is killed, for each server and each way to it")

func TestMain(m *testing.M) {
	if text := os.Getenv(botEnv); text != "" {
		os.Exit(runBot(text))
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}
