package messages

import (
	"path/filepath"
	"testing"

	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// servers are the servers that give back what was not acknowledged.
var servers = []struct {
	name  string
	start func(t testing.TB, resumeTimeout string) *xmppserver.Server
	// keepsOrder: that of each sender, over a crash.
	keepsOrder bool
	// returnsAs is the condition with which a sender gets back what nobody got.
	returnsAs string
}{
	{"ejabberd", ejabberd, false, "service-unavailable"},
	{"Prosody", prosody, true, "recipient-unavailable"},
}

// resumeTimeout is how long a stream can be resumed, in seconds: longer than any test.
const resumeTimeout = "600"

// webSocket is the name of one of tour.Ways.
const webSocket = "WebSocket"

// startTLS is another one.
func startTLS() tour.Way { return tour.Ways()[1] }

// ejabberd starts an ejabberd that keeps everything it stores.
func ejabberd(t testing.TB, resumeTimeout string) *xmppserver.Server {
	t.Helper()
	node := xmppserver.Ejabberd(t, xmppserver.Options{
		Passwords: "plain", Env: map[string]string{"RESUME": resumeTimeout},
	})
	lockOfflineMessages(t, node)
	return node
}

// prosody starts a Prosody that also answers the commands of ejabberd's HTTP API, by which the REST
// half of the service keeps its accounts.
func prosody(t testing.TB, resumeTimeout string) *xmppserver.Server {
	t.Helper()
	modules, err := filepath.Abs("../prosody/modules")
	require.NoError(t, err)
	node := xmppserver.Prosody(t, xmppserver.Options{
		Passwords: "plain",
		Env:       map[string]string{"RESUME": resumeTimeout, "PLUGINS": modules, "EXTRA_MODULES": "ejabberd_api"},
	})
	node.APIURL = "http://" + node.HTTP + "/api"
	return node
}

// lockOfflineMessages has ejabberd store the messages of users who are offline one after the other.
// Stock, its Mnesia storage writes without a lock: what is stored while the messages of a login are
// taken out is deleted with them, and nobody ever gets it (docs/messages.md).
func lockOfflineMessages(t testing.TB, node *xmppserver.Server) {
	t.Helper()
	require.Equal(t, "{module,mod_offline_mnesia}", node.Ctl("eval", `
		{ok, {_, [{abstract_code, {_, Forms}}]}} =
			beam_lib:chunks(code:which(mod_offline_mnesia), [abstract_code]),
		Lock = fun Lock({call, L, {remote, _, {atom, _, mnesia}, {atom, _, dirty_write}}, [Record]}) ->
				Write = {call, L, {remote, L, {atom, L, mnesia}, {atom, L, write}}, [Record]},
				Fun = {'fun', L, {clauses, [{clause, L, [], [], [Write]}]}},
				{call, L, {remote, L, {atom, L, mnesia}, {atom, L, activity}}, [{atom, L, transaction}, Fun]};
			Lock(T) when is_tuple(T) -> list_to_tuple(Lock(tuple_to_list(T)));
			Lock([H | T]) -> [Lock(H) | Lock(T)];
			Lock(T) -> T
		end,
		{ok, Module, Code} = compile:forms(Lock(Forms)),
		code:load_binary(Module, "locked", Code).`))
}
