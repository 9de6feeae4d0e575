package sdk_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// lines is a handler that keeps the lines of a level and above, each as "LEVEL message key=value
// ...".
type lines struct {
	level slog.Level
	mu    *sync.Mutex
	all   *[]string
}

func newLines(level slog.Level) lines { return lines{level, new(sync.Mutex), new([]string)} }

func (l lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l lines) WithAttrs([]slog.Attr) slog.Handler               { panic("not used") }
func (l lines) WithGroup(string) slog.Handler                    { panic("not used") }

func (l lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.all = append(*l.all, line)
	return nil
}

// with returns the lines that have all parts.
func (l lines) with(parts ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range *l.all {
		fits := true
		for _, part := range parts {
			fits = fits && strings.Contains(line, part)
		}
		if fits {
			found = append(found, line)
		}
	}
	return found
}

// Every line says whose it is, and calls, requests and changes of the connection say what they
// should, and nothing empty.
func TestLogLines(t *testing.T) {
	log := newLines(slog.LevelDebug)
	w := withHooks(t, nil, func(cfg *sdk.Config) { cfg.Logger = slog.New(log) })
	w.srv.FailNext("contacts/vcard", 503, "later")
	_, err := w.client.GetUserProfile(soon(t), "alice")
	require.NoError(t, err)
	_, err = w.client.BlockUser(soon(t), "")
	require.Error(t, err)
	w.lose(t)
	w.push(t, `<iq xmlns="jabber:client" type="result" id="never asked" from="mallory@stranger.example"/>`)
	require.NoError(t, w.client.Close())

	jid := "jid=alice@" + w.srv.Domain()
	all := log.with()
	registered := false
	for _, line := range all {
		registered = registered || strings.Contains(line, "call op=Register")
		if registered && !strings.Contains(line, "call op=Register") {
			require.Contains(t, line, jid)
		}
		require.NotRegexp(t, `=( |$|""|<nil>|0s)`, line, "an empty field")
	}
	require.Len(t, log.with("DEBUG call op=GetUserProfile code=200 outcome=success dur="), 1)
	require.Len(t, log.with("DEBUG call op=BlockUser code=400 outcome=not sent dur=", "err=sdk: BlockUser"), 1)
	require.Len(t, log.with("DEBUG rest: request op=login method=POST path=/login attempt=1 code=200 dur="), 1)
	require.Len(t, log.with("op=profile method=GET path=/contacts/vcard attempt=2 code=200"), 1)
	require.Len(t, log.with("WARN connection status=DISCONNECTED err=sdk: Connect"), 1)
	require.Len(t, log.with("DEBUG connection status=RECONNECTING attempt=1 retry_in="), 1)
	require.Len(t, log.with("INFO connection status=CONNECTED attempt=1"), 1)
	require.Len(t, log.with("DEBUG connection status=DISCONNECTED final=true"), 1)
	require.Len(t, log.with(`DEBUG stanza ignored why=reply to nothing stanza=iq from=mallory@stranger.example`), 1)
	require.Empty(t, log.with("xmpp frame"), "they are below debug")
}

// Until the domain is known the lines have the user name.
func TestLogLinesBeforeTheDomainIsKnown(t *testing.T) {
	srv := sdktest.New(t)
	_, credentials := register(t, srv.Config(), "alice")
	log := newLines(slog.LevelDebug)
	cfg := srv.Config()
	cfg.Logger = slog.New(log)
	connect(t, newClient(t, cfg), credentials)
	require.Len(t, log.with("op=login", "jid=alice"), 1)
	require.Empty(t, log.with("op=login", "jid=alice@"))
	require.Len(t, log.with("status=CONNECTED", "jid=alice@"+srv.Domain()), 1)
}

// An outage is a line at its beginning and one at its end, however many attempts are in between;
// and what the program asks for is none.
func TestOutageIsTwoLines(t *testing.T) {
	log := newLines(slog.LevelInfo)
	w := withHooks(t, nil, func(cfg *sdk.Config) {
		cfg.Logger, cfg.Transport = slog.New(log), sdk.TransportWebSocket
	})
	require.Len(t, log.with(), 1, "CONNECTED")
	w.srv.SetFault(sdktest.StepUpgrade, sdktest.FaultClose)
	w.srv.DropConnections()
	w.connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Attempt == 5 })
	w.srv.ClearFaults()
	require.NoError(t, w.client.WaitConnected(soon(t)))
	_, err := w.client.Logout(soon(t))
	require.NoError(t, err)
	require.NoError(t, w.client.Close())
	require.Len(t, log.with(), 3, "%v", log.with())
	require.Len(t, log.with("WARN connection status=DISCONNECTED"), 1)
	require.Len(t, log.with("INFO connection status=CONNECTED"), 2)
}

// The last attempt, after which nobody tries any more, is a warning.
func TestGivingUpIsAWarning(t *testing.T) {
	log := newLines(slog.LevelInfo)
	w := withHooks(t, nil, func(cfg *sdk.Config) {
		cfg.Logger, cfg.Transport, cfg.Reconnect.MaxAttempts = slog.New(log), sdk.TransportWebSocket, 2
	})
	w.srv.SetFault(sdktest.StepUpgrade, sdktest.FaultClose)
	w.srv.DropConnections()
	w.connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Final })
	require.Eventually(t, func() bool {
		return len(log.with("WARN connection status=CONNECTIONFAILED attempt=2 final=true err=")) == 1
	}, patience, time.Millisecond)
}
