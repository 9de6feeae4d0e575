package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Blocking shows in the lists of both, and both are told.
func ExampleClient_BlockUser() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	told := make(chan sdk.BlockEvent, 1)
	bob.OnBlock(func(e sdk.BlockEvent) { told <- e })

	ctx := context.Background()
	if _, err := alice.BlockUser(ctx, "bob@xmpp.mirrorfly.test"); err != nil {
		log.Fatal(err)
	}
	e := <-told
	fmt.Println("bob was told:", e.UserID, "blocked:", e.Blocked, "by me:", e.ByMe)
	mine, err := alice.GetUsersIBlocked(ctx)
	fmt.Println("alice has blocked", mine.Data, err)
	who, err := bob.GetUsersWhoBlockedMe(ctx)
	fmt.Println("bob is blocked by", who.Data, err)
	// Output:
	// bob was told: alice blocked: true by me: false
	// alice has blocked [{bob@xmpp.mirrorfly.test}] <nil>
	// bob is blocked by [{alice@xmpp.mirrorfly.test}] <nil>
}

func ExampleClient_UnblockUser() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	ctx := context.Background()
	for _, change := range []func(context.Context, string) (sdk.Result[sdk.None], error){
		alice.BlockUser,
		alice.UnblockUser,
	} {
		if _, err := change(ctx, "bob@xmpp.mirrorfly.test"); err != nil {
			log.Fatal(err)
		}
		list, err := alice.GetUsersIBlocked(ctx)
		fmt.Println(len(list.Data), err)
	}
	// Output:
	// 1 <nil>
	// 0 <nil>
}

func ExampleClient_GetUsersIBlocked() {
	alice, _, end := talk()
	defer end()

	must(alice.BlockUser(context.Background(), "bob")) // or bob's JID
	for _, user := range must(alice.GetUsersIBlocked(context.Background())) {
		fmt.Println(user.JID)
	}
	// Output: bob@xmpp.mirrorfly.test
}

func ExampleClient_GetUsersWhoBlockedMe() {
	alice, bob, end := talk()
	defer end()

	must(alice.BlockUser(context.Background(), "bob"))
	for _, user := range must(bob.GetUsersWhoBlockedMe(context.Background())) {
		fmt.Println(user.JID)
	}
	// Output: alice@xmpp.mirrorfly.test
}

// What the plan lacks is refused without asking the service.
func ExampleClient_Features() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	srv.SetFeature("block", false)
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	_, err := alice.BlockUser(context.Background(), "bob@xmpp.mirrorfly.test")
	fmt.Println(alice.Features().Block, alice.Features().Report, errors.Is(err, sdk.ErrFeatureUnavailable))
	// Output: false true true
}
