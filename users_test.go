package sdk_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const usersCall = "GET /contacts/userList"

func localPart(jid string) string {
	local, _, _ := strings.Cut(jid, "@")
	return local
}

func TestGetUsersList(t *testing.T) {
	b := backend.New(t)
	queries := make(chan string, 1)
	sealed := func(text string) string { return seal.Seal(text, "bob", "license-key") }
	b.On(usersCall, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		backend.AnswerJSON(w, `{"status":200,"data":{"totalPages":2,"totalRecords":31,"userList":[{"userId":"bob",`+
			`"userJid":"`+
			bobHere+`","nickName":"`+sealed("Bob")+`","email":"`+sealed("b@example.com")+`","mobileNumber":"`+
			sealed("123")+
			`","status":"hi","image":"i","thumbImage":"t","isAdminBlocked":1},{"userId":"carol","name":"Carol"}]}}`)
	})
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	res, err := client.GetUsersList(t.Context(), sdk.UsersQuery{})
	require.NoError(t, err)
	require.Equal(t, "name=&page=1&size=30&metadataKey=&metadataValues=", patient.Receive(t, queries))
	require.Equal(t, sdk.UsersPage{Total: 31, TotalPages: 2, Users: []sdk.Profile{
		{
			UserID: "bob", UserJID: bobHere, FromUser: "bob", NickName: "Bob", Email: "b@example.com",
			MobileNumber: "123",
			Status:       "hi", Image: "i", ThumbImage: "t", IsAdminBlocked: true,
		},
		{UserID: "carol", UserJID: "carol@" + backend.Domain, FromUser: "carol", NickName: "Carol"},
	}}, res.Data)
	_, err = client.GetUsersList(t.Context(), sdk.UsersQuery{
		Name: "b b", Page: 3, Size: 5, MetadataKey: "plan", MetadataValues: []string{"gold", "pure silver"},
	})
	require.NoError(t, err)
	require.Equal(t,
		"name=b%20b&page=3&size=5&metadataKey=plan&metadataValues=gold&metadataValues=pure+silver",
		patient.Receive(t, queries),
	)

	b.On(usersCall, func(w http.ResponseWriter, _ *http.Request) { backend.AnswerJSON(w, `{"status":200,"data":[]}`) })
	res, err = client.GetUsersList(t.Context(), sdk.UsersQuery{})
	require.NoError(t, err)
	require.NotNil(t, res.Data.Users)
	require.Empty(t, res.Data.Users)
}

// Page after page, each user once. A service that knows no pages is not asked for ever.
func TestUsersListAll(t *testing.T) {
	const count = 7
	for name, tc := range map[string]struct {
		pages, repeats bool
		want, calls    int
	}{
		"pages":            {pages: true, want: count, calls: 3},
		"pages not told":   {want: count, calls: 3},
		"the first page":   {repeats: true, want: 3, calls: 2},
		"that, with pages": {repeats: true, pages: true, want: 3, calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := backend.New(t)
			b.On(usersCall, func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("page"))
				size, _ := strconv.Atoi(r.URL.Query().Get("size"))
				if tc.repeats {
					page = 1
				}
				var list []string
				for n := (page - 1) * size; n < min(page*size, count); n++ {
					list = append(list, fmt.Sprintf(`{"userId":"user%d"}`, n))
				}
				pages := ""
				if tc.pages {
					pages = fmt.Sprintf(`"totalPages":%d,`, (count+size-1)/size)
				}
				backend.AnswerJSON(w, `{"status":200,"data":{`+pages+`"userList":[`+strings.Join(list, ",")+`]}}`)
			})
			client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
			var got []string
			for user, err := range client.UsersList(t.Context(), sdk.UsersQuery{Size: 3}) {
				require.NoError(t, err)
				got = append(got, user.UserID)
			}
			require.Len(t, got, tc.want)
			require.Equal(t, "user0", got[0])
			require.Equal(t, fmt.Sprintf("user%d", tc.want-1), got[tc.want-1])
			require.Len(t, b.Calls(usersCall), tc.calls)
		})
	}
}

// The texts of protocol.md 14.7, before anything is sent.
func TestUsersArguments(t *testing.T) {
	b := backend.New(t)
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	for message, q := range map[string]sdk.UsersQuery{
		"metaDataKey is not valid or required":    {MetadataValues: []string{"x"}},
		"metaDataValues is not valid or required": {MetadataKey: "x", MetadataValues: []string{""}},
		"Name is not valid UTF-8":                 {Name: "\xff"},
		"MetadataKey is not valid UTF-8":          {MetadataKey: "\xff", MetadataValues: []string{"x"}},
		"MetadataValues is not valid UTF-8":       {MetadataKey: "x", MetadataValues: []string{"y", "\xff"}},
		"Page is negative":                        {Page: -1},
		"Size is not between 0 and 100":           {Size: 101},
	} {
		res, err := client.GetUsersList(t.Context(), q)
		answered(t, 400, message, sdk.ErrInvalidArgument, res, err)
		for _, err := range client.UsersList(t.Context(), q) {
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			require.ErrorContains(t, err, message)
		}
	}
	require.Empty(t, b.Calls(usersCall))
}

// The roster has sealed profiles of the service, or the names that a stock server keeps.
func TestGetFriendsList(t *testing.T) {
	b := backend.New(t)
	roster := make(chan string, 1)
	asked := make(chan string, 1)
	b.OnIQ = func(v *backend.Visitor, id, to, frame string) bool {
		if !strings.Contains(frame, "jabber:iq:roster") {
			return false
		}
		asked <- to
		v.Result(id, "", <-roster)
		return true
	}
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	sealed := func(text string) string { return seal.Seal(text, "bob", "license-key") }
	roster <- `<query xmlns="jabber:iq:roster"><item jid="` + bobHere + `" name="Bobby">` +
		`<profile xmlns="jabber:iq:roster">` +
		`<vCard><nickName>` + sealed("Bob") + `</nickName>` +
		`<email>` + sealed("b@example.com") + `</email><mobileNumber>` +
		sealed("123") + `</mobileNumber><status>hi</status><image>i</image><thumbImage>t</thumbImage>` +
		`<is_admin_blocked>1</is_admin_blocked></vCard></profile></item>` +
		`<item jid="carol@` + backend.Domain + `" name="Carol"/><item jid="dave@` + backend.Domain + `"><profile>` +
		`<vCard><name>` +
		seal.Seal("Dave", "dave", "license-key") + `</name></vCard></profile></item></query>`
	res, err := client.GetFriendsList(t.Context())
	require.NoError(t, err)
	require.Empty(t, patient.Receive(t, asked))
	friend := func(id, name string) sdk.Profile {
		return sdk.Profile{UserID: id, UserJID: id + "@" + backend.Domain, FromUser: id, NickName: name}
	}
	bob := friend("bob", "Bob")
	bob.Email, bob.MobileNumber, bob.Status, bob.Image, bob.ThumbImage = "b@example.com", "123", "hi", "i", "t"
	bob.IsAdminBlocked = true
	require.Equal(t, []sdk.Profile{bob, friend("carol", "Carol"), friend("dave", "Dave")}, res.Data)

	roster <- `<query xmlns="jabber:iq:roster"/>`
	res, err = client.GetFriendsList(t.Context())
	require.NoError(t, err)
	require.NotNil(t, res.Data)
	require.Empty(t, res.Data)
}

func TestGetFriendsListRefused(t *testing.T) {
	b := backend.New(t)
	b.OnIQ = func(v *backend.Visitor, id, _, frame string) bool {
		v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"><error type="cancel"><forbidden ` +
			backend.NSStanzas + `/></error></iq>`)
		return true
	}
	res, err := b.Connected(b.Config(sdk.TransportWebSocket), "alice").GetFriendsList(t.Context())
	answered(t, 500, "Request Failed", nil, res, err)
	require.Equal(t, "forbidden", failed(t, res, err).Condition)
}

// sdktest has the roster, too.
func TestFriendsInTheBox(t *testing.T) {
	srv := sdktest.New(t)
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	_, err := bob.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Bob", Email: "bob@example.com", Status: "hi"})
	require.NoError(t, err)
	res, err := alice.GetFriendsList(t.Context())
	require.NoError(t, err)
	require.Contains(t, res.Data, sdk.Profile{
		UserID: "bob", UserJID: "bob@" + srv.Domain(), FromUser: "bob", NickName: "Bob", Email: "bob@example.com",
		Status: "hi",
	})
}

// reading is every call of history and users.
func reading() []call {
	user := "bob@" + backend.Domain
	return []call{
		{"GetChatMessages", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetChatMessages(ctx, sdk.ChatQuery{UserJID: user}))
		}},
		{"GetMessageByID", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetMessageByID(ctx, user, "m1"))
		}},
		{"GetRecentChats", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetRecentChats(ctx, sdk.RecentQuery{}))
		}},
		{"GetUsersList", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetUsersList(ctx, sdk.UsersQuery{}))
		}},
		{"GetFriendsList", needsXMPP, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return of(c.GetFriendsList(ctx))
		}},
		{"ChatMessages", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return lastOf(c.ChatMessages(ctx, sdk.ChatQuery{UserJID: user}))
		}},
		{"RecentChats", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return lastOf(c.RecentChats(ctx, sdk.RecentQuery{}))
		}},
		{"UsersList", needsREST, func(ctx context.Context, c *sdk.Client) (outcome, error) {
			return lastOf(c.UsersList(ctx, sdk.UsersQuery{}))
		}},
	}
}

// lastOf is how a list ended.
func lastOf[T any](all func(func(T, error) bool)) (outcome, error) {
	for _, err := range all {
		if failure, ok := err.(*sdk.Error); ok {
			return outcome{failure.StatusCode, failure.Message}, err
		}
	}
	return outcome{200, "Success"}, nil
}

// What is wrong with a client is told before what is wrong with the arguments, and by every call in
// the same words.
func TestReadingInEveryState(t *testing.T) {
	b := backend.New(t)
	empty := func(w http.ResponseWriter, _ *http.Request) { backend.AnswerJSON(w, `{"status":200,"data":[]}`) }
	for _, call := range []string{chatCall, recentCall, usersCall} {
		b.On(call, empty)
	}
	b.On(oneCall, func(w http.ResponseWriter, _ *http.Request) {
		backend.AnswerJSON(w, `{"status":200,"data":{"messageId":"m1"}}`)
	})
	cfg := b.Config(sdk.TransportWebSocket)
	cfg.Reconnect.Disabled = true
	lost := b.Connected(cfg, "carol")
	ended := collect(lost.OnConnection)
	b.Cut()
	ended.until(t, hasStatus(sdk.StatusDisconnected))
	b.SASL = func(user, _ string) string { return map[string]string{"erin": "not-authorized"}[user] }
	refused := newClient(t, cfg)
	_, err := refused.Connect(t.Context(), "erin", b.Password())
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	closed := b.Connected(cfg, "dave")
	require.NoError(t, closed.Close())
	ok := outcome{200, "Success"}
	for _, tc := range []struct {
		name       string
		client     *sdk.Client
		rest, xmpp outcome
		is         error
	}{
		{"fresh", newClient(t, cfg), outcome{400, notRegistered}, outcome{400, notRegistered}, sdk.ErrNotRegistered},
		{"connected", b.Connected(cfg, "alice"), ok, ok, nil},
		{"connection lost", lost, ok, outcome{500, "Connection Error"}, sdk.ErrNotConnected},
		{"refused by XMPP", refused, ok, outcome{500, "Connection Error"}, sdk.ErrNotConnected},
		{"closed", closed, outcome{500, "Client is closed"}, outcome{500, "Client is closed"}, sdk.ErrClosed},
	} {
		for _, m := range reading() {
			want := tc.rest
			if m.kind == needsXMPP {
				want = tc.xmpp
			}
			got, err := m.do(t.Context(), tc.client)
			require.Equal(t, want, got, "%s, %s: %v", tc.name, m.name, err)
			if want == ok {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, tc.is, m.name)
			var failure *sdk.Error
			require.ErrorAs(t, err, &failure)
			require.Equal(t, m.name, failure.Op)
		}
	}
}

// A breakdown of the service leaves nothing open: to read does no harm twice.
func TestReadingIsHarmlessTwice(t *testing.T) {
	b := backend.New(t)
	for _, call := range []string{chatCall, oneCall, recentCall, usersCall} {
		b.On(call, func(w http.ResponseWriter, _ *http.Request) {
			backend.AnswerJSON(w, `{"status":500,"message":"boom"}`)
		})
	}
	b.OnIQ = func(v *backend.Visitor, id, _, frame string) bool {
		v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"><error type="wait"><internal-server-error ` +
			backend.NSStanzas + `/></error></iq>`)
		return true
	}
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	for _, m := range reading() {
		got, err := m.do(t.Context(), client)
		require.Equal(t, 500, got.code, m.name)
		require.Equal(t, sdk.OutcomeUnknown, outcomeTold(t, err), m.name)
		var failure *sdk.Error
		require.ErrorAs(t, err, &failure)
		require.True(t, failure.Retryable(), m.name)
	}
}
