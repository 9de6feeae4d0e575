package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func Example() {
	// the service in this process; the real one needs no more than a Config
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	client, err := sdk.New(srv.Config()) // sdk.Config{LicenseKey: "...", APIBaseURL: "https://..."}
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	me, err := client.Register(ctx, "alice") // once; keep what it answers
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Connect(ctx, me.Data.Username, me.Data.Password); err != nil {
		log.Fatal(err)
	}
	if _, err := client.SetUserProfile(ctx, sdk.ProfileUpdate{Name: "Alice", Email: "alice@example.com"}); err != nil {
		log.Fatal(err)
	}
	profile, err := client.GetUserProfile(ctx, me.Data.UserJID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(profile.StatusCode, profile.Data.NickName, profile.Data.Email)
	// Output: 200 Alice alice@example.com
}
