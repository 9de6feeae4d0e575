package messages

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"sync"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

// botEnv tells the test binary that it is the bot: its value is an order as JSON.
const botEnv = "MIRRORFLY_MESSAGES_BOT"

// order says what a bot has to do: the parts of a sdk.Config that JSON can carry, whose account it
// is, and how it handles messages.
type order struct {
	License, API, Lookup, Host, XMPP, Device string
	Transport                                sdk.Transport
	CAFiles                                  []string
	Username, Password, JID                  string
	Manner                                   manner
}

// manner is how a bot handles messages.
type manner string

const (
	prompt manner = "prompt"
	// Each takes its time.
	slow manner = "slow"
	// Some at a time, in any order, after the listener has returned.
	deferred manner = "deferred"
	// They stay open.
	never manner = "never"
)

// What a bot reports, one line each: the word, then the id of a message.
const (
	// It is connected, and the server has its presence: this was answered behind that.
	botUp = "up"
	// The server has sent the message.
	botWire = "wire"
	// The listener has it.
	botTold = "told"
	// It is handled: from now on it may be acknowledged.
	botHandled = "handled"
	// The bot cannot go on, and why.
	botFailed = "failed"
)

// slowness is how long a slow bot takes for a message.
const slowness = 20 * time.Millisecond

// batch is how many messages a deferred bot has open at most before it handles them.
const batch = 8

// runBot is the bot's process. It ends with its standard input, in order: by Close.
func runBot(text string) int {
	b := &bot{out: os.Stdout}
	if err := b.run(text); err != nil {
		b.say(botFailed, err.Error())
		return 1
	}
	return 0
}

type bot struct {
	order

	mu   sync.Mutex
	out  io.Writer
	open []open
}

// open is a message that a deferred bot has not handled.
type open struct {
	id   string
	done func()
}

// say writes one line, by one system call: it is in the pipe when say returns, whatever happens to
// the process then.
func (b *bot) say(word, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = fmt.Fprintf(b.out, "%s %s\n", word, id) // the test sees what is missing
}

func (b *bot) run(text string) error {
	if err := json.Unmarshal([]byte(text), &b.order); err != nil {
		return err
	}
	cfg, err := b.config()
	if err != nil {
		return err
	}
	client, err := sdk.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	client.OnMessage(b.handle)
	if _, err = client.Connect(context.Background(), b.Username, b.Password); err != nil {
		return err
	}
	if _, err = client.GetUsersIBlocked(context.Background()); err != nil {
		return err
	}
	b.say(botUp, "-")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func (b *bot) config() (sdk.Config, error) {
	pool := x509.NewCertPool()
	for _, name := range b.CAFiles {
		pem, err := os.ReadFile(name)
		if err != nil {
			return sdk.Config{}, err
		}
		pool.AppendCertsFromPEM(pem)
	}
	return sdk.Config{
		LicenseKey: b.License, TrialLicense: true, APIBaseURL: b.API, APIConfigURL: b.Lookup,
		XMPPHost: b.Host, XMPPAddress: b.XMPP, Transport: b.Transport, DeviceID: b.Device,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		Logger:    slog.New(wireLog{slog.DiscardHandler, b}),
	}, nil
}

func (b *bot) handle(m sdk.Message) {
	b.say(botTold, m.ID)
	switch b.Manner {
	case slow:
		<-time.After(slowness)
		b.say(botHandled, m.ID)
	case deferred:
		b.put(open{m.ID, m.Defer()})
	case never:
		m.Defer()
	default:
		b.say(botHandled, m.ID)
	}
}

// put handles what is open in any order, once it is much. What does not become much stays open.
func (b *bot) put(o open) {
	b.mu.Lock()
	b.open = append(b.open, o)
	var handled []open
	if len(b.open) == batch {
		handled, b.open = b.open, nil
	}
	b.mu.Unlock()
	if len(handled) == 0 {
		return
	}
	go func() { // ends by itself, or with the process
		rand.Shuffle(len(handled), func(i, j int) { handled[i], handled[j] = handled[j], handled[i] })
		for _, o := range handled {
			b.say(botHandled, o.id)
			o.done()
		}
	}()
}

// wireLog reports the messages that the log of the library shows as they come, before anything is
// done with them: the order of the server.
type wireLog struct {
	slog.Handler
	bot *bot
}

var messageTag = regexp.MustCompile(`^<message [^>]*\bid=['"]([^'"]*)['"]`)

func (wireLog) Enabled(context.Context, slog.Level) bool { return true }

func (h wireLog) Handle(_ context.Context, r slog.Record) error {
	received, id := false, ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "op":
			received = a.Value.String() == "receive"
		case "tag":
			if found := messageTag.FindStringSubmatch(a.Value.String()); found != nil {
				id = found[1]
			}
		}
		return true
	})
	if received && numbered.MatchString(id) {
		h.bot.say(botWire, id)
	}
	return nil
}

func (h wireLog) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h wireLog) WithGroup(string) slog.Handler      { return h }
