// Package users gives tests the users of a service: clients of the library that
// keep what their listeners were told.
package users

import (
	"context"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

// Patience bounds every wait: far more than a busy machine needs, and well below a test's own
// limit.
const Patience = 2 * time.Minute

// User is a client and, once it is registered, the account that it stands for.
type User struct {
	*sdk.Client
	Account sdk.Credentials

	Connections chan sdk.ConnectionEvent
	Presences   chan sdk.PresenceEvent
	Blocks      chan sdk.BlockEvent
	Profiles    chan sdk.Profile
	Missed      chan sdk.MissedEvent
}

// New makes a client without an account, which the test closes when it ends.
func New(t testing.TB, cfg sdk.Config) *User {
	t.Helper()
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	// Events that a test does not read must not hold up the listeners.
	const many = 10_000
	u := &User{
		Client:      client,
		Connections: make(chan sdk.ConnectionEvent, many), Presences: make(chan sdk.PresenceEvent, many),
		Blocks: make(chan sdk.BlockEvent, many), Profiles: make(chan sdk.Profile, many),
		Missed: make(chan sdk.MissedEvent, many),
	}
	client.OnConnection(func(e sdk.ConnectionEvent) { u.Connections <- e })
	client.OnPresence(func(e sdk.PresenceEvent) { u.Presences <- e })
	client.OnBlock(func(e sdk.BlockEvent) { u.Blocks <- e })
	client.OnUserProfile(func(p sdk.Profile) { u.Profiles <- p })
	client.OnMissed(func(e sdk.MissedEvent) { u.Missed <- e })
	return u
}

// Register makes a client with an account of that name.
func Register(t testing.TB, cfg sdk.Config, name string) *User {
	t.Helper()
	u := New(t, cfg)
	registered, err := u.Client.Register(t.Context(), name)
	require.NoError(t, err)
	u.Account = registered.Data
	return u
}

// Login is Register and Connect.
func Login(t testing.TB, cfg sdk.Config, name string) *User {
	t.Helper()
	u := Register(t, cfg, name)
	u.Login(t)
	return u
}

// Again connects the account of u from another device.
func (u *User) Again(t testing.TB, cfg sdk.Config) *User {
	t.Helper()
	other := New(t, cfg)
	other.Account = u.Account
	other.Login(t)
	return other
}

// Login connects, takes the event that tells so, and waits until the server has taken in the
// initial presence: Connect returns when that was sent.
func (u *User) Login(t testing.TB) {
	t.Helper()
	res, err := u.Connect(t.Context(), u.Account.Username, u.Account.Password)
	require.NoError(t, err)
	require.Equal(t, "Login Success", res.Message)
	u.AwaitStatus(t, sdk.StatusConnected)
	// A session's stanzas are handled in order, so any answer shows it.
	_, err = u.GetLastSeen(t.Context(), u.JID())
	require.NoError(t, err)
}

// JID is the bare JID.
func (u *User) JID() string { return u.Account.UserJID }

// ID is the local part of the JID.
func (u *User) ID() string { return u.Account.Username }

// AwaitStatus waits until the connection has this status.
func (u *User) AwaitStatus(t testing.TB, want sdk.ConnectionStatus) sdk.ConnectionEvent {
	t.Helper()
	return Await(t, u.Connections, func(e sdk.ConnectionEvent) bool { return e.Status == want })
}

// AwaitPresence waits for the event that of has this status: "online", "unavailable".
func (u *User) AwaitPresence(t testing.TB, of *User, status string) {
	t.Helper()
	Await(t,
		u.Presences,
		func(e sdk.PresenceEvent) bool { return e == sdk.PresenceEvent{FromUserJID: of.JID(), Status: status} },
	)
}

// AwaitMyBlock waits for the event that the own block list has changed.
func (u *User) AwaitMyBlock(t testing.TB, whom *User, blocked bool) {
	t.Helper()
	want := sdk.BlockEvent{UserID: whom.ID(), UserJID: whom.JID(), Blocked: blocked, ByMe: true}
	Await(t, u.Blocks, func(e sdk.BlockEvent) bool { return e == want })
}

// AwaitBlockedBy waits for the event that by has blocked or unblocked this user.
func (u *User) AwaitBlockedBy(t testing.TB, by *User, blocked bool) {
	t.Helper()
	want := sdk.BlockEvent{UserID: by.ID(), UserJID: by.JID(), Blocked: blocked}
	Await(t, u.Blocks, func(e sdk.BlockEvent) bool { return e == want })
}

// Block blocks another user.
func (u *User) Block(t testing.TB, whom *User) {
	t.Helper()
	_, err := u.BlockUser(t.Context(), whom.JID())
	require.NoError(t, err)
}

// Unblock undoes [User.Block].
func (u *User) Unblock(t testing.TB, whom *User) {
	t.Helper()
	_, err := u.UnblockUser(t.Context(), whom.JID())
	require.NoError(t, err)
}

// RequireIBlocked checks the own block list.
func (u *User) RequireIBlocked(t testing.TB, want ...*User) {
	t.Helper()
	res, err := u.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	require.Equal(t, jids(want), res.Data)
}

// RequireBlockedBy checks which users have blocked this one.
func (u *User) RequireBlockedBy(t testing.TB, want ...*User) {
	t.Helper()
	res, err := u.GetUsersWhoBlockedMe(t.Context())
	require.NoError(t, err)
	require.Equal(t, jids(want), res.Data)
}

func jids(users []*User) []sdk.BlockedUser {
	list := []sdk.BlockedUser{}
	for _, u := range users {
		list = append(list, sdk.BlockedUser{JID: u.JID()})
	}
	return list
}

// RequireOnline checks that other counts as online now.
func (u *User) RequireOnline(t testing.TB, other *User) {
	t.Helper()
	res, err := u.GetLastSeen(t.Context(), other.JID())
	require.NoError(t, err)
	require.Equal(t, sdk.LastSeen{FromUserJID: other.JID(), Seconds: 0}, res.Data)
}

// RequireProfile checks what reading the profile of owner gives, by JID and by ID, and that the
// listener was told the same.
func (u *User) RequireProfile(t testing.TB, owner *User, want sdk.ProfileUpdate, picture sdk.ProfileImage) {
	t.Helper()
	for _, id := range []string{owner.JID(), owner.ID()} {
		res, err := u.GetUserProfile(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, sdk.Profile{
			UserID: owner.ID(), UserJID: owner.JID(), FromUser: owner.ID(),
			NickName: want.Name, Email: want.Email, MobileNumber: want.MobileNumber, Status: want.Status,
			Image: picture.FileToken, ThumbImage: picture.FileTokenThumb,
		}, res.Data)
		Await(t, u.Profiles, func(p sdk.Profile) bool { return p == res.Data })
	}
}

// RequireBack waits until a lost connection has been made again, and uses it.
func (u *User) RequireBack(t testing.TB) {
	t.Helper()
	u.AwaitStatus(t, sdk.StatusConnected)
	_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	require.NoError(t, err)
}

// RequireResumed cuts the line of u, has its other device block and unblock whom meanwhile, and
// checks that u is told all of it when it is back: once, in order, and without a gap. refusals is
// how often the server says that it could not resume the stream. It may say so once: then the gap
// must be told.
func (u *User) RequireResumed(t testing.TB, line *Line, device, whom *User, refusals func() int) {
	t.Helper()
	const times = 10
	before := refusals()
	if !u.comesBack(t, line, device, whom, times) {
		require.Greater(t, refusals(), before, "not resumed, and the server does not say why")
		require.Equal(t, sdk.MissedEvent{Gap: true}, Await(t, u.Missed, func(sdk.MissedEvent) bool { return true }))
		require.True(t, u.comesBack(t, line, device, whom, times), "not resumed once more")
	}
	for i := range 2 * times {
		require.Equal(t, sdk.BlockEvent{UserID: whom.ID(), UserJID: whom.JID(), Blocked: i%2 == 0, ByMe: true},
			Await(t, u.Blocks, func(sdk.BlockEvent) bool { return true }))
	}
	u.RequireIBlocked(t)
	require.Empty(t, u.Blocks)
	require.Empty(t, u.Missed)
}

// comesBack cuts the line of u while its other device blocks and unblocks whom so many times, and
// reports whether the stream was resumed.
func (u *User) comesBack(t testing.TB, line *Line, device, whom *User, times int) (resumed bool) {
	t.Helper()
	// asked for the list (Prosody pushes it only then), and the stream counts by now
	u.RequireIBlocked(t)
	device.RequireIBlocked(t)
	mend := line.Cut()
	u.AwaitStatus(t, sdk.StatusDisconnected)
	for range times {
		device.Block(t, whom)
		device.Unblock(t, whom)
	}
	mend()
	return u.AwaitStatus(t, sdk.StatusConnected).Resumed
}

// RequireRefused checks that a request failed because the XMPP server refused it: 500
// "Request Failed" (protocol.md 5) with the condition.
func RequireRefused(t testing.TB, err error, condition string) {
	t.Helper()
	var failed *sdk.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 500, failed.StatusCode)
	require.Equal(t, "Request Failed", failed.Message)
	require.Equal(t, condition, failed.Condition)
}

// RequireLost checks that a call failed because the connection was lost, before or meanwhile.
func RequireLost(t testing.TB, err error) {
	t.Helper()
	require.ErrorIs(t, err, sdk.ErrNotConnected)
	var failed *sdk.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 500, failed.StatusCode)
	require.Equal(t, "Connection Error", failed.Message)
}

// Await returns the next event that fits and drops those before it.
func Await[T any](t testing.TB, events <-chan T, fits func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var seen []T
	for {
		select {
		case e := <-events:
			if fits(e) {
				return e
			}
			seen = append(seen, e)
		case <-ctx.Done():
			require.FailNow(t, "no such event", "only %+v", seen)
		}
	}
}
