package devserver_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
)

// correspondent is a bot to which somebody writes in the chat window.
type correspondent struct {
	*users.User
	t   *testing.T
	you string // the JID of who writes
	// messages are handled when the test has taken and released them.
	messages chan sdk.Message
	handled  chan struct{}
	typing   chan sdk.TypingEvent
	statuses chan sdk.MessageStatusEvent
}

func answerer(t *testing.T, e *emulator) *correspondent {
	t.Helper()
	const many = 1000
	c := &correspondent{
		User: users.Register(t, e.config(t), "bot"), t: t, you: "you@" + e.said["domain"],
		messages: make(chan sdk.Message), handled: make(chan struct{}),
		typing: make(chan sdk.TypingEvent, many), statuses: make(chan sdk.MessageStatusEvent, many),
	}
	c.OnMessage(func(m sdk.Message) {
		c.messages <- m
		<-c.handled
	})
	c.OnTyping(func(e sdk.TypingEvent) { c.typing <- e })
	c.OnMessageStatus(func(e sdk.MessageStatusEvent) { c.statuses <- e })
	return c
}

func (c *correspondent) awaitStatus(id string, status sdk.MessageStatus) {
	c.t.Helper()
	users.Await(c.t, c.statuses, func(e sdk.MessageStatusEvent) bool { return e.MessageID == id && e.Status == status })
}

// answer sends a text and returns its id.
func (c *correspondent) answer(text string, options ...sdk.MessageOption) string {
	c.t.Helper()
	sent, err := c.SendTextMessage(c.t.Context(), c.you, text, options...)
	require.NoError(c.t, err)
	return sent.Data.ID
}

func (c *correspondent) send(kind sdk.MessageType, name string, content []byte) {
	c.t.Helper()
	_, err := c.SendMediaFileMessage(c.t.Context(), c.you, sdk.MediaMessage{
		Type: kind, Name: name, Caption: hostile, Reader: bytes.NewReader(content), Size: int64(len(content)),
	})
	require.NoError(c.t, err)
}

// testChat: somebody writes to a bot in the chat window and sees what becomes of the messages, what
// comes back, and files, on a phone.
func testChat(t *testing.T, b *browser.Browser, program string) {
	e := start(t, program)
	page := b.Open(t, "chat", e.page(), 360, 740, false)
	page.AwaitText("#link", "Live.")
	page.Fill(`#chat-open [name="with"]`, "bot")
	page.Click("#chat-open button")
	page.AwaitText("#chat-there", "has not registered yet")
	page.AwaitText(row("you")+" .on", "Web")
	write(page, "Is anybody there?")
	page.AwaitText("#chat-said", `Not sent: there is no user "bot"`)

	bot := answerer(t, e)
	bot.Login(t)
	page.AwaitText("#chat-there", "online")
	page.Fill(`#chat-write [name="text"]`, "")
	talk(page, bot)
	exchangeFiles(page, bot)
	page.RequireFits()
	page.Screenshot("phone", "")
	page.Screenshot("window", "#chat")
	refuseLate(page)

	// The conversation goes on after a lost connection, and after a restart.
	page.Click(`[data-order="drop"] button`)
	bot.AwaitStatus(t, sdk.StatusDisconnected)
	bot.AwaitStatus(t, sdk.StatusConnected)
	page.AwaitText("#chat-there", "online")
	write(page, "Still there?")
	require.Equal(t, "Still there?", patient.Receive(t, bot.messages).Text)
	bot.handled <- struct{}{}
	page.AwaitText(lastOwn, "delivered")
	page.Click(`[data-order="restart"] button`)
	bot.AwaitStatus(t, sdk.StatusDisconnected)
	bot.AwaitStatus(t, sdk.StatusConnected)
	page.AwaitText("#chat-there", "online")
	page.AwaitText(lastOwn, "Still there?")

	wide := b.Open(t, "wide", e.page(), 1280, 900, true)
	wide.Fill(`#chat-open [name="with"]`, "bot")
	wide.Click("#chat-open button")
	wide.AwaitText(lastOwn, "Still there?")
	wide.Screenshot("full", "")
	wide.Close()

	page.Click("#chat-close")
	page.AwaitText(row("you"), "no")
	requireHarmless(page)
	b.RequireClean(t, "net::ERR", "422", "415") // the restart; no user, no picture
}

// refuseLate: a message that is refused after it was taken says so.
func refuseLate(page *browser.Page) {
	set := func(kind string) {
		page.Do("select", browser.Params{"selector": `[name="step"]`, "text": "delivery"}, nil)
		page.Do("select", browser.Params{"selector": `[name="kind"]`, "text": kind}, nil)
		page.Click(`[data-order="fault"] button`)
	}
	set("error")
	page.AwaitText("#active", "delivery: error")
	write(page, "This one is refused.")
	page.AwaitText(lastOwn, "✗ not delivered: service-unavailable")
	set("")
	page.AwaitText("#said", "delivery works again")
}

const lastOwn = "#chat-lines .own:last-of-type"

func write(page *browser.Page, text string) {
	page.Fill(`#chat-write [name="text"]`, text)
	page.Click("#chat-write button")
}

// talk: a text with its ticks, typing on both sides, an answer, an edit and a deletion.
func talk(page *browser.Page, bot *correspondent) {
	t := bot.t
	t.Helper()
	ctx := t.Context()
	write(page, "Hello "+hostile)
	require.True(t, users.Await(t, bot.typing, func(sdk.TypingEvent) bool { return true }).Typing)
	m := patient.Receive(bot.t, bot.messages)
	require.Equal(t, "Hello "+hostile, m.Text)
	require.Equal(t, bot.you, m.FromUserJID)
	page.AwaitText(lastOwn, "✓ sent") // the listener has it, and has not returned
	bot.handled <- struct{}{}
	page.AwaitText(lastOwn, "✓✓ delivered")
	_, err := bot.SendSeenStatus(ctx, bot.you, m.ID)
	require.NoError(t, err)
	page.AwaitText(lastOwn, "✓✓ seen")
	_, err = bot.SendTypingStatus(ctx, bot.you)
	require.NoError(t, err)
	page.AwaitText("#chat-typing", "bot is typing")

	id := bot.answer("Here is "+hostile+"\nand "+strings.Repeat("aVeryLongWord", 40), sdk.WithReplyTo(m.ID))
	page.AwaitText("#chat-lines .theirs", "Here is "+hostile)
	page.AwaitText("#chat-lines .theirs blockquote", "Hello "+hostile)
	page.Evaluate(`new Promise((done) => { const look = () => document.getElementById("chat-typing").textContent ? `+
		`setTimeout(look, 20) : done(); look(); })`, nil)
	bot.awaitStatus(id, sdk.MessageStatusDelivered)
	bot.awaitStatus(id, sdk.MessageStatusSeen)
	_, err = bot.EditTextMessage(ctx, bot.you, id, "It says less now.")
	require.NoError(t, err)
	page.AwaitText("#chat-lines .theirs", "It says less now.")
	page.AwaitText("#chat-lines .theirs", "edited")
	wrong := bot.answer("wrong")
	page.AwaitText("#chat-lines", "wrong")
	_, err = bot.DeleteMessagesForEveryone(ctx, bot.you, wrong)
	require.NoError(t, err)
	page.AwaitText("#chat-lines .theirs", "This message was deleted.")
	requireHarmless(page)
}

// exchangeFiles: a picture is shown, anything else is for saving, and a file of the page arrives.
func exchangeFiles(page *browser.Page, bot *correspondent) {
	t := bot.t
	t.Helper()
	_, err := bot.SetMediaEncryption(true)
	require.NoError(t, err)
	bot.send(sdk.MessageTypeImage, "../"+hostile+".png", drawn(t))
	var width int
	page.AwaitText("#chat-lines .theirs:has(img)", hostile) // the caption
	page.Evaluate(`(async () => { const p = document.querySelector('#chat-lines img'); await p.decode(); return `+
		`p.naturalWidth; })()`, &width)
	require.Equal(t, 30, width)

	// It says that it is a picture, and that it ends otherwise.
	bot.send(sdk.MessageTypeImage, "in\u202egpj.html", []byte("<!doctype html>"+hostile))
	page.AwaitText("#chat-lines .theirs a.file", "in gpj.html")
	var got struct{ Text, Kind, Disposition string }
	page.Evaluate(`(async () => { const r = await fetch(document.querySelector("#chat-lines a.file").href); return `+
		`{ text: await r.text(), kind: r.headers.get("Content-Type"), `+
		`disposition: r.headers.get("Content-Disposition") }; })()`,
		&got)
	require.Equal(t, "<!doctype html>"+hostile, got.Text)
	require.Equal(t, "application/octet-stream", got.Kind)
	require.Equal(t, "attachment", got.Disposition)

	quoted, err := json.Marshal("a report " + hostile + ".txt")
	require.NoError(t, err)
	page.Evaluate(`(() => { const picked = new DataTransfer(); `+
		`const input = document.querySelector('#chat-write [name="file"]'); `+
		`picked.items.add(new File(["what is in it"], `+string(quoted)+`, { type: "text/plain" })); `+
		`input.files = picked.files; input.dispatchEvent(new Event("change")); })()`, nil)
	m := patient.Receive(bot.t, bot.messages)
	bot.handled <- struct{}{}
	require.Equal(t, sdk.MessageTypeFile, m.Type)
	require.Equal(t, "a report "+hostile+".txt", m.Media.File.Name)
	var content bytes.Buffer
	_, err = bot.DownloadMedia(t.Context(), m.Media.File, &content)
	require.NoError(t, err)
	require.Equal(t, "what is in it", content.String())
	page.AwaitText(lastOwn+" a.file", "a report "+hostile)
	page.AwaitText(lastOwn, "delivered")
}

func requireHarmless(page *browser.Page) {
	page.Evaluate(`(() => { if (window.harmed || document.querySelector("img[src='x'], script:not([src])")) `+
		`throw new Error("markup of a user is in the page"); })()`, nil)
}
