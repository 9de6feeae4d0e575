package cluster

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// TestNodes: what holds while both are there, and then what when one dies, or stops in order, under
// users that are busy. All on one cluster, whose nodes are both back at the end of each part.
func TestNodes(t *testing.T) {
	t.Parallel()
	a, b := xmppserver.Cluster(t, xmppserver.Options{MirrorFly: true})
	t.Run("both", func(t *testing.T) {
		t.Run("across nodes", func(t *testing.T) { t.Parallel(); acrossNodes(t, a, b) })
		t.Run("addresses", func(t *testing.T) { t.Parallel(); addresses(t, a, b) })
	})
	t.Run("killed", func(t *testing.T) { nodeGone(t, a, b, (*xmppserver.Server).Kill) })
	t.Run("stopped", func(t *testing.T) { nodeGone(t, b, a, (*xmppserver.Server).Stop) })
}

// acrossNodes: two users on different nodes are for each other what two on one are.
func acrossNodes(t *testing.T, a, b *xmppserver.Server) {
	overEach(t, a, b, func(t *testing.T, s *service) {
		anna, _ := s.loginAt(t, a, "anna")
		ben, _ := s.loginAt(t, b, "ben")
		s.befriend(t, anna, ben)
		anna.AwaitPresence(t, ben, "online")
		ben.AwaitPresence(t, anna, "online")
		anna.RequireOnline(t, ben)
		ben.RequireOnline(t, anna)

		want := sdk.ProfileUpdate{Name: "Ben", Email: "ben@example.com", Status: "on the other node"}
		_, err := ben.SetUserProfile(t.Context(), want)
		require.NoError(t, err)
		eventually(t, func(c require.TestingT) {
			seen, err := anna.GetUserProfile(t.Context(), ben.JID())
			require.NoError(c, err)
			require.Equal(
				c, want, sdk.ProfileUpdate{Name: seen.Data.NickName, Email: seen.Data.Email, Status: seen.Data.Status},
			)
		})

		anna.Block(t, ben)
		anna.AwaitMyBlock(t, ben, true)
		ben.AwaitBlockedBy(t, anna, true)
		requireBlockers(t, ben, anna)
		anna.RequireIBlocked(t, ben)
		anna.Unblock(t, ben)
		ben.AwaitBlockedBy(t, anna, false)
		requireBlockers(t, ben)

		// A second device, on the other node, is told of what the first does.
		desk, _ := s.loginAt(t, a, "carl")
		phone := s.againAt(t, b, desk)
		s.requireAt(t, desk, a, b)
		desk.Block(t, anna)
		phone.AwaitMyBlock(t, anna, true)
		eventually(t, func(c require.TestingT) {
			list, err := phone.GetUsersIBlocked(t.Context())
			require.NoError(c, err)
			require.Equal(c, []sdk.BlockedUser{{JID: anna.JID()}}, list.Data)
		})

		_, err = ben.Logout(t.Context())
		require.NoError(t, err)
		anna.AwaitPresence(t, ben, "unavailable")
	})
}

func requireBlockers(t *testing.T, of *users.User, want ...*users.User) {
	t.Helper()
	jids := []sdk.BlockedUser{}
	for _, u := range want {
		jids = append(jids, sdk.BlockedUser{JID: u.JID()})
	}
	eventually(t, func(c require.TestingT) {
		list, err := of.GetUsersWhoBlockedMe(t.Context())
		require.NoError(c, err)
		require.Equal(c, jids, list.Data)
	})
}
