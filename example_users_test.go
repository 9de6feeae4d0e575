package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func ExampleClient_GetFriendsList() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	ctx := context.Background()
	if _, err := bob.SetUserProfile(ctx, sdk.ProfileUpdate{Name: "Bob", Email: "bob@example.com"}); err != nil {
		log.Fatal(err)
	}

	friends, err := alice.GetFriendsList(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, friend := range friends.Data {
		fmt.Println(friend.UserJID, friend.NickName)
	}
	// Output: bob@xmpp.mirrorfly.test Bob
}

// The first page of those who are called Smith.
func ExampleClient_GetUsersList() {
	alice, bob, end := talk()
	defer end()
	ctx := context.Background()
	must(alice.SetUserProfile(ctx, sdk.ProfileUpdate{Name: "Alice Smith", Email: "alice@example.com"}))
	must(bob.SetUserProfile(ctx, sdk.ProfileUpdate{Name: "Bob Smith", Email: "bob@example.com"}))

	page := must(alice.GetUsersList(ctx, sdk.UsersQuery{Name: "Smith", Page: 1, Size: 10}))
	for _, user := range page.Users {
		fmt.Println(user.NickName)
	}
	fmt.Println(page.Total, "in all")
	// Output:
	// Bob Smith
	// 1 in all
}

// All users of a plan, as Register was told it.
func ExampleClient_UsersList() {
	alice, _, end := talk()
	defer end()
	must(alice.Register(context.Background(), "carol", sdk.RegisterMetadata(map[string]any{"plan": "gold"})))

	query := sdk.UsersQuery{MetadataKey: "plan", MetadataValues: []string{"gold", "silver"}}
	for user, err := range alice.UsersList(context.Background(), query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.UserID)
	}
	// Output: carol
}
