package sdk_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The resource and what Register tells are one: the one that was given, else one for the life of
// the client.
func TestDeviceID(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		for _, given := range []string{"", "desk-1"} {
			cfg := quick(cfg)
			cfg.DeviceID = given
			client := login(t, cfg, "alice")
			resource := srv.Resources("alice")[0]
			device, ours := strings.CutPrefix(resource, "Web-")
			require.True(t, ours, resource)
			if given != "" {
				require.Equal(t, given, device)
			}
			_, err := client.Register(t.Context(), "alice")
			require.NoError(t, err)
			told := slices.DeleteFunc(srv.Requests(), func(r sdktest.Request) bool {
				return !strings.HasSuffix(r.Path, "register")
			})
			require.Contains(t, told[len(told)-1].Body, `"deviceId":"`+device+`"`)
			require.Contains(t, told[len(told)-2].Body, `"deviceId":"`+device+`"`, "that of the login")
			connection := collect(client.OnConnection)
			srv.DropConnections()
			connection.until(t, isBack)
			require.Equal(t, []string{resource}, srv.Resources("alice"))
			_, err = client.Logout(t.Context())
			require.NoError(t, err)
		}
	})
}

const logoutPush = `<message xmlns="jabber:client" from="FROM" type="headline">` +
	`<logout device_id="other, DEVICE"/></message>`

// The service ends the session of a device: LOGOUT, and nothing comes back.
func TestServiceEndsThisDevice(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		cfg = quick(cfg)
		cfg.DeviceID = "desk-1"
		client := login(t, cfg, "alice")
		connection := collect(client.OnConnection)
		push := func(from, device string) {
			srv.Push("alice", strings.NewReplacer("FROM", from, "DEVICE", device).Replace(logoutPush))
			_, err := client.GetUsersIBlocked(t.Context()) // the push has come before its reply
			if device != "desk-1" || from != srv.Domain() {
				require.NoError(t, err)
			}
		}
		push(srv.Domain(), "desk-2")
		push("bob@"+srv.Domain(), "desk-1")
		push(srv.Domain(), "desk-1")
		event := connection.until(t, hasStatus(sdk.StatusLoggedOut))
		require.True(t, event.Final)
		connection.until(t, hasStatus(sdk.StatusDisconnected))
		require.Equal(t, []sdk.ConnectionStatus{sdk.StatusLoggedOut, sdk.StatusDisconnected}, statuses(connection))
		_, err := client.GetCurrentUserJID()
		require.ErrorIs(t, err, sdk.ErrNotRegistered)
		require.ErrorIs(t, client.WaitConnected(t.Context()), sdk.ErrNotRegistered)
	})
}
