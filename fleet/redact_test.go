package fleet_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/fleet"
)

// Whatever prints an account does not print its password.
func TestAccountHidesItsPassword(t *testing.T) {
	a := fleet.Account{Username: "anna", Password: "secret"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("one", "account", a)
	for _, text := range []string{
		a.String(), fmt.Sprintf("%v %+v %#v %s %q", a, a, a, a, a), fmt.Sprintf("%+v %#v", []fleet.Account{a}, &a),
		log.String(),
	} {
		require.Contains(t, text, "anna")
		require.NotContains(t, text, "secret")
	}
	require.Equal(t, "{Username:anna Password:}", fleet.Account{Username: "anna"}.String())
}
