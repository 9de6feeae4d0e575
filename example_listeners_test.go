package sdk_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A lost connection is made again. All that there is to do is to look at it.
func ExampleClient_OnConnection() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	cfg := srv.Config()
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 10 * time.Millisecond, MaxDelay: time.Minute}
	client := online(cfg, "alice")
	defer client.Close()
	back := make(chan struct{})
	client.OnConnection(func(e sdk.ConnectionEvent) {
		switch e.Status {
		case sdk.StatusDisconnected:
			if e.Err != nil { // nil: it was asked for, by Logout or Close
				fmt.Println("lost")
			}
		case sdk.StatusConnected:
			fmt.Println("back")
			close(back)
		}
	})

	srv.DropConnections() // as a broken network would
	<-back
	// Output:
	// lost
	// back
}

func ExampleClient_OnPresence() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()
	events := make(chan sdk.PresenceEvent, 2)
	stop := alice.OnPresence(func(e sdk.PresenceEvent) { events <- e })
	defer stop()

	bob := online(srv.Config(), "bob")
	fmt.Println(<-events)
	bob.Close()
	fmt.Println(<-events)
	// Output:
	// {bob@xmpp.mirrorfly.test online}
	// {bob@xmpp.mirrorfly.test unavailable}
}

// A listener may call any method of the client, and stop itself.
func ExampleClient_OnUserProfile() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	done := make(chan struct{})
	var stop func()
	stop = alice.OnUserProfile(func(p sdk.Profile) {
		stop()
		seen, err := alice.GetLastSeen(context.Background(), p.UserJID)
		fmt.Println(p.UserID, "is now", p.NickName, "and was here", seen.Data.Seconds, "seconds ago", err)
		close(done)
	})

	if _, err := bob.SetUserProfile(context.Background(),
		sdk.ProfileUpdate{Name: "Bobby", Email: "bob@example.com"}); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: bob is now Bobby and was here 0 seconds ago <nil>
}

// OnBlock tells both: that somebody blocks me, and that I have blocked somebody, maybe on another
// device.
func ExampleClient_OnBlock() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	laptop, phone := online(srv.Config(), "alice"), online(srv.Config(), "alice")
	defer laptop.Close()
	defer phone.Close()
	events := make(chan sdk.BlockEvent, 1)
	phone.OnBlock(func(e sdk.BlockEvent) { events <- e })

	if _, err := laptop.BlockUser(context.Background(), "bob@xmpp.mirrorfly.test"); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v\n", <-events)
	// Output: {UserID:bob UserJID:bob@xmpp.mirrorfly.test Blocked:true ByMe:true}
}

func ExampleClient_OnUserDeleted() {
	alice, bob, end := talk()
	defer end()
	gone := make(chan sdk.UserDeletedEvent, 1)
	alice.OnUserDeleted(func(e sdk.UserDeletedEvent) { gone <- e })

	must(bob.DeleteMyAccount(context.Background(), "moving on", ""))
	fmt.Println((<-gone).UserJID)
	// Output: bob@xmpp.mirrorfly.test
}

func ExampleClient_OnAdminBlock() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	events := make(chan sdk.AdminBlockEvent, 1)
	alice.OnAdminBlock(func(e sdk.AdminBlockEvent) { events <- e })

	srv.BlockByAdmin("bob", true)
	fmt.Printf("%+v\n", <-events)
	// Output: {JID:bob@xmpp.mirrorfly.test ChatType:chat Blocked:true}
}

// After a reconnection that could not take up the old stream, nobody knows what was pushed
// meanwhile: read again what matters.
func ExampleClient_OnMissed() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	cfg := srv.Config()
	cfg.Reconnect.MinDelay = 10 * time.Millisecond
	alice := online(cfg, "alice")
	defer alice.Close()
	done := make(chan struct{})
	alice.OnMissed(func(e sdk.MissedEvent) {
		fmt.Println("gap:", e.Gap, "dropped:", e.Dropped)
		bob, err := alice.GetUserProfile(context.Background(), "bob")
		fmt.Println("bob is now", bob.Data.NickName, err)
		close(done)
	})

	bob := online(srv.Config(), "bob")
	defer bob.Close()
	if _, err := bob.SetUserProfile(context.Background(),
		sdk.ProfileUpdate{Name: "Bobby", Email: "bob@example.com"}); err != nil {
		log.Fatal(err)
	}
	srv.DropConnections()
	<-done
	// Output:
	// gap: true dropped: 0
	// bob is now Bobby <nil>
}
