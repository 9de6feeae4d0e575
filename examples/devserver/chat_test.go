package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// open opens a chat window of the user "you".
func (e *emulator) open(with string) *follower {
	e.t.Helper()
	return e.followAt("/_dev/chat?as=you&with=" + with)
}

// last waits until the last message in a window is right.
func (f *follower) last(right func(line) bool) line {
	f.t.Helper()
	c := until(f, "chat", func(c conversation) bool {
		return len(c.Lines) > 0 && right(c.Lines[len(c.Lines)-1])
	})
	return c.Lines[len(c.Lines)-1]
}

func TestChat(t *testing.T) {
	e := launch(t)
	ctx, you := t.Context(), "you@"+e.at.Domain
	f := e.open("bot")
	until(f, "chat", func(c conversation) bool { return c.State == "CONNECTED" && !c.Known && !c.Online })
	_, failure := e.order("write", `{"user":"you","to":"bot","text":"Hello?"}`)
	require.Equal(t, `there is no user "bot"`, failure)
	_, failure = e.order("typing", `{"user":"me","to":"bot","on":true}`)
	require.Equal(t, `no chat window of "me" is open on the page`, failure)

	bot := newUser(t, e.at)
	came, typing := make(chan sdk.Message, 10), make(chan sdk.TypingEvent, 10)
	statuses := make(chan sdk.MessageStatusEvent, 10)
	bot.OnMessage(func(m sdk.Message) { came <- m })
	bot.OnTyping(func(e sdk.TypingEvent) { typing <- e })
	bot.OnMessageStatus(func(e sdk.MessageStatusEvent) { statuses <- e })
	login(t, bot, "bot")
	until(f, "chat", func(c conversation) bool { return c.Known && c.Online })

	for _, on := range []string{"true", "false"} {
		_, failure = e.order("typing", `{"user":"you","to":"bot","on":`+on+`}`)
		require.Empty(t, failure)
		require.Equal(t, on == "true", patient.Receive(t, typing).Typing)
	}
	said, _ := e.order("write", `{"user":"you","to":"bot","text":"Hello <&>"}`)
	require.Equal(t, "The message is sent.", said)
	m := patient.Receive(t, came)
	require.Equal(t, "Hello <&>", m.Text)
	l := f.last(func(l line) bool { return l.Status == sdktest.StatusDelivered })
	require.Equal(t, line{ID: m.ID, Own: true, Time: l.Time, Type: "text", Text: m.Text, Status: l.Status}, l)
	_, err := bot.SendSeenStatus(ctx, you, m.ID)
	require.NoError(t, err)
	f.last(func(l line) bool { return l.Status == sdktest.StatusSeen })

	_, err = bot.SendTypingStatus(ctx, you)
	require.NoError(t, err)
	until(f, "chat", func(c conversation) bool { return c.Typing })
	sent, err := bot.SendTextMessage(ctx, you, strings.Repeat("long ", maxLine), sdk.WithReplyTo(m.ID))
	require.NoError(t, err)
	c := until(f, "chat", func(c conversation) bool { return len(c.Lines) == 2 && !c.Typing })
	require.Len(t, c.Lines[1].Text, maxLine)
	require.Equal(t, 4*maxLine, c.Lines[1].Left)
	require.Equal(t, m.ID, c.Lines[1].ReplyTo)
	for e := range statuses { // it is on the page, so it is seen
		if e.MessageID == sent.Data.ID && e.Status == sdk.MessageStatusSeen {
			break
		}
	}
	_, err = bot.DeleteMessagesForEveryone(ctx, you, sent.Data.ID)
	require.NoError(t, err)
	require.Empty(t, f.last(func(l line) bool { return l.Recalled }).Text)

	// With the window the user is gone, too.
	all := e.follow()
	until(all, "state", func(v view) bool { return len(v.Users[1].Resources) == 1 })
	require.NoError(t, f.body.Close())
	until(all, "state", func(v view) bool { return len(v.Users[1].Resources) == 0 })
}

// A message that is refused after the server has taken it says so, also when the window is opened
// again. What somebody else says about it does not count.
func TestChatShowsALateRefusal(t *testing.T) {
	e := launch(t)
	f := e.open("bot")
	until(f, "chat", func(c conversation) bool { return c.State == "CONNECTED" })
	_, failure := e.order("register", `{"user":"bot"}`)
	require.Empty(t, failure)
	_, failure = e.order("fault", `{"step":"delivery","kind":"error"}`)
	require.Empty(t, failure)
	said, _ := e.order("write", `{"user":"you","to":"bot","text":"Hello?"}`)
	require.Equal(t, "The message is sent.", said)
	l := f.last(func(l line) bool { return l.Refused != "" })
	require.Equal(t, "service-unavailable", l.Refused)
	require.NoError(t, f.body.Close())
	e.open("bot").last(func(l line) bool { return l.Refused == "service-unavailable" })

	var c chats
	c.refuse("you", sdk.MessageStatusEvent{MessageID: "1", UserJID: "bot@x"})
	c.refuse("you", sdk.MessageStatusEvent{MessageID: "2", UserJID: "evil@x"})
	c.refuse("me", sdk.MessageStatusEvent{MessageID: "3"})
	require.Equal(t, map[string]string{"1": "refused"}, c.refusalsOf("you", "bot@x"))
	require.Equal(t, map[string]string{"3": "refused"}, c.refusalsOf("me", "bot@x"))
	for i := range maxRefused {
		c.refuse("you", sdk.MessageStatusEvent{MessageID: fmt.Sprint("more-", i)})
	}
	require.Len(t, c.refused, maxRefused)
}

func TestChatFiles(t *testing.T) {
	e := launch(t)
	f := e.open("bot")
	bot := newUser(t, e.at)
	came := make(chan sdk.Message, 10)
	bot.OnMessage(func(m sdk.Message) { came <- m })
	login(t, bot, "bot")
	until(f, "chat", func(c conversation) bool { return c.Online })
	at := func(name string) string {
		return "/_dev/chat/file?" + url.Values{"as": {"you"}, "with": {"bot"}, "name": {name}}.Encode()
	}

	for kind, want := range map[string]sdk.MessageType{
		"image/png": sdk.MessageTypeImage, "video/mp4": sdk.MessageTypeVideo, "audio/ogg": sdk.MessageTypeAudio,
		"text/plain": sdk.MessageTypeFile,
	} {
		status, body, _ := e.do(http.MethodPut, at("a <b>.txt"), "content of "+kind, "Content-Type", kind)
		require.Equal(t, 200, status, body)
		m := patient.Receive(t, came)
		require.Equal(t, want, m.Type)
		var content strings.Builder
		_, err := bot.DownloadMedia(t.Context(), m.Media.File, &content)
		require.NoError(t, err)
		require.Equal(t, "content of "+kind, content.String())
		l := f.last(func(l line) bool { return l.ID == m.ID })
		require.Equal(t, "a <b>.txt", l.File.Name)
	}
	for _, encrypted := range []bool{false, true} {
		_, err := bot.SetMediaEncryption(encrypted)
		require.NoError(t, err)
		for content, want := range map[string]string{
			"\x89PNG\r\n\x1a\n" + strings.Repeat("x", 1000): "image/png",
			"<svg xmlns='http://www.w3.org/2000/svg'/>":     "application/octet-stream",
			"<!doctype html><script>alert(1)</script>":      "application/octet-stream",
		} {
			sent, err := bot.SendMediaFileMessage(t.Context(), "you@"+e.at.Domain, sdk.MediaMessage{
				Type: sdk.MessageTypeImage, Name: "a.png", ContentType: "image/png",
				Reader: strings.NewReader(content), Size: int64(len(content)),
			})
			require.NoError(t, err)
			status, body, header := e.do(http.MethodGet, at("")+"&from=bot&id="+sent.Data.ID, "")
			require.Equal(t, 200, status, body)
			require.Equal(t, content, body)
			require.Equal(t, want, header.Get("Content-Type"))
			require.Equal(t, want != "image/png", header.Get("Content-Disposition") == "attachment")
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		}
	}
}

func TestChatRefusals(t *testing.T) {
	e := launch(t)
	until(e.open("you"), "refused", func(a answer) bool { return a.Error == "nobody writes to oneself" })
	until(e.followAt("/_dev/chat?as=NOBODY&with=bot"), "refused", func(a answer) bool { return a.Error != "" })
	f := e.open("bot")
	until(f, "chat", func(conversation) bool { return true })
	login(t, newUser(t, e.at), "bot")
	const at = "/_dev/chat/file?as=you&with="
	for _, c := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"no window", http.MethodPut, "/_dev/chat/file?as=me&with=bot&name=a", "x", 422},
		{"no user", http.MethodPut, at + "nobody&name=a", "x", 422},
		{"too much", http.MethodPut, at + "bot&name=a", strings.Repeat("x", maxSent+1), 413},
		{"nobody's file", http.MethodGet, "/_dev/chat/file?as=me&with=bot&id=x", "", 404},
		{"no message", http.MethodGet, at + "bot&from=bot&id=x", "", 404},
		{"no id", http.MethodGet, at + "bot", "", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := *e
			e.t = t
			status, body, _ := e.do(c.method, c.path, c.body, "Content-Type", "text/plain")
			require.Equal(t, c.status, status, body)
		})
	}
	// Another site cannot send files.
	status, _, _ := e.do(http.MethodPut, at+"bot&name=a", "x", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, status)
	status, _, _ = e.do(http.MethodPut, at+"bot&name=a", "x", "Origin", "https://evil.example")
	require.Equal(t, 403, status)
	// An emulator that ends does not wait for open windows.
	e.stop()
}

// Somebody who never says that the typing is over does not type for ever.
func TestTypingEnds(t *testing.T) {
	s := &seat{typing: map[string]time.Time{"bot@x": time.Now().Add(-time.Second)}, changed: make(chan struct{}, 1)}
	require.False(t, s.isTyping("bot@x"))
	s.notes("bot@x", true)
	require.True(t, s.isTyping("bot@x"))
	require.Len(t, s.changed, 1)
	s.notes("bot@x", false)
	require.False(t, s.isTyping("bot@x"))
}

// Whatever a body has, there is a line for it.
func TestLineOfAnyMessage(t *testing.T) {
	for body, want := range map[string]*file{
		``: nil, `[]`: nil, `{"media":7}`: nil, `{"message":"x"}`: nil, `{"media":{}}`: {},
		`{"media":{"fileName":"a","file_url":"t","file_key":"k"}}`: {Name: "a", token: "t", key: "k"},
		`{"media":{"fileUrl":"t","fileKey":"k","isLargeFile":true,"caption":"b"}}`: {
			Caption: "b", token: "t", key: "k", large: true,
		},
	} {
		l := lineOf(sdktest.Message{From: "bot", Text: "x", Body: json.RawMessage(body)}, "you")
		require.Equal(t, want, l.File, body)
		require.False(t, l.Own)
	}
}
