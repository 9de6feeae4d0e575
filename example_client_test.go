package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Close ends what runs here. The login stays valid at the service: Logout ends that.
func ExampleClient_Close() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")

	fmt.Println(client.Close(), client.State())
	_, err := client.GetUsersIBlocked(context.Background())
	fmt.Println(errors.Is(err, sdk.ErrClosed))
	// Output:
	// <nil> DISCONNECTED
	// true
}

func ExampleClient_State() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println(client.State())
	me := must(client.Register(context.Background(), "alice"))
	must(client.Connect(context.Background(), me.Username, me.Password))
	fmt.Println(client.State())
	// Output:
	// DISCONNECTED
	// CONNECTED
}

// Where a call has failed because the connection was lost: wait until it is back, then call again.
func ExampleClient_WaitConnected() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	cfg := srv.Config()
	cfg.Reconnect.MinDelay = 10 * time.Millisecond
	client := online(cfg, "alice")
	defer client.Close()
	srv.DropConnections()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		blocked, err := client.GetUsersIBlocked(ctx)
		if !errors.Is(err, sdk.ErrNotConnected) {
			fmt.Println(blocked.Data, err)
			return
		}
		if err := client.WaitConnected(ctx); err != nil {
			log.Fatal(err) // the client does not reconnect, or it takes longer than a minute
		}
	}
	// Output: [] <nil>
}

func ExampleClient_GetCurrentUserJID() {
	alice, _, end := talk()
	defer end()

	fmt.Println(must(alice.GetCurrentUserJID()))
	// Output: alice@xmpp.mirrorfly.test
}

func ExampleClient_GetJID() {
	alice, _, end := talk()
	defer end()

	fmt.Println(must(alice.GetJID("bob")))
	// Output: bob@xmpp.mirrorfly.test
}

// From here on a file is encrypted before it leaves the program.
func ExampleClient_SetMediaEncryption() {
	alice, _, end := talk()
	defer end()

	res, err := alice.SetMediaEncryption(true)
	fmt.Println(res.StatusCode, err)
	// Output: 200 <nil>
}

// Without a listener nobody handles messages.
func ExampleClient_Unhandled() {
	alice, bob, end := talk()
	defer end()

	must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	must(bob.GetUsersIBlocked(context.Background())) // what the server sent before has come
	fmt.Println(bob.Unhandled())
	// Output: 1
}

// What nobody may send is dropped, and counted.
func ExampleClient_Ignored() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	const forged = `<message from="mallory@elsewhere.example"><user_deleted user="bob@xmpp.mirrorfly.test"/></message>`
	srv.Push("alice", forged)
	must(alice.GetUsersIBlocked(context.Background())) // what the server sent before has come
	fmt.Println(alice.Ignored())
	// Output: 1
}
