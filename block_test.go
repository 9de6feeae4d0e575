package sdk_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Where the XMPP server does not know who has blocked us, the REST half is asked, page by page.
func TestWhoBlockedMeOverREST(t *testing.T) {
	for _, condition := range []string{"service-unavailable", "feature-not-implemented", "forbidden"} {
		for _, paged := range []bool{true, false} {
			b := backend.New(t)
			b.OnIQ = func(v *backend.Visitor, id, to, frame string) bool {
				v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"><error type="cancel"><` + condition +
					` ` +
					backend.NSStanzas + `/></error></iq>`)
				return true
			}
			const users = 120
			b.On("GET /users/blockedby", func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("page"))
				size, _ := strconv.Atoi(r.URL.Query().Get("size"))
				pages := `"totalPages":` + strconv.Itoa((users+size-1)/size) + `,`
				if !paged {
					pages = ""
				}
				list := ""
				for i := (page - 1) * size; i < min(page*size, users); i++ {
					list += fmt.Sprintf(`,{"userId":"user%d"}`, i)
				}
				backend.AnswerJSON(w, `{"status":200,"message":"ok","data":{`+pages+`"users":[`+
					list[min(1, len(list)):]+`]}}`)
			})
			client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
			res, err := client.GetUsersWhoBlockedMe(t.Context())
			if condition == "forbidden" {
				require.Equal(t, condition, failed(t, res, err).Condition)
				require.Empty(t, b.Calls("GET /users/blockedby"), "that is an answer")
				continue
			}
			require.NoError(t, err)
			require.Len(t, res.Data, users)
			require.Equal(t, "user119@"+backend.Domain, res.Data[users-1].JID)
			// Without the number of pages, one that brings nobody new is the end.
			require.Len(t, b.Calls("GET /users/blockedby"), map[bool]int{true: 3, false: 4}[paged])

			b.On("GET /users/blockedby", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
			})
			res, err = client.GetUsersWhoBlockedMe(t.Context())
			require.Equal(t, condition, failed(t, res, err).Condition, "nobody knows: the server's word")
			b.On("GET /users/blockedby", func(w http.ResponseWriter, _ *http.Request) {
				backend.AnswerJSON(w, `{"status":500,"message":"boom"}`)
			})
			res, err = client.GetUsersWhoBlockedMe(t.Context())
			answered(t, 500, "boom", nil, res, err)
		}
	}
}

// sdktest has both ways.
func TestWhoBlockedMeInTheBox(t *testing.T) {
	srv := sdktest.New(t)
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	_, err := bob.BlockUser(t.Context(), "alice@"+srv.Domain())
	require.NoError(t, err)
	res, err := alice.GetUsersWhoBlockedMe(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sdk.BlockedUser{{JID: "bob@" + srv.Domain()}}, res.Data)
}

// Pages that were asked for as one account are not read on as the next one.
func TestWhoBlockedMeEndsWithItsLogin(t *testing.T) {
	b := backend.New(t)
	b.OnIQ = func(v *backend.Visitor, id, to, frame string) bool {
		v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"><error type="cancel"><service-unavailable ` +
			backend.NSStanzas + `/></error></iq>`)
		return true
	}
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	left := make(chan error, 1)
	b.On("GET /users/blockedby", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "1" {
			_, err := client.Logout(r.Context())
			_, again := client.Connect(r.Context(), "bob", b.Password())
			left <- errors.Join(err, again)
		}
		backend.AnswerJSON(w, `{"status":200,"message":"ok","data":{"totalPages":2,"users":[{"userId":"user`+
			r.URL.Query().Get("page")+`"}]}}`)
	})
	res, err := client.GetUsersWhoBlockedMe(t.Context())
	require.NoError(t, patient.Receive(t, left))
	require.Len(t, b.Calls("GET /users/blockedby"), 1)
	require.ErrorIs(t, failed(t, res, err), sdk.ErrNotRegistered)
}

func TestBlocking(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		host := srv.Domain()
		alice, credentials := register(t, cfg, "alice")
		connect(t, alice, credentials)
		phone := newClient(t, cfg) // Alice's other device
		connect(t, phone, credentials)
		bob := login(t, cfg, "bob")
		phoneBlocks, bobBlocks, bobPresence := collect(phone.OnBlock), collect(bob.OnBlock), collect(bob.OnPresence)
		order := collect(func(f func(any)) func() {
			bob.OnPresence(func(e sdk.PresenceEvent) { f(e) })
			return bob.OnBlock(func(e sdk.BlockEvent) { f(e) })
		})

		res, err := alice.BlockUser(t.Context(), "bob@"+host)
		require.NoError(t, err)
		require.Equal(t, sdk.Result[sdk.None]{StatusCode: 200, Message: "Success"}, res)
		phoneBlocks.until(t, func(e sdk.BlockEvent) bool {
			return e == sdk.BlockEvent{UserID: "bob", UserJID: "bob@" + host, Blocked: true, ByMe: true}
		})
		byAlice := sdk.BlockEvent{UserID: "alice", UserJID: "alice@" + host, Blocked: true}
		bobBlocks.until(t, func(e sdk.BlockEvent) bool { return e == byAlice })
		bobPresence.until(t, func(e sdk.PresenceEvent) bool {
			return e == sdk.PresenceEvent{FromUserJID: "alice@" + host, Status: "unavailable"}
		})
		all := order.list()
		for i, e := range all {
			if e == any(byAlice) {
				require.Contains(t, all[:i],
					any(sdk.PresenceEvent{FromUserJID: "alice@" + host, Status: "unavailable"}), "presence goes first")
			}
		}

		mine, err := alice.GetUsersIBlocked(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.BlockedUser{{JID: "bob@" + host}}, mine.Data)
		who, err := bob.GetUsersWhoBlockedMe(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.BlockedUser{{JID: "alice@" + host}}, who.Data)
		empty, err := bob.GetUsersIBlocked(t.Context())
		require.NoError(t, err)
		require.NotNil(t, empty.Data)
		require.Empty(t, empty.Data)

		seen, err := bob.GetLastSeen(t.Context(), "alice@"+host)
		answered(t, 500, "Request Failed", nil, seen, err)
		require.NotEmpty(t, failed(t, seen, err).Condition)

		_, err = alice.BlockUser(t.Context(), "bob@"+host)
		require.NoError(t, err, "twice is no error")
		_, err = alice.UnblockUser(t.Context(), "bob@"+host)
		require.NoError(t, err)
		bobBlocks.until(t, func(e sdk.BlockEvent) bool {
			return e == sdk.BlockEvent{UserID: "alice", UserJID: "alice@" + host}
		})
		phoneBlocks.until(t, func(e sdk.BlockEvent) bool { return e.ByMe && !e.Blocked })
		online, err := bob.GetLastSeen(t.Context(), "alice@"+host)
		require.NoError(t, err)
		require.Equal(t, sdk.LastSeen{FromUserJID: "alice@" + host}, online.Data)
	})
}
