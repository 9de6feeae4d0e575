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

// The second page of those who are called Smith.
func ExampleClient_GetUsersList() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	page, err := alice.GetUsersList(context.Background(), sdk.UsersQuery{Name: "Smith", Page: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(page.Data.Users), "of", page.Data.Total)
}

// All users of a plan, as Register was told it.
func ExampleClient_UsersList() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	query := sdk.UsersQuery{MetadataKey: "plan", MetadataValues: []string{"gold", "silver"}}
	for user, err := range alice.UsersList(context.Background(), query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.UserID, user.NickName)
	}
}
