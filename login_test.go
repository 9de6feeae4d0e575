package sdk_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

var bothTransports = []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP}

// Servers and balancers drop who does not log in within a while, and POST /login may take longer
// than that: what became of the connection that was made meanwhile is not the last word.
func TestConnectDialsAgainAfterASlowLogin(t *testing.T) {
	for _, transport := range bothTransports {
		for name, last := range map[string]func(*backend.Visitor){
			"cut": (*backend.Visitor).AnswerStream,
			"cut with words": func(v *backend.Visitor) {
				v.AnswerStream()
				v.Send(streamErrorOf("connection-timeout"))
			},
		} {
			t.Run(transportName(transport)+" "+name, func(t *testing.T) {
				b := backend.New(t)
				cut := make(chan struct{})
				b.OnStream = func(v *backend.Visitor) bool {
					if v.Nth > 1 {
						return true
					}
					last(v)
					v.Conn.Close()
					close(cut)
					return false
				}
				b.OnLogin = func(http.ResponseWriter, int) bool { patient.Hold(t, cut); return false }
				client, credentials := register(t, b.Config(transport), "alice")
				connection := collect(client.OnConnection)
				connect(t, client, credentials)
				connection.until(t, hasStatus(sdk.StatusConnected))
				require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected}, statuses(connection))
				require.Equal(t, 2, b.Connections())
			})
		}
	}
}

// A host that does not answer is dialled once, and what the server says of the login is its word.
func TestConnectDoesNotDialAgainForAnAnswer(t *testing.T) {
	b := backend.New(t)
	b.SASL = func(string, string) string { return "not-authorized" }
	client, credentials := register(t, b.Config(sdk.TransportTCP), "alice")
	_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	require.Equal(t, 1, b.Connections())
}

func streamErrorOf(condition string) string {
	return `<stream:error ` + backend.NSStream + `><` + condition + ` ` + backend.NSStreams + `/></stream:error>`
}

// held has the back end's streams wait for release, all but the first. It tells of each.
func held(t *testing.T, b *backend.Server) (waiting <-chan struct{}, release func()) {
	told, gate := make(chan struct{}, 8), make(chan struct{})
	b.OnStream = func(v *backend.Visitor) bool {
		if v.Nth > 1 && v.Streams == 1 {
			told <- struct{}{}
			<-gate
		}
		return true
	}
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return told, release
}

// A Connect while the client reconnects, which succeeds during POST /login: there is a session, so
// it is 409 (protocol.md 4.1.5), and the session stays, with the token of its own user.
func TestConnectWhileReconnectionSucceeds(t *testing.T) {
	for _, transport := range bothTransports {
		for _, user := range []string{"alice", "Alice", "bob"} {
			t.Run(transportName(transport)+" "+user, func(t *testing.T) {
				b := backend.New(t)
				waiting, release := held(t, b)
				asked, goOn := make(chan struct{}), make(chan struct{})
				b.OnLogin = func(_ http.ResponseWriter, nth int) bool {
					if nth > 1 {
						close(asked)
						patient.Hold(t, goOn)
					}
					return false
				}
				client, credentials := register(t, b.Config(transport), "alice")
				connection := collect(client.OnConnection)
				connect(t, client, credentials)
				b.Cut()
				patient.Receive(t, waiting)
				failed := make(chan error, 1)
				go func() {
					_, err := client.Connect(t.Context(), user, credentials.Password)
					failed <- err
				}()
				patient.Receive(t, asked)
				release()
				connection.until(t, isBack)
				close(goOn)
				require.ErrorIs(t, patient.Receive(t, failed), sdk.ErrAlreadyLoggedIn)
				require.Equal(t, sdk.StatusConnected, client.State())
				_, err := client.GetUsersIBlocked(t.Context())
				require.NoError(t, err)
				require.Equal(t, 2, b.Connections())
				lost := func(e sdk.ConnectionEvent) bool { return e.Status == sdk.StatusDisconnected }
				require.Equal(t, 1, len(slices.DeleteFunc(connection.list(), func(e sdk.ConnectionEvent) bool {
					return !lost(e)
				})))

				_, err = client.GetUserProfile(t.Context(), "carol")
				require.NoError(t, err)
				calls := b.Calls("GET /contacts/vcard")
				require.Equal(t, user == "bob", strings.HasPrefix(calls[0].Token, "token-of-alice-1"), calls[0].Token)
			})
		}
	}
}

// Register answers another password while an attempt to reconnect is under way with the old one.
// That the old one is refused says nothing of the new one: the client is back with it, and REST
// uses it, too (protocol.md 4.6).
func TestNewPasswordWhileReconnecting(t *testing.T) {
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			b := backend.New(t)
			waiting, release := held(t, b)
			b.SASL = func(_, password string) string {
				if password != b.Password() {
					return "not-authorized"
				}
				return ""
			}
			cfg := b.Config(transport)
			cfg.Reconnect.MaxAttempts = 1
			client, credentials := register(t, cfg, "alice")
			connection := collect(client.OnConnection)
			connect(t, client, credentials)
			b.Cut()
			patient.Receive(t, waiting)
			b.SetPassword("another")
			res, err := client.Register(t.Context(), "alice")
			require.NoError(t, err)
			require.Equal(t, "another", res.Data.Password)
			release()
			event := connection.until(t, func(e sdk.ConnectionEvent) bool { return isBack(e) || e.Final })
			require.Equal(t, sdk.StatusConnected, event.Status, "%+v", event)
			require.Equal(t, 1, event.Attempt)

			b.ExpireTokens()
			_, err = client.GetUserProfile(t.Context(), "bob")
			require.NoError(t, err)
			calls := b.Calls("POST /login")
			require.Contains(t, calls[len(calls)-1].Body, "another")
		})
	}
}

// A password that is refused while no other is known is forgotten, as ever.
func TestRefusedPasswordEndsReconnection(t *testing.T) {
	b := backend.New(t)
	var refuse sync.Map
	b.SASL = func(string, string) string {
		if _, now := refuse.Load("now"); now {
			return "not-authorized"
		}
		return ""
	}
	client, credentials := register(t, b.Config(sdk.TransportTCP), "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	refuse.Store("now", true)
	b.Cut()
	require.True(t, connection.until(t, hasStatus(sdk.StatusAuthFail)).Final)
	_, err := client.GetUsersIBlocked(t.Context())
	require.ErrorIs(t, err, sdk.ErrNotConnected)
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	require.NotErrorIs(t, err, sdk.ErrNetwork)
	logins := len(b.Calls("POST /login"))
	b.ExpireTokens()
	_, err = client.GetUserProfile(t.Context(), "bob")
	require.Error(t, err)
	require.Len(t, b.Calls("POST /login"), logins, "nothing is tried with it any more")
}

// With a resource of its own (Config.DeviceID) a client may come back before the server has noticed
// that the old session is dead. A server that prefers the old one then refuses the bind: not the
// credentials (RFC 6120 7.7.2.2).
func TestResourceHeldByTheDeadSession(t *testing.T) {
	for _, transport := range bothTransports {
		b := backend.New(t)
		b.OnBind = func(v *backend.Visitor, id string) bool {
			if v.Nth != 2 {
				return false
			}
			v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"><error type="cancel"><conflict ` +
				backend.NSStanzas +
				`/></error></iq>`)
			return true
		}
		client, credentials := register(t, b.Config(transport), "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		b.Cut()
		failed := connection.until(t, hasStatus(sdk.StatusConnectionFailed))
		require.False(t, failed.Final)
		var e *sdk.Error
		require.True(t, errors.As(failed.Err, &e))
		require.Equal(t, "conflict", e.Condition)
		connection.until(t, isBack)
	}
}
