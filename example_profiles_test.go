package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Many profiles are read at the same time with a bound: up to 32 calls at a time reuse their
// connections. Each has a result and an error of its own.
func ExampleClient_GetUserProfile_many() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()
	for _, user := range []string{"bob", "carol", "dave"} {
		online(srv.Config(), user).Close()
	}

	users := []string{"bob", "nobody", "carol", "dave"}
	profiles, errs := make([]sdk.Profile, len(users)), make([]error, len(users))
	bound := make(chan struct{}, 16) // calls at a time
	var all sync.WaitGroup
	for i, user := range users {
		bound <- struct{}{}
		all.Go(func() {
			defer func() { <-bound }()
			res, err := client.GetUserProfile(context.Background(), user)
			profiles[i], errs[i] = res.Data, err
		})
	}
	all.Wait()
	for i, user := range users {
		fmt.Println(user, profiles[i].UserID == user, errors.Is(errs[i], sdk.ErrUserNotFound))
	}
	// Output:
	// bob true false
	// nobody false true
	// carol true false
	// dave true false
}
