// Echobot is a bot that answers: it sends every text back, and every file. On the text "file" it
// sends a picture of its own.
//
//	go run ./examples/echobot
//		on a test server (sdktest), where a visitor writes to it
//	go run ./examples/echobot -user parrot
//		as another user than echo
//
// The service is named by MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true
// or false). MIRRORFLY_CA_FILE (PEM) is the authority of its certificate, if the system does not
// trust it.
//
// Where the XMPP server can be reached over TCP, set Config.Transport to sdk.TransportTCP: over
// WebSocket some servers lose what a killed bot had not handled (docs/messages.md).
//
// main.go connects, answer.go answers, missed.go reads what was missed, and service.go finds the
// service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorfly-go/sdk"
)

func main() {
	user := flag.String("user", "echo", "`user identifier` of the bot")
	device := flag.String("device", "echobot", "`name` of this installation: another one for each place where "+
		"the same user runs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the program at once
	if err := run(ctx, *user, *device); err != nil {
		if errors.Is(err, sdk.ErrNetwork) {
			err = fmt.Errorf("%w\nTo find out why: go run ./examples/doctor, which takes the same settings", err)
		}
		log.Fatalln("echobot:", err)
	}
}

// run answers until ctx ends, or until the client does not reconnect any more.
func run(ctx context.Context, user, device string) error {
	place, err := findService()
	if err != nil {
		return err
	}
	defer place.close()
	// The same at every start: after a crash the server gives back what was not handled.
	place.cfg.DeviceID = device
	place.cfg.MaxDownload = maxFile
	b := &bot{answered: make(map[string]bool)}
	if b.Client, err = sdk.New(place.cfg); err != nil {
		return err
	}
	defer b.Close()

	// Before Connect: what the server has kept for the bot comes right after it.
	over := make(chan error, 1)
	b.OnMessage(func(m sdk.Message) { b.answer(ctx, m) })
	b.OnMissed(func(e sdk.MissedEvent) { b.readMissed(ctx, e) })
	b.OnConnection(func(e sdk.ConnectionEvent) {
		log.Println("connection:", e.Status)
		if e.Status == sdk.StatusConnected && !b.looked {
			b.looked = true // OnMissed tells of what is missed from now on
			b.readMissed(ctx, sdk.MissedEvent{Gap: true})
		}
		if !e.Final {
			return
		}
		select {
		case over <- e.Err:
		default: // it has ended already
		}
	})
	me, err := b.Register(ctx, user) // at every start: the password is kept nowhere
	if err != nil {
		return err
	}
	if _, err := b.Connect(ctx, me.Data.Username, me.Data.Password); err != nil {
		return err
	}
	log.Printf("write to %s, and it answers; Ctrl+C ends it", me.Data.Username)
	place.greet(ctx, me.Data.Username)
	select {
	case <-ctx.Done():
		return nil
	case err := <-over:
		return err
	}
}
