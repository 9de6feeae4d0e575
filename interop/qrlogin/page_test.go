package qrlogin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// build compiles examples/qrlogin.
func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "qrlogin")
	cmd := exec.Command("go", "build", "-o", program, "./examples/qrlogin")
	cmd.Dir = "../.."
	raw, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", raw)
	return program
}

// start runs the program until the test ends, and waits until it prints what matches.
func start(t *testing.T, program string, env []string, pattern string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait(), "a clean end")
		require.Empty(t, stderr.String())
	})
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if found := regexp.MustCompile(pattern).FindStringSubmatch(said.String()); found != nil {
			return found
		}
	}
	require.FailNow(t, "never printed: "+pattern, "%s%s", said.String(), stderr.String())
	return nil
}

// sh runs a line as a person would who copies it into a terminal.
func sh(t *testing.T, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	raw, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	require.NoError(t, err, "%s", raw)
	return string(raw)
}

// requireClean checks that pages have asked nobody else for anything, and have had nothing to
// complain about.
func requireClean(t *testing.T, c *browser.Browser, base string) {
	t.Helper()
	c.RequireClean(t)
	c.RequireOwn(t, base)
}

// TestInChromium runs everything in one browser, one after the other.
func TestInChromium(t *testing.T) {
	browser.Need(t, "zbarimg")
	c, program := startChromium(t), build(t)
	c.Run(t, "in the box", func(t *testing.T) { testInTheBox(t, c, program) })
	c.Run(t, "real service", func(t *testing.T) { testRealService(t, c, program) })
	c.Run(t, "starts again", func(t *testing.T) { testProgramStartsAgain(t, c, program) })
	c.Run(t, "renderings", func(t *testing.T) { testRenderings(t, c) })
}

// testInTheBox is what somebody sees who starts the program without settings and does what it says.
func testInTheBox(t *testing.T, c *browser.Browser, program string) {
	said := start(t,
		program, []string{"MIRRORFLY_API_BASE_URL="}, `Open (\S+) in a browser(?s:.*)\n  (.* -scan alice -at .*)\n`,
	)
	url, command := said[1], said[2]
	desktop := open(t, c, "desktop", url, 1280, 900, false)
	phone := open(t, c, "phone", url, 360, 740, true)

	first := desktop.awaitCode("")
	phone.awaitCode("")
	content := desktop.read("code")
	require.Equal(t, content, phone.read("code"), "the same code in every tab")
	plain, err := seal.OpenStrict(content, seal.Triple("sdktest-license-key"), seal.ConstIV)
	require.NoError(t, err)
	var code map[string]string
	require.NoError(t, json.Unmarshal([]byte(plain), &code))
	require.NotEmpty(t, code["token"])
	phone.RequireFits()
	require.Contains(t, desktop.accessible("image").Name, "QR code")
	require.Equal(t, "Waiting for your phone.", desktop.accessible("status").Text)
	require.Equal(t, "polite", desktop.accessible("status").Live)
	require.Equal(t, "Log in with your phone", desktop.accessible("heading").Name)

	require.Contains(t, sh(t, command), "alice has logged in")
	for _, p := range []*tab{desktop, phone} {
		p.AwaitText("#name", "Alice Example")
		var width int
		p.Evaluate(
			`(async () => { const p = document.getElementById("picture"); await p.decode(); return `+
				`p.checkVisibility() ? p.naturalWidth : 0; })()`,
			&width,
		)
		require.Equal(t, 192, width, "the picture")
		p.Screenshot("in", "")
		require.Equal(t, "Logged in as Alice Example", p.accessible("status").Text)
		require.Equal(t, "You are logged in", p.accessible("heading").Name)
		require.Equal(t, "Picture of Alice Example", p.accessible("image").Name)
	}
	phone.RequireFits()
	require.Equal(t, "Log out", desktop.accessible("button").Name)

	// By keyboard; the button then goes, and the focus must not be lost with it.
	desktop.Evaluate(`document.getElementById("logout").focus()`, nil)
	desktop.Do("press", params{"key": "Enter"}, nil)
	second := desktop.awaitCode(first)
	require.True(t, desktop.accessible("heading").Focused)
	desktop.AwaitText("#notice", "You are logged out.")
	phone.AwaitText("#notice", "You are logged out.")
	renewed := desktop.read("out")
	require.NotEqual(t, content, renewed)

	// With the page's own form; a user without a profile.
	phone.Do("fill", params{"selector": "#owner", "text": "bob"}, nil)
	phone.Click("#scan")
	desktop.AwaitText("#name", "bob")
	phone.AwaitText("#initials", "B")
	phone.Screenshot("bob", "")
	phone.Click("#end")
	desktop.awaitCode(second)
	desktop.AwaitText("#notice", "ended by the phone")
	desktop.Screenshot("ended", "")
	requireClean(t, c, url)
}

// testRealService runs the program with settings, as for the real service, and reads the code off
// the screen as a phone does: the scan works only if every character is right.
func testRealService(t *testing.T, c *browser.Browser, program string) {
	if runtime.GOOS != "linux" {
		t.Fatal("SSL_CERT_FILE, by which the program trusts the test's server, works on Linux")
	}
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost"})
	setProfile(t, srv, "carol", "Carol with a long name indeed!")
	said := start(t, program, []string{
		"MIRRORFLY_API_BASE_URL=" + srv.URL(), "MIRRORFLY_LICENSE_KEY=" + srv.LicenseKey(),
		"MIRRORFLY_TRIAL=false", "MIRRORFLY_SIGNAL_URL=" + srv.SignalURL(), "SSL_CERT_FILE=" + srv.CAFile(),
	}, `Open (\S+) in a browser`)
	page := open(t, c, "real", said[1], 1280, 900, true)
	first := page.awaitCode("")
	old := page.read("code")

	srv.ExpireQR()
	second := page.awaitCode(first)
	content := page.read("renewed")
	require.NotEqual(t, old, content)
	require.Error(t, srv.Phone("carol").Scan(t.Context(), old))
	require.NoError(t, srv.Phone("carol").Scan(t.Context(), content))
	page.AwaitText("#name", "Carol with a long name")
	page.Screenshot("in", "")

	require.NoError(t, srv.Phone("carol").LogoutWeb(t.Context()))
	third := page.awaitCode(second)
	page.AwaitText("#notice", "ended by the phone")

	require.Error(t, srv.Phone("carol").Scan(t.Context(), content))
	require.NoError(t, srv.Phone("carol").Scan(t.Context(), page.read("again")))
	page.AwaitText("#name", "Carol")
	page.Click("#logout")
	page.awaitCode(third)
	var phones bool
	page.Evaluate(`document.getElementById("phone").checkVisibility()`, &phones)
	require.False(t, phones, "there is no built-in phone on the real service")
	requireClean(t, c, said[1])
}

// testProgramStartsAgain: a page that stays open tells that its program has gone, and finds it
// again.
func testProgramStartsAgain(t *testing.T, c *browser.Browser, program string) {
	box := []string{"MIRRORFLY_API_BASE_URL="}
	var page *tab
	var url string
	t.Run("first", func(t *testing.T) { // the program ends with it
		url = start(t, program, box, `Open (\S+) in a browser`)[1]
		page = open(t, c, "again", url, 800, 900, false)
		page.awaitCode("")
	})
	page.AwaitText("#notice", "lost its program")
	page.Screenshot("lost", "")
	t.Run("second", func(t *testing.T) {
		start(t, program, box, `Open (\S+) in a browser`, "-listen", strings.TrimPrefix(url, "http://"))
		page.awaitCode("")
		page.AwaitText("#status", "Waiting for your phone.")
	})
}

func setProfile(t *testing.T, srv *sdktest.Server, user, name string) {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	credentials, err := client.Register(t.Context(), user)
	require.NoError(t, err)
	_, err = client.Connect(t.Context(), credentials.Data.Username, credentials.Data.Password)
	require.NoError(t, err)
	picture := image.NewRGBA(image.Rect(0, 0, 40, 20))
	for i := range 40 * 20 {
		picture.Set(i%40, i/40, color.RGBA{R: uint8(i), G: 120, B: 90, A: 255})
	}
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, picture))
	_, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Name: name, Email: "carol@example.com", Image: sdk.ImageReader(
			"carol.png", "image/png", &file, int64(file.Len()),
		),
	})
	require.NoError(t, err)
}
