package sdk_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What one account has got is not receipted in the name of the next one.
func TestReceiptsEndWithTheirAccount(t *testing.T) {
	srv, w, client := conversing(t, nil)
	_, carol := register(t, srv.Config(), "carol")
	dones := make(chan func(), 1)
	client.OnMessage(func(m sdk.Message) { dones <- m.Defer() })
	srv.Push("alice", saying(srv, "m1", "hi"))
	done := patient.Receive(t, dones)
	_, err := client.Logout(soon(t))
	require.NoError(t, err)
	connect(t, client, carol)
	done()
	requireAnswer(t, srv, client) // what was sent before it has come
	require.Zero(t, w.count("<delivered"))
	srv.Push("carol", strings.ReplaceAll(saying(srv, "m2", "hi"), `to="alice`, `to="carol`))
	patient.Receive(t, dones)()
	w.until(t, 1, "<delivered", `id="m2"`)
	require.Equal(t, 1, w.count("<delivered"))
}

// The newest 1,024 receipts wait for a connection.
func TestSoManyReceiptsWait(t *testing.T) {
	const fit, many = 1024, 1024 + 3
	srv, w := watched(t, sdktest.Options{})
	cfg := srv.Config()
	cfg.Transport, cfg.Reconnect.Disabled = sdk.TransportTCP, true
	alice, credentials := register(t, cfg, "alice")
	connection := collect(alice.OnConnection)
	dones := make(chan func(), many)
	alice.OnMessage(func(m sdk.Message) { dones <- m.Defer() })
	connect(t, alice, credentials)
	for n := 0; n < many; {
		var all strings.Builder
		for ; n < many && (all.Len() == 0 || n%500 != 0); n++ {
			all.WriteString(saying(srv, fmt.Sprint("m", n), "hi"))
		}
		srv.Push("alice", all.String())
		requireAnswer(t, srv, alice)
	}
	waiting := make([]func(), many)
	for n := range waiting {
		waiting[n] = patient.Receive(t, dones)
	}
	srv.DropConnections()
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	for _, done := range waiting {
		done()
	}
	connect(t, alice, credentials)
	w.until(t, fit, "<delivered")
	requireAnswer(t, srv, alice)
	require.Equal(t, fit, w.count("<delivered"))
	for n := range many {
		want := 1
		if n < many-fit {
			want = 0
		}
		require.Equal(t, want, w.count("<delivered", fmt.Sprintf(`id="m%d"`, n)), n)
	}
}
