package sdk_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The hook Client gets each client twice, and a panic in it harms nobody.
func TestHookClient(t *testing.T) {
	var told []sdk.ClientInfo
	log := new(lockedBuffer)
	cfg := sdktest.New(t).Config()
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	cfg.Hooks = sdk.JoinHooks(
		&sdk.Hooks{Client: func(info sdk.ClientInfo) {
			require.Zero(t, info.Client.Stats().EventsWaiting)
			require.Equal(t, sdk.StatusDisconnected, info.Client.State())
			told = append(told, info)
		}},
		&sdk.Hooks{Client: func(sdk.ClientInfo) { panic("broken") }},
	)
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	require.Equal(t, []sdk.ClientInfo{{Client: client}}, told)
	require.NoError(t, client.Close())
	require.NoError(t, client.Close())
	require.Equal(t, []sdk.ClientInfo{{Client: client}, {Client: client, Closed: true}}, told)
	require.Equal(t, 1, strings.Count(log.text(), "hook panicked"), log.text())

	cfg.LicenseKey = ""
	_, err = sdk.New(cfg)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	require.Len(t, told, 2, "there is no client")
}
