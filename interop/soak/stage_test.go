package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What does not hold is seen: here it is the test that sees to it, behind the backs of the callers.
func TestSabotage(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, st *stage, p *player)
		want string
	}{
		{"nothing", func(*testing.T, *stage, *player) {}, ""},
		{"another profile", func(t *testing.T, st *stage, p *player) {
			v := version(p.current().who.user, 99)
			u := update(v)
			require.NoError(t, st.srv.SetProfile(t.Context(), p.current().who.user, sdktest.Profile{
				NickName: u.Name, Status: u.Status, MobileNumber: u.MobileNumber, Email: u.Email,
			}))
		}, "another profile than was set"},
		{"a mixed profile", func(t *testing.T, st *stage, p *player) {
			require.NoError(t,
				st.srv.SetProfile(t.Context(), p.current().who.user, sdktest.Profile{NickName: "somebody"}),
			)
		}, "several versions"},
		{"a block by another device", func(t *testing.T, st *stage, p *player) {
			other := second(t, st, p)
			_, err := other.BlockUser(t.Context(), st.jid("stranger"))
			require.NoError(t, err)
		}, "whom nobody asked to block"},
		{"an unblock by another device", func(t *testing.T, st *stage, p *player) {
			p.setBlocked(p.current(), "1.1/x", Call{Arg: 1}, true)
			other := second(t, st, p)
			_, err := other.UnblockUser(t.Context(), p.target(1))
			require.NoError(t, err)
		}, "another block list than was set"},
		{"feedback twice", func(t *testing.T, st *stage, p *player) {
			p.feedback(p.current(), "1.1/x", Call{})
			other := second(t, st, p)
			_, err := other.SendFeedback(t.Context(), "1.1/x", "again")
			require.NoError(t, err)
		}, "it was applied twice"},
		{"an acknowledgement too many", func(_ *testing.T, st *stage, _ *player) {
			st.reports.add("1.1/x", toldOK)
		}, "what was acknowledged is lost"},
		{"a deletion that was refused", func(t *testing.T, st *stage, p *player) {
			other := second(t, st, p)
			_, err := other.DeleteMyAccount(t.Context(), "1.1/x", "")
			require.NoError(t, err)
			st.deletions.add("1.1/x", toldRefused)
		}, "taken effect nevertheless"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook()
			st, err := newStage(Plan{Seed: 1, Sessions: leastSessions}, 1, b)
			require.NoError(t, err)
			t.Cleanup(func() { st.end() })
			tc.do(t, st, st.players[0])
			st.checkHeld("1.1")
			if tc.want == "" {
				require.False(t, b.failed(), "%+v", b.violations)
				return
			}
			require.True(t, b.failed())
			require.Contains(t, b.report(Plan{}), tc.want)
		})
	}
}

// second is another device of a session's user.
func second(t *testing.T, st *stage, p *player) *sdk.Client {
	t.Helper()
	client, err := sdk.New(st.config(p.actor))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	_, err = client.Connect(t.Context(), p.current().who.user, p.current().who.secret())
	require.NoError(t, err)
	return client
}
