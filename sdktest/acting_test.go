package sdktest

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is done in the name of a user reaches everybody as if the user's own client had done it.
func TestActingAsAUser(t *testing.T) {
	s := trial(t)
	ctx := t.Context()
	alice := connect(t, s, register(t, s, "alice"), "Web-1")
	require.NoError(t, s.Register(ctx, "bob"))
	require.NoError(t, s.Register(ctx, "bob"), "there is such a user")
	require.Equal(t, []string{"alice", "bob"}, s.Users())

	require.NoError(t, s.SetBlocked("bob", "alice", true))
	require.Contains(t, alice.until("userblocked"), `<userblocked blocked_user="bob" type="block_user"/>`)
	require.Equal(t, []string{"alice@" + s.Domain()}, s.Blocked("bob"))
	require.NoError(t, s.SetBlocked("bob@"+s.Domain(), "alice@"+s.Domain(), false))
	require.Contains(t, alice.until("userblocked"), `<userblocked blocked_user="bob" type="unblock_user"/>`)
	require.Empty(t, s.Blocked("bob"))

	require.NoError(t, s.SetBlocked("alice", "bob", true))
	require.Contains(t, alice.until("<block "), `jid="bob@`+s.Domain()+`"`, "the owner's clients are told")

	require.NoError(t, s.DeleteAccount(ctx, "bob", "bored"))
	require.Contains(t, alice.until("user_deleted"), `user="bob@`+s.Domain()+`"`)
	require.Equal(t, "bored", s.Deleted()[0].Reason)
	require.Empty(t, s.Blocked("alice"))
	require.NoError(t, s.DeleteAccount(ctx, "alice", ""))
	require.Contains(t, alice.until("stream:error"), "User removed")
	require.Empty(t, s.Users())
}

func TestActingAsAUserRefused(t *testing.T) {
	s := trial(t)
	register(t, s, "alice")
	for name, err := range map[string]error{
		"no identifier":    s.Register(t.Context(), "Not An Id"),
		"empty":            s.Register(t.Context(), ""),
		"nobody blocks":    s.SetBlocked("bob", "alice", true),
		"nobody unblocks":  s.SetBlocked("bob", "alice", false),
		"oneself":          s.SetBlocked("alice", "Alice", true),
		"no other":         s.SetBlocked("alice", "", true),
		"no other's name":  s.SetBlocked("alice", "@x.test", true),
		"no JID":           s.SetBlocked("alice", "a b", true),
		"too long":         s.SetBlocked("alice", strings.Repeat("x", 3000), true),
		"nobody's account": s.DeleteAccount(t.Context(), "bob", "bored"),
	} {
		require.ErrorContains(t, err, "sdktest: ", name)
	}
	require.Empty(t, s.Blocked("alice"))
	s.SetMaxSessions(1)
	require.NoError(t, s.Register(t.Context(), "carol"))

	m := newMemory()
	s = trial(t, func(o *Options) { o.StateStore = m })
	register(t, s, "alice")
	m.fail = errors.New("disk full")
	require.Error(t, s.SetBlocked("alice", "bob", true))
	require.Error(t, s.SetBlocked("alice", "bob", false))
	require.Error(t, s.DeleteAccount(t.Context(), "alice", ""))
}
