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
	v := p.look("")
	require.Len(t, v.Users, maxUsers)
	require.Equal(t, 6, v.More)
	require.Equal(t, "zoe", v.Users[0].ID, "who is connected is shown")
	require.Equal(t, "user-000", v.Users[1].ID)
	require.Equal(t, "https://elsewhere.example/a.png", v.Users[1].Link)
	require.Empty(t, v.Users[1].Picture)
	require.Equal(t, []int{maxUsers + 6, 1}, []int{v.Total, v.Connected})
}

// Among many users one is found by what the page shows of it, whoever is connected.
func TestUsersAreSearched(t *testing.T) {
	srv := sdktest.New(t)
	p := newPage(settings{})
	defer p.close()
	p.open(srv, reach{})
	for i := range 2 * maxUsers {
		profile := sdktest.Profile{NickName: fmt.Sprintf("Name %03d", i), Email: fmt.Sprintf("%03d@example.com", i)}
		require.NoError(t, srv.SetProfile(t.Context(), fmt.Sprintf("user-%03d", i), profile))
	}
	profile := sdktest.Profile{NickName: "Élise", Status: "On HOLIDAY", MobileNumber: "0123-77"}
	require.NoError(t, srv.SetProfile(t.Context(), "zoe", profile))
	for i := range maxNames + 5 {
		require.NoError(t, srv.SetBlocked("zoe", fmt.Sprintf("user-%03d", i), true))
	}
	for search, want := range map[string]int{
		"": 2*maxUsers + 1, "  ": 2*maxUsers + 1, "user-0": 100, "USER-007": 1, "name 1": 119, "199@example": 1,
		"zoe": 1, "élise": 1, "holiday": 1, "zoe holiday 0123": 1, "zoe user": 0, "nobody": 0,
		"\n": 2*maxUsers + 1,
	} {
		v := p.look(search)
		require.Equal(t, want, len(v.Users)+v.More, search)
		require.LessOrEqual(t, len(v.Users), maxUsers)
		require.Equal(t, 2*maxUsers+1, v.Total)
	}
	zoe := p.look("zoe").Users[0]
	require.Len(t, zoe.Blocked, maxNames)
	require.Equal(t, 5, zoe.MoreBlocked)
}

// A look at a thousand accounts takes milliseconds: pages ask for one again and again.
func BenchmarkLook(b *testing.B) {
	srv := sdktest.New(b)
	p := newPage(settings{})
	defer p.close()
	p.open(srv, reach{})
	for i := range 1000 {
		profile := sdktest.Profile{NickName: fmt.Sprint("Name ", i), Email: "a@example.com"}
		require.NoError(b, srv.SetProfile(b.Context(), fmt.Sprint("user-", i), profile))
	}
	for _, search := range []string{"", "name 77"} {
		b.Run(fmt.Sprintf("%q", search), func(b *testing.B) {
			for b.Loop() {
				p.look(search)
			}
		})
	}
}
