package sdk_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// historyOf serves a conversation of alice with bob. Bob has sent m1, of which he was told nothing,
// m2, which was delivered, m3, which was seen, and m5, of which he was told nothing; m4 is alice's.
func historyOf(t *testing.T, cfg *sdk.Config) {
	answering(t, cfg, map[string]http.HandlerFunc{
		"GET chat/chat-history": func(w http.ResponseWriter, r *http.Request) {
			var rows []string
			for n, delivery := range []int{0, 1, 2, 0, 0} {
				id, from, to := fmt.Sprint("m", n+1), "bob", "alice"
				if n == 3 {
					from, to = to, from
				}
				rows = append(rows, fmt.Sprintf(`{"messageId":%q,"messageType":"text","message":%q,"fromUser":%q,`+
					`"toUser":%q,"epochTimestamp":%d,"deliveryStatus":%d}`,
					id, sealedText(t, id, "hi"), from, to, micros(n+1), delivery))
			}
			if r.URL.Query().Get("direction") != "forward" {
				slices.Reverse(rows)
			}
			_, _ = fmt.Fprintf(w, `{"status":200,"data":{"totalPages":1,"totalRecords":5,"chatList":[%s]}}`,
				strings.Join(rows, ","))
		},
	})
}

var receiptSent = regexp.MustCompile(`^<message.* to="([^"@]+)@.*<(delivered|seen) .*id="(m\d)"`)

// receipts are those that were sent: to whom, what, and of which message.
func (w *wire) receipts() string {
	var all []string
	for _, text := range w.all() {
		if !strings.Contains(text, "urn:xmpp:receipts") {
			continue
		}
		if found := receiptSent.FindStringSubmatch(text); found != nil {
			all = append(all, strings.Join(found[1:], " "))
		} else {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

// Reading tells nobody anything unless that is asked for. Then the receipts that are missing are
// told, for the oldest message first.
func TestReceiptsOfHistory(t *testing.T) {
	const all = "bob delivered m1, bob seen m1, bob seen m2, bob delivered m5, bob seen m5"
	for name, tc := range map[string]struct {
		q    sdk.ChatQuery
		want string
	}{
		"not asked for":           {sdk.ChatQuery{}, ""},
		"newest first":            {sdk.ChatQuery{MarkSeen: true}, all},
		"oldest first":            {sdk.ChatQuery{MarkSeen: true, After: "m0"}, all},
		"what is returned, alone": {sdk.ChatQuery{MarkSeen: true, Size: 2}, "bob delivered m5, bob seen m5"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, w := watched(t, sdktest.Options{})
			cfg := srv.Config()
			historyOf(t, &cfg)
			alice := login(t, cfg, "alice")
			tc.q.UserJID = "bob@" + srv.Domain()
			_, err := alice.GetChatMessages(soon(t), tc.q)
			require.NoError(t, err)
			requireAnswer(t, srv, alice) // what was sent before it has come
			require.Equal(t, tc.want, w.receipts())
		})
	}
}

// A message counts as seen when the loop has done with it, the last one also when it ends the loop.
func TestReceiptsOfTheLoop(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	cfg := srv.Config()
	historyOf(t, &cfg)
	alice := login(t, cfg, "alice")
	q := sdk.ChatQuery{UserJID: "bob@" + srv.Domain(), After: "m0"}
	for _, err := range alice.ChatMessages(soon(t), q) {
		require.NoError(t, err)
	}
	requireAnswer(t, srv, alice)
	require.Empty(t, w.receipts())
	q.MarkSeen = true
	for m, err := range alice.ChatMessages(soon(t), q) {
		require.NoError(t, err)
		requireAnswer(t, srv, alice)
		require.NotContains(t, w.receipts(), m.ID, "it is not seen yet")
		if m.ID == "m2" {
			break
		}
	}
	requireAnswer(t, srv, alice)
	require.Equal(t, "bob delivered m1, bob seen m1, bob seen m2", w.receipts())
}

// A receipt that cannot be sent does not fail the call. It goes out with the next connection.
func TestReceiptsOfHistoryWithoutAConnection(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	cfg := srv.Config()
	cfg.Reconnect.Disabled = true
	historyOf(t, &cfg)
	alice, credentials := register(t, cfg, "alice")
	connection := collect(alice.OnConnection)
	connect(t, alice, credentials)
	srv.DropConnections()
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	res, err := alice.GetChatMessages(soon(t), sdk.ChatQuery{UserJID: "bob@" + srv.Domain(), MarkSeen: true, Size: 2})
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "m5 m4", ids(res.Data.Messages))
	require.Empty(t, w.receipts())
	connect(t, alice, credentials)
	w.until(t, 1, "<seen")
	require.Equal(t, "bob delivered m5, bob seen m5", w.receipts())
}
