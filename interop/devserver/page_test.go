// Package devserver_test looks at the page of examples/devserver in Chromium, while package sdk
// uses the emulator.
package devserver_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
)

const hostile = `<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>`

// TestInChromium runs everything in one browser, one after the other.
func TestInChromium(t *testing.T) {
	b, program := startBrowser(t), build(t)
	b.Run(t, "page", func(t *testing.T) { testPage(t, b, program) })
	b.Run(t, "buttons", func(t *testing.T) { testButtons(t, b, program) })
	b.Run(t, "crowd", func(t *testing.T) { testCrowd(t, b, program) })
	b.Run(t, "chat", func(t *testing.T) { testChat(t, b, program) })
	b.Run(t, "starts again", func(t *testing.T) { testStartsAgain(t, b, program) })
	b.Run(t, "other sites", func(t *testing.T) { testOtherSites(t, b, program) })
}

// testPage: what a Go client does is seen without a reload, and what is pressed is felt by the Go
// client.
func testPage(t *testing.T, b *browser.Browser, program string) {
	e := start(t, program)
	page := b.Open(t, "page", e.page(), 1280, 1000, false)
	page.AwaitText("#link", "Live.")
	page.AwaitText("#no-users", "Nobody has registered yet.")
	page.Evaluate("window.loaded = 'once'", nil)

	alice := users.Register(t, e.config(t), "alice")
	page.AwaitText(row("alice"), "no")
	_, err := alice.Connect(t.Context(), alice.Account.Username, alice.Account.Password)
	require.NoError(t, err)
	page.AwaitText(row("alice")+" .on", "Web")
	_, err = alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Name: "Alice Example", Email: "alice@example.com", Status: "in the box", Image: picture(t),
	})
	require.NoError(t, err)
	page.AwaitText(row("alice"), "Alice Example")
	page.AwaitText(row("alice"), "in the box")
	var width int
	page.Evaluate(
		`(async () => { const p = document.querySelector('[data-user="alice"] img'); await p.decode(); return `+
			`p.naturalWidth; })()`,
		&width,
	)
	require.Equal(t, 30, width, "the picture")
	page.AwaitText("#traffic", "vcard-temp")
	page.AwaitText("#traffic", "POST sandbox/register")

	bob := users.Login(t, e.config(t), "bob")
	_, err = bob.BlockUser(t.Context(), "alice@"+e.said["domain"])
	require.NoError(t, err)
	page.AwaitText(row("bob"), "alice")
	_, err = bob.SendFeedback(t.Context(), "good", hostile)
	require.NoError(t, err)
	page.AwaitText("#feedback", "good: "+hostile)
	_, err = bob.ReportUserOrGroup(t.Context(), "alice@"+e.said["domain"], sdk.ChatTypeChat, []sdk.ReportedMessage{
		{MsgID: "m", Message: hostile, MsgType: "text", Timestamp: 1700000000000, PublisherID: "alice"},
	})
	require.NoError(t, err)
	page.AwaitText("#reports", "bob reports alice@")

	requireText(t, page, "bob", bob)
	requireNoSecrets(t, page, alice.Account.Password, bob.Account.Password)
	page.Screenshot("full", "")
	var loaded string
	page.Evaluate("window.loaded", &loaded)
	require.Equal(t, "once", loaded, "there was no reload")
	b.RequireOwn(t, strings.TrimSuffix(e.page(), "/"))
	b.RequireClean(t)
}

// requireText: a profile that is markup is shown as text, and so is all that carries it.
func requireText(t *testing.T, page *browser.Page, user string, u *users.User) {
	t.Helper()
	const name = `<img src=x onerror=harmed=1>` // no more than 30 characters
	_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: name, Email: "b@example.com", Status: hostile})
	require.NoError(t, err)
	page.AwaitText(row(user), name)
	page.Fill("#filter", "onerror") // the status is not sealed
	openTraffic(page)
	page.AwaitText("#traffic pre", "onerror")
	page.Fill("#filter", "")
	var harmed bool
	page.Evaluate(
		`Boolean(window.harmed) || document.querySelectorAll("img[src='x'], script:not([src])").length > 0`, &harmed,
	)
	require.False(t, harmed)
	var text string
	page.Evaluate(`document.querySelector('[data-user="`+user+`"]').cells[2].textContent`, &text)
	require.Equal(t, name, text)
}

func requireNoSecrets(t *testing.T, page *browser.Page, secrets ...string) {
	t.Helper()
	openTraffic(page)
	var text string
	page.Evaluate("document.documentElement.outerHTML", &text)
	require.Contains(t, text, "•••")
	for _, secret := range secrets {
		require.NotContains(t, text, secret)
	}
}

// openTraffic opens all lines of the traffic, and waits until their texts are there.
func openTraffic(page *browser.Page) {
	page.Evaluate(`Promise.all([...document.querySelectorAll("#traffic details:not([open])")].map((d) => `+
		`new Promise((done) => { d.addEventListener("toggle", done); d.open = true; })))`, nil)
}

// testButtons presses the buttons for faults.
func testButtons(t *testing.T, b *browser.Browser, program string) {
	e := start(t, program)
	page := b.Open(t, "buttons", e.page(), 360, 740, true)
	page.AwaitText("#link", "Live.")
	alice := users.Login(t, e.config(t), "alice")
	page.AwaitText(row("alice")+" .on", "Web")

	for _, button := range []string{`[data-order="drop"] button`, `[data-order="restart"] button`} {
		page.Click(button)
		alice.AwaitStatus(t, sdk.StatusDisconnected)
		alice.AwaitStatus(t, sdk.StatusConnected)
	}
	page.AwaitText("#link", "Live.") // it has come back too
	page.AwaitText(row("alice")+" .on", "Web")

	page.Fill(`[data-order="fail"] [name="op"]`, "contacts/vcard")
	page.Click(`[data-order="fail"] button`)
	page.AwaitText("#active", "next to fail: contacts/vcard")
	_, err := alice.GetUserProfile(t.Context(), "alice")
	require.ErrorContains(t, err, "boom")

	page.Do("select", browser.Params{"selector": `[name="step"]`, "text": "iq"}, nil)
	page.Do("select", browser.Params{"selector": `[name="kind"]`, "text": "error"}, nil)
	page.Click(`[data-order="fault"] button`)
	page.AwaitText("#active", "iq: error")
	_, err = alice.GetUsersIBlocked(t.Context())
	require.Error(t, err)
	page.Fill(`[data-order="fault"] [name="user"]`, "bob")
	page.Click(`[data-order="fault"] button`)
	page.AwaitText("#active", "iq (user bob): error")
	page.Click("#clear")
	page.AwaitText("#said", "No fault is set any more")
	_, err = alice.GetUsersIBlocked(t.Context())
	require.NoError(t, err)

	page.Click(`[data-order="tokens"] button`)
	page.AwaitText("#said", "expired")
	_, err = alice.GetUserProfile(t.Context(), "alice") // logs in again by itself
	require.NoError(t, err)

	page.Fill(`[data-order="profile"] [name="user"]`, "carol")
	page.Fill(`[data-order="profile"] [name="name"]`, "Carol Example")
	page.Click(`[data-order="profile"] button`)
	page.AwaitText(row("carol"), "Carol Example")
	users.Await(t,
		alice.Profiles, func(p sdk.Profile) bool { return p.UserID == "carol" && p.NickName == "Carol Example" },
	)

	page.Click(row("carol") + " .admin button")
	page.AwaitText("#said", "carol is blocked by the administrator")
	page.AwaitText(row("carol")+" .admin button", "Admin: free")

	login, err := users.New(t, e.config(t)).GenerateQRCode(
		t.Context(), sdk.QROptions{SignalServerURL: e.said["signalUrl"]},
	)
	require.NoError(t, err)
	page.Fill(`[data-order="scan"] [name="user"]`, "dave")
	page.Fill(`[data-order="scan"] [name="text"]`, patient.Receive(t, login.Codes()).Content())
	page.Click(`[data-order="scan"] button:not([data-order])`)
	me, err := login.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, "dave", me.Data.Username)
	page.AwaitText("#said", "dave has logged in by QR code")

	page.Fill(`[data-order="delay"] [name="count"]`, "60001")
	page.Click(`[data-order="delay"] button`) // the browser itself refuses
	page.Fill("#filter", "no such thing")
	var shown int
	page.Evaluate(`document.querySelectorAll("#traffic li:not([hidden])").length`, &shown)
	require.Zero(t, shown)
	page.Fill("#filter", "")
	page.RequireFits()
	page.Screenshot("phone", "")
	b.RequireClean(t, "net::ERR") // the restart cut the page's stream
}

// testStartsAgain: a page that stays open finds the emulator again, which has kept the profile.
func testStartsAgain(t *testing.T, b *browser.Browser, program string) {
	data := t.TempDir()
	first := start(t, program, "-data", data)
	page := b.Open(t, "again", first.page(), 1280, 900, false)
	alice := users.Login(t, first.config(t), "alice")
	_, err := alice.SetUserProfile(
		t.Context(), sdk.ProfileUpdate{Name: "Alice Kept", Email: "alice@example.com", Image: picture(t)},
	)
	require.NoError(t, err)
	page.AwaitText(row("alice"), "Alice Kept")
	require.NoError(t, alice.Close())
	first.stop() // with the page open
	page.AwaitText("#link", "lost the emulator")
	start(t, program, "-data", data, "-listen", strings.TrimPrefix(first.said["signalUrl"], "https://"))
	page.AwaitText("#link", "Live.")
	page.AwaitText(row("alice"), "Alice Kept")
	page.AwaitText("#kept", data)

	fresh := b.Open(t, "fresh", first.page(), 800, 600, false)
	fresh.AwaitText(row("alice"), "Alice Kept")
	var width int
	fresh.Evaluate(
		`(async () => { const p = document.querySelector('[data-user="alice"] img'); await p.decode(); return `+
			`p.naturalWidth; })()`,
		&width,
	)
	require.Equal(t, 30, width, "the picture")
	b.RequireClean(t, "net::ERR")
}

// testOtherSites: a page of another origin can neither read the page nor press its buttons.
func testOtherSites(t *testing.T, b *browser.Browser, program string) {
	e := start(t, program)
	alice := users.Login(t, e.config(t), "alice")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><title>evil</title>`)
	}))
	defer site.Close()
	evil := b.Open(t, "evil", site.URL, 400, 400, false)
	var outcome map[string]string
	evil.Evaluate("("+attempts+")("+strconv.Quote(e.page())+")", &outcome)
	require.Equal(t, map[string]string{
		"read": "refused", "stream": "refused", "order": "refused", "picture": "refused",
		"simple order": "refused", // its answer is; that nothing was done is seen below
	}, outcome)
	evil.Close()
	_, err := alice.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	require.Empty(t, alice.Connections, "nothing was cut")
}

// attempts are what another site may try.
const attempts = `async (base) => {
	const outcome = {};
	const attempt = async (name, f) => { try { outcome[name] = String(await f()); } catch { outcome[name] = "refused"; } };
	const drop = base + "_dev/do/drop";
	await attempt("read", async () => (await fetch(base)).text());
	await attempt("stream", () => new Promise((done, failed) => {
		const s = new EventSource(base + "_dev/events");
		s.onopen = () => { s.close(); done("open"); };
		s.onerror = () => { s.close(); failed(); };
	}));
	await attempt("order", async () => (await fetch(drop, {
		method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
	})).text());
	await attempt("simple order", async () => (await fetch(drop, { method: "POST", mode: "no-cors", body: "{}" })).type);
	await attempt("picture", () => new Promise((done, failed) => {
		const i = new Image();
		i.onload = () => done("shown");
		i.onerror = failed;
		i.src = base + "_dev/icon.svg";
	}));
	return outcome;
}`

func row(user string) string { return `[data-user="` + user + `"]` }

func picture(t *testing.T) sdk.Image {
	t.Helper()
	file := drawn(t)
	return sdk.ImageReader("a.png", "image/png", bytes.NewReader(file), int64(len(file)))
}

// drawn is a picture of 30 by 20 pixels.
func drawn(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 30, 20))
	for i := range 30 * 20 {
		img.Set(i%30, i/30, color.RGBA{R: uint8(i), G: 120, B: 90, A: 255})
	}
	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, img))
	return file.Bytes()
}
