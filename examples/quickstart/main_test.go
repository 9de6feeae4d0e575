package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/examples/internal/testprogram"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) { testprogram.Main(main, func() { m.Run() }) }

// start runs the program and returns what it printed and its exit code.
func start(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// everyStep is what the program prints on the test server, in this order.
var everyStep = []string{
	"alice.Register", "alice.Connect", "bob.Register", "bob.Connect", "alice.OnPresence", "alice.GetCurrentUserJID",
	"bob.SetUserProfile",
	"alice.OnUserProfile", "alice.GetUserProfile", "alice.DownloadMedia", "alice.GetLastSeen",
	"bob.SendTypingStatus", "alice.OnTyping", "bob.SendTextMessage", "alice.OnMessage", "bob.OnMessageStatus",
	"alice.SendSeenStatus", "bob.OnMessageStatus", "bob.EditTextMessage", "alice.OnMessageEdited",
	"alice.GetChatMessages", "alice.BlockUser",
	"bob.OnBlock",
	"alice.GetUsersIBlocked", "bob.GetUsersWhoBlockedMe", "alice.UnblockUser", "bob.OnBlock",
	"alice.SetMediaEncryption", "alice.UploadMedia",
	"bob.DownloadMedia", "alice.ReportUserOrGroup", "alice.SendFeedback", "bob.DeleteMyAccount", "alice.OnUserDeleted",
	"alice.Logout", "alice.OnConnection",
}

func requireSteps(t *testing.T, printed string, steps []string) {
	t.Helper()
	rest := printed
	for _, step := range steps {
		_, after, found := strings.Cut(rest, step)
		require.True(t, found, "%s is missing, or not in its place:\n%s", step, printed)
		rest = after
	}
	require.Contains(t, rest, "Everything worked.")
	for _, line := range strings.Split(printed, "\n") {
		if strings.Contains(line, "(") && strings.Contains(line, "ms  ") {
			require.Regexp(t, regexp.MustCompile(`^\w+\.\w+\(.*\) +200 +[0-9.]+ms  `), line)
		}
	}
}

func TestOnTheTestServer(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "tcp"} {
		stdout, stderr, code := start(t, nil, "-transport", transport)
		require.Zero(t, code, stderr)
		require.Empty(t, stderr)
		require.Contains(t, stdout, "XMPP over "+transport)
		requireSteps(t, stdout, everyStep)
		require.Contains(t, stdout, "  sending report.txt: 100%, 16.0 of 16.0 MB\n")
		require.NotContains(t, stdout, "\r")
		require.NotContains(t, stdout, "\x1b")
	}
	// The test server runs on this machine, so no proxy is asked for it.
	_, stderr, code := start(t, []string{"HTTPS_PROXY=http://127.0.0.1:9", "https_proxy=http://127.0.0.1:9"})
	require.Zero(t, code, stderr)
}

// As on a real service, where two new users may not be contacts: nothing is told, and the tour goes
// on.
func TestOnAService(t *testing.T) {
	t.Parallel()
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost", NoContacts: true})
	stdout, stderr, code := start(t, environment(srv))
	require.Zero(t, code, stderr+stdout)
	require.Contains(t, stdout, "was not told")
	requireSteps(t, stdout, []string{
		"alice.Register", "alice.Connect", "bob.SetUserProfile", "alice.GetUserProfile", "alice.OnMessage",
		"bob.DeleteMyAccount", "alice.Logout",
	})
	require.Contains(t, stdout, "No account stays behind")
	require.Empty(t, srv.Users())
	require.Len(t, srv.Deleted(), 2)
}

func environment(srv *sdktest.Server) []string {
	return []string{
		"MIRRORFLY_API_BASE_URL=" + srv.URL(), "MIRRORFLY_LICENSE_KEY=" + srv.LicenseKey(), "MIRRORFLY_TRIAL=false",
		"MIRRORFLY_CA_FILE=" + srv.CAFile(),
	}
}

func TestNoAccountStaysBehindAFailure(t *testing.T) {
	t.Parallel()
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost"})
	srv.FailNext("moderation/report", 400, "Report refused")
	stdout, stderr, code := start(t, environment(srv))
	require.Equal(t, 1, code, stdout)
	require.Contains(t, stderr, "Report refused")
	require.Empty(t, srv.Users())
	require.Len(t, srv.Deleted(), 2)

	// What cannot be deleted is named.
	srv.FailNext("users/deleteMyAccount", 400, "Not now")
	srv.FailNext("users/deleteMyAccount", 400, "Not now")
	_, stderr, code = start(t, environment(srv))
	require.Equal(t, 1, code)
	require.Regexp(t, `quickstart-alice-[a-z0-9]+ is still there: sdk: DeleteMyAccount: Not now \(400\)`, stderr)
	require.Len(t, srv.Users(), 1)
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		env  []string
		args []string
		says string
	}{
		"transport":  {nil, []string{"-transport", "pigeon"}, "pigeon"},
		"argument":   {nil, []string{"tcp"}, "tcp"},
		"no licence": {[]string{"MIRRORFLY_API_BASE_URL=https://x.example"}, nil, "MIRRORFLY_LICENSE_KEY"},
		"no service": {[]string{"MIRRORFLY_LICENSE_KEY=k"}, nil, "set both MIRRORFLY_API_BASE_URL and"},
		"no authority": {[]string{
			"MIRRORFLY_API_BASE_URL=https://x.example", "MIRRORFLY_LICENSE_KEY=k", "MIRRORFLY_TRIAL=true",
			"MIRRORFLY_CA_FILE=main.go",
		}, nil, "no certificate in main.go"},
		"no trial": {[]string{
			"MIRRORFLY_API_BASE_URL=https://x.example", "MIRRORFLY_LICENSE_KEY=k",
		}, nil, "MIRRORFLY_TRIAL"},
		"unreachable": {[]string{
			"MIRRORFLY_API_BASE_URL=https://127.0.0.1:1", "MIRRORFLY_LICENSE_KEY=k", "MIRRORFLY_TRIAL=true",
		}, nil, "Network Error"},
		"password": {[]string{
			"MIRRORFLY_API_BASE_URL=https://user:secret@x.example/?key=secret", "MIRRORFLY_LICENSE_KEY=k",
			"MIRRORFLY_TRIAL=true",
		}, nil, "Invalid api base url"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := start(t, c.env, c.args...)
			require.Equal(t, 1, code)
			require.NotContains(t, stdout+stderr, "secret")
			require.Contains(t, stderr, "quickstart failed:")
			require.Contains(t, stderr, c.says)
		})
	}
}
