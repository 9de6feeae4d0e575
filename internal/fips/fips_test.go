package fips_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/fips"
)

// The mode is that of a whole process: the test runs itself in another one.
func TestSHA1(t *testing.T) {
	const only = "fips140=only"
	if os.Getenv("GODEBUG") == only {
		require.ErrorContains(t, fips.SHA1(), "SHA-1")
		return
	}
	require.NoError(t, fips.SHA1())
	again := exec.Command(os.Args[0], "-test.run=^TestSHA1$")
	again.Env = append(os.Environ(), "GODEBUG="+only)
	said, err := again.CombinedOutput()
	require.NoError(t, err, string(said))
}
