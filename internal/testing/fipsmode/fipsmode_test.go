package fipsmode_test

import (
	"crypto/fips140"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
)

func TestRun(t *testing.T) {
	before := fipsmode.On()
	fipsmode.Run(t, func() {
		require.True(t, fipsmode.On())
		require.True(t, fips140.Enabled())
	})
	require.Equal(t, before, fipsmode.On())
}
