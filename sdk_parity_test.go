package sdk_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// outcome is what a call answered, without its data.
type outcome struct {
	code    int
	message string
}

// call is one method with arguments that the service accepts.
type call struct {
	name string
	kind callKind
	do   func(ctx context.Context, c *sdk.Client) (outcome, error)
}

// callKind says what a method needs (protocol.md 10).
type callKind int

const (
	needsXMPP  callKind = iota // a registered client and a live session
	needsREST                  // a registered client
	needsLocal                 // a registered client, no network
)

func of[T any](res sdk.Result[T], err error) (outcome, error) {
	return outcome{res.StatusCode, res.Message}, err
}

func reported() []sdk.ReportedMessage {
	return []sdk.ReportedMessage{{MsgID: "1", Message: "m", MsgType: "text", Timestamp: 1, PublisherID: "bob"}}
}

// profilePage is every method of the page but Register, Connect and Logout.
func profilePage(host, fileToken string) []call {
	bob := "bob@" + host
	return []call{
		{"GetUserProfile", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetUserProfile(ctx, bob))
		}},
		{"SetUserProfile", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "a@example.com"}))
		}},
		{"GetLastSeen", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetLastSeen(ctx, bob))
		}},
		{"GetCurrentUserJID", needsLocal, func(_ context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetCurrentUserJID())
		}},
		{"BlockUser", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.BlockUser(ctx, bob))
		}},
		{"UnblockUser", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.UnblockUser(ctx, bob))
		}},
		{"GetUsersIBlocked", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetUsersIBlocked(ctx))
		}},
		{"GetUsersWhoBlockedMe", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetUsersWhoBlockedMe(ctx))
		}},
		{"SendFeedback", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.SendFeedback(ctx, "t", "d"))
		}},
		{"ReportUserOrGroup", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.ReportUserOrGroup(ctx, bob, sdk.ChatTypeChat, reported()))
		}},
		{"SetMediaEncryption", needsLocal, func(_ context.Context, c *sdk.Client) (outcome, error) {
			return of(c.SetMediaEncryption(true))
		}},
		{"UploadMedia", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.UploadMedia(ctx,
				sdk.MediaUpload{To: bob, MessageID: "1", Name: "n.txt", Reader: strings.NewReader("text"), Size: 4}))
		}},
		{"DownloadMedia", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.DownloadMedia(ctx, sdk.MediaFile{FileToken: fileToken}, io.Discard))
		}},
		{"DeleteMyAccount", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.DeleteMyAccount(ctx, "r", ""))
		}},
	}
}

const notRegistered = "Not registered with MirrorFly SDK, Please call SDK.register() or SDK.connect() method " +
	"before call this function"

// state is a moment in a client's life, and what each kind of call then answers.
type state struct {
	name  string
	reach func(t *testing.T, srv *sdktest.Server, c *sdk.Client, alice sdk.Credentials)
	want  map[callKind]outcome
	is    map[callKind]error
}

func states() []state {
	all := func(o outcome) map[callKind]outcome {
		return map[callKind]outcome{needsXMPP: o, needsREST: o, needsLocal: o}
	}
	sentinel := func(err error) map[callKind]error {
		return map[callKind]error{needsXMPP: err, needsREST: err, needsLocal: err}
	}
	ok := outcome{200, "Success"}
	unregistered := all(outcome{400, notRegistered})
	lost := map[callKind]outcome{needsXMPP: {500, "Connection Error"}, needsREST: ok, needsLocal: ok}
	notConnected := map[callKind]error{needsXMPP: sdk.ErrNotConnected}
	connected := func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) { connect(t, c, alice) }
	return []state{
		{
			"fresh", func(*testing.T, *sdktest.Server, *sdk.Client, sdk.Credentials) {}, unregistered,
			sentinel(sdk.ErrNotRegistered),
		},
		{"registered", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, _ sdk.Credentials) {
			_, err := c.Register(t.Context(), "alice")
			require.NoError(t, err)
		}, unregistered, sentinel(sdk.ErrNotRegistered)},
		{"after wrong credentials", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			_, err := c.Register(t.Context(), "alice")
			require.NoError(t, err)
			_, err = c.Connect(t.Context(), alice.Username, "wrong")
			require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
		}, unregistered, sentinel(sdk.ErrNotRegistered)},
		{"after an empty password", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			_, err := c.Connect(t.Context(), alice.Username, "")
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		}, unregistered, sentinel(sdk.ErrNotRegistered)},
		{
			"after a connection that failed",
			func(t *testing.T, srv *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
				srv.SetFault(sdktest.StepBind, sdktest.FaultClose)
				_, err := c.Connect(t.Context(), alice.Username, alice.Password)
				require.ErrorIs(t, err, sdk.ErrNotConnected)
			}, lost, notConnected,
		},
		{"after refused credentials", func(t *testing.T, srv *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			srv.SetFault(sdktest.StepAuth, sdktest.FaultError)
			_, err := c.Connect(t.Context(), alice.Username, alice.Password)
			require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
		}, lost, notConnected},
		{"connected", connected, all(ok), nil},
		{"connection lost", func(t *testing.T, srv *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			connection := collect(c.OnConnection)
			connect(t, c, alice)
			srv.DropConnections()
			connection.until(t, hasStatus(sdk.StatusDisconnected))
		}, lost, notConnected},
		{"after logout", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			connect(t, c, alice)
			_, err := c.Logout(t.Context())
			require.NoError(t, err)
		}, unregistered, sentinel(sdk.ErrNotRegistered)},
		{"after deletion", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			connect(t, c, alice)
			_, err := c.DeleteMyAccount(t.Context(), "reason", "")
			require.NoError(t, err)
		}, unregistered, sentinel(sdk.ErrNotRegistered)},
		{"after close", func(t *testing.T, _ *sdktest.Server, c *sdk.Client, alice sdk.Credentials) {
			connect(t, c, alice)
			require.NoError(t, c.Close())
		}, all(outcome{500, "Client is closed"}), sentinel(sdk.ErrClosed)},
	}
}

// Every method in every state answers what protocol.md 1.6, 5 and 10 say, and result and error
// agree.
func TestEveryMethodInEveryState(t *testing.T) {
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			srv := sdktest.New(t)
			_, alice := register(t, srv.Config(), "alice")
			bob := login(t, srv.Config(), "bob")
			file, err := bob.UploadMedia(t.Context(),
				sdk.MediaUpload{To: "alice", MessageID: "1", Name: "n.txt", Reader: strings.NewReader("text"), Size: 4})
			require.NoError(t, err)
			cfg := srv.Config()
			cfg.Reconnect.Disabled = true
			client := newClient(t, cfg)
			s.reach(t, srv, client, alice)
			for _, m := range profilePage(srv.Domain(), file.Data.FileToken) {
				got, err := m.do(t.Context(), client)
				require.Equal(t, s.want[m.kind], got, "%s: %v", m.name, err)
				if got.code == 200 {
					require.NoError(t, err, m.name)
					continue
				}
				var e *sdk.Error
				require.ErrorAs(t, err, &e, m.name)
				require.Equal(t, got, outcome{e.StatusCode, e.Message}, m.name)
				require.Equal(t, m.name, e.Op)
				require.ErrorIs(t, err, s.is[m.kind], m.name)
			}
		})
	}
}

func TestLogoutInEveryState(t *testing.T) {
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			srv := sdktest.New(t)
			_, alice := register(t, srv.Config(), "alice")
			cfg := srv.Config()
			cfg.Reconnect.Disabled = true
			client := newClient(t, cfg)
			s.reach(t, srv, client, alice)
			res, err := client.Logout(t.Context())
			if want := s.want[needsREST]; want.code != 200 {
				answered(t, want.code, want.message, s.is[needsREST], res, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "Success", res.Message)
		})
	}
}

// Register works in every state but closed; Connect too, but for a session that is up, and an
// account that is gone.
func TestRegisterAndConnectInEveryState(t *testing.T) {
	connects := map[string]outcome{
		"connected": {409, "Already Logged In"}, "after deletion": {400, "Invalid Credentials"},
		"after close": {500, "Client is closed"},
	}
	for _, s := range states() {
		t.Run(s.name, func(t *testing.T) {
			srv := sdktest.New(t)
			_, alice := register(t, srv.Config(), "alice")
			cfg := srv.Config()
			cfg.Reconnect.Disabled = true
			client := newClient(t, cfg)
			s.reach(t, srv, client, alice)
			srv.ClearFaults()
			want, special := connects[s.name]
			if !special {
				want = outcome{200, "Login Success"}
			}
			got, err := of(client.Connect(t.Context(), alice.Username, alice.Password))
			require.Equal(t, want, got, "%v", err)
			want = outcome{200, "Success"}
			if s.name == "after close" {
				want = connects[s.name]
			}
			got, err = of(client.Register(t.Context(), "alice"))
			require.Equal(t, want, got, "%v", err)
		})
	}
}

// Bad arguments of each kind: the texts and codes of protocol.md 1.7 and 5, before anything is
// sent.
func TestBadArguments(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	host := srv.Domain()
	ctx := t.Context()
	_, err := client.GetUsersIBlocked(ctx) // the server has seen all that came before
	require.NoError(t, err)
	sent := len(srv.Requests())
	jidRules := []struct{ jid, message string }{
		{"", "toUserJid is not valid or required"},
		{"@" + host, "toUserJid format is invalid"},
		{"bob@", "toUserJid format is invalid"},
		{"bob@x", "toUserJid format is invalid"},
		{"bob@" + host + "/phone", "toUserJid format is invalid"},
		{"bob@/b", "toUserJid format is invalid"},
		{"b ob@" + host, "toUserJid format is invalid"},
		{"bob@bob@" + host, "toUserJid format is invalid"},
		{"room@mix." + host, "toUserJid format is invalid"},
		{"bob\n@" + host, "toUserJid format is invalid"},
		{"bob\xff@" + host, "toUserJid format is invalid"},
		{`<bob/>@` + host, "toUserJid format is invalid"},
		{strings.Repeat("b", 1<<20) + "@" + host, "toUserJid format is invalid"},
		{strings.Repeat("b", 1024) + "@" + host, "toUserJid format is invalid"},
		{"bo\u00a0b@" + host, "toUserJid format is invalid"},
	}
	for _, c := range jidRules {
		seen, err := client.GetLastSeen(ctx, c.jid)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, seen, err)
		res, err := client.BlockUser(ctx, c.jid)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
		res, err = client.UnblockUser(ctx, c.jid)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
		res, err = client.ReportUserOrGroup(ctx, c.jid, sdk.ChatTypeChat, reported())
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
	}
	report, err := client.ReportUserOrGroup(ctx, "bob", sdk.ChatTypeChat, reported())
	answered(t, 400, "toUserJid format is invalid", sdk.ErrInvalidArgument, report, err)
	for _, id := range []string{"b ob", "bob/phone", "<bob/>", "bob\n", "bob\xff", strings.Repeat("b", 1024)} {
		seen, err := client.GetLastSeen(ctx, id)
		answered(t, 400, "toUserJid format is invalid", sdk.ErrInvalidArgument, seen, err)
		res, err := client.BlockUser(ctx, id)
		answered(t, 400, "toUserJid format is invalid", sdk.ErrInvalidArgument, res, err)
	}
	for _, jid := range []string{"", "@" + host} {
		profile, err := client.GetUserProfile(ctx, jid)
		answered(t, 400, "userId is not valid or required", sdk.ErrInvalidArgument, profile, err)
	}
	for _, email := range []string{
		"", "bob", "bob@", "bob@example", "@example.com", "bob@example.toolongtld",
		"b ob@example.com",
	} {
		set, err := client.SetUserProfile(ctx, sdk.ProfileUpdate{Email: email})
		answered(t, 400, "email is not valid or required", sdk.ErrInvalidArgument, set, err)
	}
	for _, image := range []sdk.Image{
		sdk.ImageFile("no/such/file.png"), sdk.ImageFile(t.TempDir()), sdk.ImageReader("a.png", "", nil, 1),
		sdk.ImageReader("a.png", "", strings.NewReader(""), -1),
	} {
		set, err := client.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "a@example.com", Image: image})
		e := failed(t, set, err)
		require.Equal(t, 400, e.StatusCode)
		require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		require.Contains(t, e.Message, "image")
	}
	for _, c := range []struct{ title, description, message string }{
		{"", "d", "title is not valid or required"},
		{"t", "", "description is not valid or required"},
		{"", "", "description is not valid or required"},
	} {
		res, err := client.SendFeedback(ctx, c.title, c.description)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
	}
	res, err := client.DeleteMyAccount(ctx, "", "feedback")
	answered(t, 400, "reason is not valid or required", sdk.ErrInvalidArgument, res, err)
	for _, c := range []struct {
		jid      string
		chatType sdk.ChatType
		message  string
	}{
		{"", "", "chatType is not valid or required"},
		{"bob@" + host, "", "chatType is not valid or required"},
		{"bob@" + host, sdk.ChatTypeGroup, "toUserJid format is invalid"},
		{"room@mix." + host, sdk.ChatTypeChat, "toUserJid format is invalid"},
		{"room@mix.", sdk.ChatTypeGroup, "toUserJid format is invalid"},
	} {
		res, err := client.ReportUserOrGroup(ctx, c.jid, c.chatType, reported())
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
	}
	broken := []func(*sdk.ReportedMessage){
		func(m *sdk.ReportedMessage) { m.MsgID = "" }, func(m *sdk.ReportedMessage) { m.MsgType = "" },
		func(m *sdk.ReportedMessage) { m.PublisherID = "" }, func(m *sdk.ReportedMessage) { m.Timestamp = 0 },
	}
	lists := [][]sdk.ReportedMessage{nil, {}}
	for _, spoil := range broken {
		list := append(reported(), reported()...)
		spoil(&list[1])
		lists = append(lists, list)
	}
	for _, list := range lists {
		res, err := client.ReportUserOrGroup(ctx, "bob@"+host, sdk.ChatTypeChat, list)
		answered(t, 400, "Invalid data value.", sdk.ErrInvalidArgument, res, err)
	}
	var sink bytes.Buffer
	res, err = client.DownloadMedia(ctx, sdk.MediaFile{}, &sink)
	answered(t, 400, "File Token is not valid or required", sdk.ErrInvalidArgument, res, err)
	require.Empty(t, kinds(srv.Requests()[sent:]), "bad arguments fail before the network")
}

func kinds(requests []sdktest.Request) []string {
	var out []string
	for _, r := range requests {
		out = append(out, r.Kind+" "+r.Path+r.Stanza)
	}
	return out
}

// The feature gate comes before validation, and after the check that there is a login (protocol.md
// 5.4, 5.10).
func TestFeatureGate(t *testing.T) {
	srv := sdktest.New(t)
	srv.SetFeature("block", false)
	srv.SetFeature("report", false)
	client, credentials := register(t, srv.Config(), "alice")
	res, err := client.BlockUser(t.Context(), "")
	answered(t, 400, notRegistered, sdk.ErrNotRegistered, res, err)
	connect(t, client, credentials)
	const text = "Feature unavailable for your plan"
	res, err = client.BlockUser(t.Context(), "")
	answered(t, 403, text, sdk.ErrFeatureUnavailable, res, err)
	res, err = client.UnblockUser(t.Context(), "bob@"+srv.Domain())
	answered(t, 403, text, sdk.ErrFeatureUnavailable, res, err)
	res, err = client.ReportUserOrGroup(t.Context(), "", "", nil)
	answered(t, 403, text, sdk.ErrFeatureUnavailable, res, err)
	_, err = client.GetUsersIBlocked(t.Context())
	require.NoError(t, err, "reading the list is not gated")
	require.False(t, client.Features().Block)
	require.True(t, client.Features().Translation)
}

// What the service refuses reaches the caller with the code that protocol.md 5 gives it.
func TestServiceRefuses(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	for _, c := range []struct {
		op     string
		status int
		want   int
		do     func() (outcome, error)
	}{
		{"contacts/vcard", 500, 500, func() (outcome, error) {
			return of(client.GetUserProfile(t.Context(), "alice"))
		}},
		{"contacts/vcard", 417, 500, func() (outcome, error) {
			return of(client.GetUserProfile(t.Context(), "alice"))
		}},
		{"moderation/feedback", 417, 417, func() (outcome, error) {
			return of(client.SendFeedback(t.Context(), "t", "d"))
		}},
		{"moderation/report", 400, 400, func() (outcome, error) {
			return of(client.ReportUserOrGroup(t.Context(), "bob@"+srv.Domain(), sdk.ChatTypeChat, reported()))
		}},
		{"users/deleteMyAccount", 405, 405, func() (outcome, error) {
			return of(client.DeleteMyAccount(t.Context(), "r", ""))
		}},
		{"logout", 417, 500, func() (outcome, error) { return of(client.Logout(t.Context())) }},
		{"login", 417, 417, func() (outcome, error) { return of(client.Connect(t.Context(), "alice", "any")) }},
	} {
		srv.FailNext(c.op, c.status, "boom")
		got, err := c.do()
		require.Equal(t, outcome{c.want, "boom"}, got, c.op)
		require.Error(t, err)
	}
	res, err := client.GetUserProfile(t.Context(), "nobody")
	answered(t, 400, "User not available", sdk.ErrUserNotFound, res, err)
	require.Equal(t, sdk.StatusConnected, client.State(), "a refused logout or deletion changes nothing")
	_, err = client.GetUsersIBlocked(t.Context())
	require.NoError(t, err)

	srv.FailNext("media/", 417, "too big")
	set, err := client.SetUserProfile(t.Context(),
		sdk.ProfileUpdate{Email: "a@example.com", Image: sdk.ImageReader("a.png", "", strings.NewReader("x"), 1)})
	answered(t, 417, "Media Upload Failed", nil, set, err)
	srv.SetFault(sdktest.StepIQ, sdktest.FaultError)
	seen, err := client.GetLastSeen(t.Context(), "bob@"+srv.Domain())
	answered(t, 500, "Request Failed", nil, seen, err)
	require.NotEmpty(t, failed(t, seen, err).Condition)
}
