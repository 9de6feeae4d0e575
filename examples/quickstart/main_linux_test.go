package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// As on the real service, where two new users may be strangers: nothing is told, and the tour goes on.
// (Linux alone takes the authorities to trust from the environment.)
func TestOnAService(t *testing.T) {
	t.Parallel()
	program := build(t)
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost", NoContacts: true})
	env := []string{
		"MIRRORFLY_API_BASE_URL=" + srv.URL(), "MIRRORFLY_LICENSE_KEY=" + srv.LicenseKey(), "MIRRORFLY_TRIAL=false", "SSL_CERT_FILE=" + srv.CAFile(),
	}
	stdout, stderr, code := start(t, program, env)
	require.Zero(t, code, stderr+stdout)
	require.Contains(t, stdout, "was not told")
	requireSteps(t, stdout, []string{"alice.Register", "alice.Connect", "bob.SetUserProfile", "alice.GetUserProfile", "bob.DeleteMyAccount", "alice.Logout"})
	require.Empty(t, srv.Resources("alice"))
}
