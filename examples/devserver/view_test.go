package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestManyUsersAreBounded(t *testing.T) {
	srv := sdktest.New(t)
	p := newPage(settings{})
	defer p.close()
	p.open(srv, reach{})
	for i := range maxUsers + 5 {
		profile := sdktest.Profile{Image: "https://elsewhere.example/a.png"}
		require.NoError(t, srv.SetProfile(t.Context(), fmt.Sprintf("user-%03d", i), profile))
	}
	c, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer c.Close()
	login(t, c, "zoe")
	v := p.look()
	require.Len(t, v.Users, maxUsers)
	require.Equal(t, 6, v.More)
	require.Equal(t, "zoe", v.Users[0].ID, "who is connected is shown")
	require.Equal(t, "user-000", v.Users[1].ID)
	require.Equal(t, "https://elsewhere.example/a.png", v.Users[1].Link)
	require.Empty(t, v.Users[1].Picture)
}
