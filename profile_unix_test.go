//go:build unix

package sdk_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// To open a named pipe waits for whoever writes to it (open(2)): it is not opened.
func TestPictureFromANamedPipe(t *testing.T) {
	client := login(t, sdktest.New(t).Config(), "alice")
	path := filepath.Join(t.TempDir(), "picture.png")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := client.SetUserProfile(t.Context(),
		sdk.ProfileUpdate{Email: "alice@example.com", Image: sdk.ImageFile(path)})
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	require.ErrorContains(t, err, "not a regular file")
}
