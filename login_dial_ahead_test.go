package sdk_test

import (
	"errors"
	"strings"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
)

// While POST /login waits, the XMPP connection is made up to where the password would go out, and
// no further.
func TestConnectDialsWhileItLogsIn(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		for name, refused := range map[string]bool{"agreed": false, "refused": true} {
			t.Run(transportName(transport)+" "+name, func(t *testing.T) {
				traffic := make(chan sdktest.Traffic, 1024) // more than this test makes
				srv := sdktest.New(t, sdktest.Options{OnTraffic: func(one sdktest.Traffic) { traffic <- one }})
				cfg := quick(srv.Config())
				cfg.Transport = transport
				login := holding(t, &cfg, "/login")
				client, credentials := register(t, cfg, "alice")
				connection := collect(client.OnConnection)
				if refused {
					srv.FailNext("login", 403, "blocked")
				}
				failed := make(chan error, 1)
				go func() {
					_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
					failed <- err
				}()
				patient.Receive(t, login.held)
				for entry := range traffic {
					require.NotContains(t, entry.Text, "<auth ")
					if strings.Contains(entry.Text, "<mechanisms ") {
						break
					}
				}
				close(login.release)
				err := patient.Receive(t, failed)
				if !refused {
					require.NoError(t, err)
					require.Equal(t, sdk.StatusConnected, client.State())
					return
				}
				require.ErrorIs(t, err, sdk.ErrBlockedByAdmin)
				require.NotEqual(t, sdk.StatusConnected, client.State())
				require.NoError(t, client.Close())
				require.Empty(t, statuses(connection), "XMPP has not failed")
				srv.Close()
				close(traffic)
				for entry := range traffic {
					require.NotContains(t, entry.Text, "<auth ")
				}
			})
		}
	}
}

func transportName(transport sdk.Transport) string {
	if transport == sdk.TransportTCP {
		return "TCP"
	}
	return "WebSocket"
}

// Who is closed, or gives up, while both are under way leaves nothing behind (goleak tells).
func TestCloseWhileDialingAhead(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	login := holding(t, &cfg, "/login")
	client, credentials := register(t, cfg, "alice")
	failed := make(chan error, 1)
	go func() {
		_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
		failed <- err
	}()
	patient.Receive(t, login.held)
	closed := make(chan error, 1)
	go func() { closed <- client.Close() }()
	for err := error(nil); !errors.Is(err, sdk.ErrClosed); { // it has begun, and waits for Connect
		_, err = client.GetLastSeen(t.Context(), bobJID)
	}
	close(login.release)
	require.Error(t, patient.Receive(t, failed))
	require.NoError(t, patient.Receive(t, closed))
	require.NotEqual(t, sdk.StatusConnected, client.State())
}

// A host that is away does not hide what the service says of the login.
func TestRefusedLoginWinsOverDeadHost(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	cfg.XMPPAddress = "xmpp://127.0.0.1:1"
	client, credentials := register(t, cfg, "alice")
	srv.FailNext("login", 403, "blocked")
	_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	require.ErrorIs(t, err, sdk.ErrBlockedByAdmin)
	_, err = client.Connect(t.Context(), credentials.Username, credentials.Password)
	require.ErrorIs(t, err, sdk.ErrNotConnected)
	require.ErrorIs(t, err, sdk.ErrNetwork)
}
