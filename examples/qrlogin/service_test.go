package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

func TestEnvironment(t *testing.T) {
	full := map[string]string{
		"MIRRORFLY_API_BASE_URL": "https://127.0.0.1:1/api", "MIRRORFLY_LICENSE_KEY": "secret-key",
		"MIRRORFLY_TRIAL": "true", "MIRRORFLY_SIGNAL_URL": "https://127.0.0.1:1",
	}
	for name, value := range full {
		t.Setenv(name, value)
	}
	place, err := findService(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Service at https://127.0.0.1:1/api", place.name)
	require.Equal(t, "https://127.0.0.1:1", place.signalURL)
	require.True(t, place.cfg.TrialLicense)
	require.Nil(t, place.phone)
	for name, want := range map[string]string{
		"MIRRORFLY_API_BASE_URL": "set both", "MIRRORFLY_LICENSE_KEY": "set both",
		"MIRRORFLY_TRIAL": "true or false", "MIRRORFLY_SIGNAL_URL": "set MIRRORFLY_SIGNAL_URL",
	} {
		t.Setenv(name, "")
		_, err := findService(t.Context())
		require.ErrorContains(t, err, want)
		t.Setenv(name, full[name])
	}
	t.Setenv("MIRRORFLY_CA_FILE", "main.go")
	_, err = findService(t.Context())
	require.ErrorContains(t, err, "MIRRORFLY_CA_FILE: no certificate in main.go")
	t.Setenv("MIRRORFLY_CA_FILE", "")
	t.Setenv("MIRRORFLY_API_BASE_URL", "http://127.0.0.1:1/api")
	_, err = findService(t.Context())
	require.ErrorIs(t, err, sdk.ErrInsecure)
}
