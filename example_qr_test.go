package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Show every code that comes; the login has happened when Wait returns.
func ExampleClient_GenerateQRCode() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	login, err := client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: srv.SignalURL()})
	if err != nil {
		log.Fatal(err)
	}
	defer login.Close()
	go func() {
		for code := range login.Codes() { // a new one whenever the old one is not valid any more
			// Show it: code.Terminal(), code.PNG(), code.SVG() or code.Image(). Here a phone scans
			// it at once.
			if err := srv.Phone("alice").Scan(ctx, code.Content()); err != nil {
				log.Print(err)
			}
		}
	}()

	me, err := login.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(me.StatusCode, me.Message, me.Data.UserJID, client.State())
	// Output: 200 Login Success alice@xmpp.mirrorfly.test CONNECTED
}

// The user can end the session from the phone.
func ExampleQRLogin() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ended := make(chan struct{})
	client.OnConnection(func(e sdk.ConnectionEvent) {
		fmt.Println(e.Status)
		if e.Status == sdk.StatusDisconnected {
			close(ended)
		}
	})
	ctx := context.Background()
	login, err := client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: srv.SignalURL()})
	if err != nil {
		log.Fatal(err)
	}
	phone := srv.Phone("alice")
	if err := phone.Scan(ctx, (<-login.Codes()).Content()); err != nil {
		log.Fatal(err)
	}
	if _, err := login.Wait(ctx); err != nil {
		log.Fatal(err)
	}

	if err := phone.LogoutWeb(ctx); err != nil {
		log.Fatal(err)
	}
	<-ended
	// Output:
	// CONNECTED
	// LOGOUT
	// DISCONNECTED
}
