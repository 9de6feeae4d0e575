package devserver_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
)

// testCrowd: among a thousand accounts and much traffic one is found on a phone, and acts so that a
// bot reacts. The page stays small.
func testCrowd(t *testing.T, b *browser.Browser, program string) {
	const accounts = 1000
	e := start(t, program)
	for i := range accounts - 1 {
		e.order(t, "register", fmt.Sprintf(`{"user":"user-%04d"}`, i))
	}
	bot := users.Login(t, e.config(t), "bot")
	blocks, gone := make(chan sdk.BlockEvent, 10), make(chan sdk.UserDeletedEvent, 10)
	bot.OnBlock(func(e sdk.BlockEvent) { blocks <- e })
	bot.OnUserDeleted(func(e sdk.UserDeletedEvent) { gone <- e })
	page := b.Open(t, "crowd", e.page(), 360, 740, false)
	page.AwaitText("#counts", "Users: 1000, connected: 1")
	page.AwaitText(row("bot")+" .on", "Web") // who is connected is shown without a search
	page.AwaitText("#more-users", "900 more are not shown")
	requireSmall(page)

	page.Fill("#search", "user-0777")
	page.AwaitText(`#users tr:only-child[data-user="user-0777"]`, "no")
	page.Click(row("user-0777") + " .name")
	page.Fill(`[data-order="block"] [name="to"]`, "bot")
	page.Click(`[data-order="block"] button:not([data-order])`)
	page.AwaitText("#said", "user-0777 has blocked bot.")
	require.True(t, patient.Receive(t, blocks).Blocked)
	page.AwaitText(row("user-0777"), "bot")
	page.Click(`[data-order="unblock"]`)
	require.False(t, patient.Receive(t, blocks).Blocked)
	page.Click(`[data-order="delete"] button`)
	require.Equal(t, "user-0777@"+e.said["domain"], patient.Receive(t, gone).UserJID)
	page.AwaitText("#no-users", "No user has that")
	page.Fill("#search", "")
	page.Fill(`[data-order="register"] [name="user"]`, "aaron")
	page.Click(`[data-order="register"] button`)
	page.AwaitText(row("aaron"), "no")

	for range 300 {
		_, err := bot.GetUserProfile(t.Context(), "aaron")
		require.NoError(t, err)
	}
	// The answer to this is the last that comes: a line that is opened then stays where it is.
	_, err := bot.GetUserProfile(t.Context(), "user-0001")
	require.NoError(t, err)
	page.AwaitText(`#traffic summary:has-text("←")`, "userid=user-0001")
	page.AwaitText("#traffic-count", "Shown: 200 of the newest 500")
	requireSmall(page)
	page.Fill("#filter", "userid=aaron")
	page.Click("#traffic li:first-child summary")
	page.AwaitText("#traffic li:first-child pre", "aaron")
	page.RequireFits()
	page.Screenshot("phone", "")
	b.RequireClean(t)
}

// requireSmall checks that what is in the page is bounded, and that texts of closed lines are not
// in it.
func requireSmall(page *browser.Page) {
	page.Evaluate(`(() => {
		const count = (selector) => document.querySelectorAll(selector).length;
		if (count("#users tbody tr") > 100 || count("#traffic li") > 200 || count("#traffic pre") > 0 || count("*") > 4000)
			throw new Error("the page has " + count("*") + " elements, " + count("#traffic li") + " of traffic");
	})()`, nil)
}

// order sends an order, as a program in another language does.
func (e *emulator) order(t *testing.T, name, body string) {
	t.Helper()
	if e.http == nil {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.config(t).TLSConfig.RootCAs}}
		t.Cleanup(tr.CloseIdleConnections)
		e.http = &http.Client{Transport: tr, Timeout: browser.Patience}
	}
	resp, err := e.http.Post(e.page()+"_dev/do/"+name, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", raw)
}
