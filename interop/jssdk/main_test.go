// Package jssdk_test drives the official JavaScript SDK (mirrorfly-sdk from npm, untouched, in
// headless Chromium) against this repository's server, and compares it with package sdk call by
// call.
package jssdk_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 2 * time.Minute // for one step: far more than a busy machine needs
