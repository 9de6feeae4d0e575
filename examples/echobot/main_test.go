package main

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/examples/internal/testprogram"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) {
	testprogram.Main(main, func() {
		// So that the tests do not depend on the environment of the machine.
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "MIRRORFLY_") {
				_ = os.Unsetenv(name)
			}
		}
		m.Run()
	})
}

// patience ends a test that would wait for ever. Nothing takes so long on a busy machine.
const patience = 2 * time.Minute

// lines hands on what the program writes to standard error.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		l <- line
	}
	return len(text), nil
}

// program is the bot in a process of its own.
type program struct {
	*exec.Cmd
	t     *testing.T
	lines lines
}

func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	p := &program{Cmd: exec.CommandContext(ctx, os.Args[0], args...), t: t, lines: make(lines, 1000)}
	p.Env, p.Stderr = append(os.Environ(), env...), p.lines
	require.NoError(t, p.Start())
	return p
}

// await waits until the program has written a text.
func (p *program) await(text string) {
	p.t.Helper()
	await(p.t, p.lines, func(line string) bool { return strings.Contains(line, text) })
}

// interrupt ends the program as Ctrl+C does.
func (p *program) interrupt() {
	p.t.Helper()
	if runtime.GOOS == "windows" { // Process.Signal cannot deliver it there
		require.NoError(p.t, p.Process.Kill())
		_ = p.Wait()
		return
	}
	require.NoError(p.t, p.Process.Signal(os.Interrupt))
	require.NoError(p.t, p.Wait(), "exit status 0")
}

// await returns the first value for which right is true.
func await[T any](t *testing.T, from <-chan T, right func(T) bool) T {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case v := <-from:
			if right(v) {
				return v
			}
		case <-timeout:
			require.Fail(t, "it never came")
		}
	}
}

func environment(srv *sdktest.Server) []string {
	return []string{
		"MIRRORFLY_API_BASE_URL=" + srv.URL(), "MIRRORFLY_LICENSE_KEY=" + srv.LicenseKey(), "MIRRORFLY_TRIAL=false",
		"MIRRORFLY_CA_FILE=" + srv.CAFile(),
	}
}

// person is a user who writes to the bot.
type person struct {
	*sdk.Client
	t        *testing.T
	bot      string // its JID
	messages chan sdk.Message
	statuses chan sdk.MessageStatusEvent
	typing   chan sdk.TypingEvent
}

func arrive(t *testing.T, srv *sdktest.Server) *person {
	t.Helper()
	p := &person{
		t: t, bot: "echo@" + srv.Domain(), messages: make(chan sdk.Message, 100),
		statuses: make(chan sdk.MessageStatusEvent, 100), typing: make(chan sdk.TypingEvent, 100),
	}
	var err error
	p.Client, err = sdk.New(srv.Config())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.OnMessage(func(m sdk.Message) { p.messages <- m })
	p.OnMessageStatus(func(e sdk.MessageStatusEvent) { p.statuses <- e })
	p.OnTyping(func(e sdk.TypingEvent) { p.typing <- e })
	me, err := p.Register(t.Context(), "alice")
	require.NoError(t, err)
	_, err = p.Connect(t.Context(), me.Data.Username, me.Data.Password)
	require.NoError(t, err)
	return p
}

// write sends a text and returns its id.
func (p *person) write(text string, options ...sdk.MessageOption) string {
	p.t.Helper()
	sent, err := p.SendTextMessage(p.t.Context(), p.bot, text, options...)
	require.NoError(p.t, err)
	return sent.Data.ID
}

func (p *person) awaitAnswer(to string) sdk.Message {
	p.t.Helper()
	m := await(p.t, p.messages, func(sdk.Message) bool { return true })
	require.Equal(p.t, to, m.ReplyTo)
	require.Equal(p.t, p.bot, m.FromUserJID)
	return m
}

func (p *person) read(m sdk.Message) []byte {
	p.t.Helper()
	require.NotNil(p.t, m.Media)
	var content bytes.Buffer
	_, err := p.DownloadMedia(p.t.Context(), m.Media.File, &content)
	require.NoError(p.t, err)
	return content.Bytes()
}

func TestConversation(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost"})
	bot := start(t, environment(srv))
	bot.await("write to echo")
	require.Equal(t, []string{"Web-echobot"}, srv.Resources("echo"))
	alice := arrive(t, srv)

	id := alice.write("Zoë says <hello> 😀")
	require.True(t, await(t, alice.typing, func(sdk.TypingEvent) bool { return true }).Typing)
	require.Equal(t, "Zoë says <hello> 😀", alice.awaitAnswer(id).Text)
	await(t, alice.statuses, func(e sdk.MessageStatusEvent) bool {
		return e.MessageID == id && e.Status == sdk.MessageStatusSeen
	})

	id = alice.write("file")
	picture := alice.awaitAnswer(id)
	require.Equal(t, sdk.MessageTypeImage, picture.Type)
	drawn, err := png.Decode(bytes.NewReader(alice.read(picture)))
	require.NoError(t, err)
	require.Equal(t, picture.Media.Width, drawn.Bounds().Dx())

	_, err = alice.SetMediaEncryption(true)
	require.NoError(t, err)
	content := strings.Repeat("a long report. ", 1000)
	sent, err := alice.SendMediaFileMessage(t.Context(), alice.bot, sdk.MediaMessage{
		Type: sdk.MessageTypeFile, Name: "report.txt", Caption: "see page 3",
		Reader: strings.NewReader(content), Size: int64(len(content)),
	})
	require.NoError(t, err)
	back := alice.awaitAnswer(sent.Data.ID)
	require.Equal(t, "report.txt", back.Media.File.Name)
	require.Equal(t, "see page 3", back.Media.Caption)
	require.Equal(t, content, string(alice.read(back)))

	// What another echo bot says has no answer.
	alice.write("from a bot", sdk.WithMetadata(map[string]string{mark: "yes"}))
	id = alice.write("from a person")
	require.Equal(t, "from a person", alice.awaitAnswer(id).Text)

	bot.interrupt()
	if runtime.GOOS != "windows" {
		require.Empty(t, srv.Resources("echo"), "it has closed its stream")
	}
}

// What was lost with the connection is in the history. What the server has kept is there too, and
// is answered once.
func TestMissedMessages(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost"})
	bot := start(t, environment(srv))
	bot.await("write to echo")
	alice := arrive(t, srv)
	require.Equal(t, "first", alice.answerTo("first"))

	srv.SetFault(sdktest.StepDelivery, sdktest.FaultSilent)
	lost, lostToo := alice.write("lost"), alice.write("lost, too")
	srv.ClearFaults()
	srv.DropConnections()
	require.NoError(t, alice.WaitConnected(t.Context()))
	require.Equal(t, "lost", alice.awaitAnswer(lost).Text, "the oldest first")
	require.Equal(t, "lost, too", alice.awaitAnswer(lostToo).Text)
	require.Equal(t, "last", alice.answerTo("last"))

	bot.interrupt()
	kept := alice.write("kept")
	again := start(t, environment(srv), "-device", "elsewhere")
	require.Equal(t, "kept", alice.awaitAnswer(kept).Text)
	require.Equal(t, "and on", alice.answerTo("and on"), "nothing was answered twice")
	require.Equal(t, []string{"Web-elsewhere"}, srv.Resources("echo"))
	again.interrupt()
}

// An answer that fails is sent once more where that can help. If it stays unanswered, the message
// stays unread, and the next start answers it from the history.
func TestAnswerFails(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost"})
	bot := start(t, environment(srv))
	bot.await("write to echo")
	alice := arrive(t, srv)

	srv.FailNext("media/", 503, "busy") // the upload of the picture
	again := alice.write("file")
	bot.await("once more")
	require.Equal(t, sdk.MessageTypeImage, alice.awaitAnswer(again).Type)
	require.Equal(t, 1, answers(srv, again))

	// A policy is a clear no, so there is no second try.
	left := alice.refused(srv, "left", "policy-violation")
	bot.await("no answer")
	require.Zero(t, answers(srv, left))
	bot.interrupt()

	bot = start(t, environment(srv))
	require.Equal(t, "left", alice.awaitAnswer(left).Text)
	require.Equal(t, "last", alice.answerTo("last"), "nothing was answered twice")
	bot.interrupt()
}

// refused writes a text whose answer the server refuses.
func (p *person) refused(srv *sdktest.Server, text, condition string) (id string) {
	p.t.Helper()
	srv.SetFault(sdktest.StepDelivery, sdktest.FaultHeld)
	id = p.write(text)
	srv.RefuseNextMessage(condition)
	srv.SetFault(sdktest.StepDelivery, sdktest.FaultNone)
	return id
}

// answers counts the answers to a message that the server has.
func answers(srv *sdktest.Server, to string) (n int) {
	for _, m := range srv.Messages("alice") {
		if m.ReplyTo == to {
			n++
		}
	}
	return n
}

// answerTo returns the answer to a text, when the bot has also said that it has seen the text.
func (p *person) answerTo(text string) string {
	p.t.Helper()
	id := p.write(text)
	answer := p.awaitAnswer(id).Text
	await(p.t, p.statuses, func(e sdk.MessageStatusEvent) bool {
		return e.MessageID == id && e.Status == sdk.MessageStatusSeen
	})
	return answer
}

// Without settings it runs on a server of its own, where somebody writes to it.
func TestWithoutSettings(t *testing.T) {
	bot := start(t, nil, "-user", "parrot")
	bot.await("write to parrot")
	bot.await(`answered a message of type "text"`)
	bot.interrupt()
}

func TestRefusals(t *testing.T) {
	at := []string{"MIRRORFLY_API_BASE_URL=https://127.0.0.1:1", "MIRRORFLY_LICENSE_KEY=k"}
	trial := append(slices.Clip(at), "MIRRORFLY_TRIAL=true")
	for name, c := range map[string]struct {
		env  []string
		args []string
		says string
	}{
		"no licence":   {at[:1], nil, "MIRRORFLY_LICENSE_KEY"},
		"no trial":     {at, nil, "MIRRORFLY_TRIAL"},
		"no authority": {append(slices.Clip(trial), "MIRRORFLY_CA_FILE=main.go"), nil, "no certificate in main.go"},
		"unreachable":  {trial, nil, "Network Error"},
		"device":       {trial, []string{"-device", "a b"}, "DeviceID"},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, c.env, c.args...)
			p.await(c.says)
			require.ErrorContains(t, p.Wait(), "exit status 1")
		})
	}
}
