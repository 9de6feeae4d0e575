package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"log"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A profile is replaced as a whole: read the old one first if something of it shall stay.
func ExampleClient_SetUserProfile() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		log.Fatal(err)
	}

	res, err := client.SetUserProfile(context.Background(), sdk.ProfileUpdate{
		Name: "Alice", Email: "alice@example.com", Status: "In a meeting",
		Image: sdk.ImageReader("alice.png", "image/png", bytes.NewReader(picture.Bytes()), int64(picture.Len())),
		// or sdk.ImageFile("alice.png"), or sdk.ImageURL("https://example.com/alice.png")
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.StatusCode, res.Data.FileToken == srv.Profile("alice").Image)
	// Output: 200 true
}

// The picture of a profile is fetched like any other file.
func ExampleClient_GetUserProfile() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()
	ctx := context.Background()
	_, err := client.SetUserProfile(ctx, sdk.ProfileUpdate{
		Name: "Alice", Email: "alice@example.com", MobileNumber: "15550100",
		Image: sdk.ImageReader("alice.svg", "image/svg+xml", bytes.NewReader([]byte("<svg/>")), 6),
	})
	if err != nil {
		log.Fatal(err)
	}

	profile, err := client.GetUserProfile(ctx, "alice@xmpp.mirrorfly.test") // or "alice"
	if err != nil {
		log.Fatal(err)
	}
	var picture bytes.Buffer
	if _, err := client.DownloadMedia(ctx, sdk.MediaFile{FileToken: profile.Data.Image}, &picture); err != nil {
		log.Fatal(err)
	}
	fmt.Println(profile.Data.NickName, profile.Data.Email, profile.Data.MobileNumber, picture.String())
	// Output: Alice alice@example.com 15550100 <svg/>
}

func ExampleClient_GetLastSeen() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()

	seen, err := alice.GetLastSeen(context.Background(), "bob@xmpp.mirrorfly.test")
	if err != nil {
		log.Fatal(err)
	}
	if seen.Data.Seconds == 0 {
		fmt.Println("bob is online")
	} else {
		fmt.Println("bob was here at", seen.Data.Time(time.Now()))
	}
	// Output: bob is online
}

func ExampleLastSeen_Time() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	fmt.Println(sdk.LastSeen{Seconds: 90}.Time(now).Format(time.TimeOnly))
	// Output: 11:58:30
}
