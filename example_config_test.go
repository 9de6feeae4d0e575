package sdk_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// XMPP over TCP instead of WebSocket, and everything else that is often changed.
func ExampleConfig() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	cfg := srv.Config()                   // LicenseKey, APIBaseURL, TLSConfig, ...
	cfg.Transport = sdk.TransportTCP      // STARTTLS, unless XMPPAddress says xmpps://
	cfg.RequestTimeout = 10 * time.Second // for calls whose context has no deadline
	// how long the server may be silent before it is asked
	cfg.KeepAlive.Interval = 2 * time.Minute
	cfg.Reconnect.MaxDelay = 10 * time.Second      // the longest pause between two attempts
	cfg.Logger = slog.New(slog.DiscardHandler)     // or slog.Default()
	cfg.AppName = "weather-bot/1.2 (+example.com)" // added to the User-Agent

	client := online(cfg, "alice")
	defer client.Close()
	fmt.Println(client.State())
	// Output: CONNECTED
}

// An XMPP server of one's own: where it is and what its users' domain is called.
func ExampleConfig_selfHosted() {
	client, err := sdk.New(sdk.Config{
		LicenseKey: os.Getenv("MIRRORFLY_LICENSE_KEY") + "...",
		APIBaseURL: "https://api.example.com/api/v1",
		XMPPHost:   "chat.example.com",
		// either will do
		XMPPAddress: "wss://chat1.example.com:5443/websocket, wss://chat2.example.com:5443/websocket",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(client.State())
	// Output: DISCONNECTED
}

// One Client for each account. They share nothing, so any number of them may run side by side.
func ExampleNew_manyAccounts() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	accounts := []string{"weather", "news", "traffic"}
	cfg := srv.Config()
	cfg.Dials = sdk.NewDialLimit(50, 10) // all of them together: 50 logins a second, 10 at once
	var running sync.WaitGroup
	for _, name := range accounts {
		running.Go(func() {
			bot := online(cfg, name) // register and connect
			defer bot.Close()
			if _, err := bot.SetUserProfile(context.Background(),
				sdk.ProfileUpdate{Name: name + " bot", Email: name + "@example.com"}); err != nil {
				log.Print(err)
			}
		})
	}
	running.Wait()
	slices.Sort(accounts)
	for _, name := range accounts {
		fmt.Println(srv.Profile(name).NickName)
	}
	// Output:
	// news bot
	// traffic bot
	// weather bot
}
