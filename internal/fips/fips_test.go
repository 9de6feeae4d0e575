package fips_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/fips"
	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
)

func TestSHA1(t *testing.T) {
	if !fipsmode.On() {
		require.NoError(t, fips.SHA1())
	}
	fipsmode.Run(t, func() { require.ErrorContains(t, fips.SHA1(), "SHA-1") })
}
