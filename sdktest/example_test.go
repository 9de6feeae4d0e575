package sdktest_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// online is a client whose user is registered and connected.
func online(srv *sdktest.Server, user string) *sdk.Client {
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	me, err := client.Register(context.Background(), user)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Connect(context.Background(), me.Data.Username, me.Data.Password); err != nil {
		log.Fatal(err)
	}
	return client
}

// Outside tests: a server on free ports.
func ExampleStart() {
	srv, err := sdktest.Start(sdktest.Options{Trial: true, Domain: "chat.example.test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	cfg := srv.Config()
	fmt.Println(cfg.TrialLicense, cfg.LicenseKey, srv.Domain(), len(srv.Users()))
	// Output: true sdktest-license-key chat.example.test 0
}

// A test can read what the service holds without a client.
func ExampleServer_Profile() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	alice := online(srv, "alice")
	defer alice.Close()
	if _, err := alice.SetUserProfile(context.Background(),
		sdk.ProfileUpdate{Name: "Alice", Email: "alice@example.com"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(srv.Profile("alice").NickName, srv.Users(), len(srv.Resources("alice")))
	// Output: Alice [alice] 1
}

// Requests are what the clients sent, with the sealed parts opened.
func ExampleServer_Requests() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	alice := online(srv, "alice")
	defer alice.Close()
	if _, err := alice.SendFeedback(context.Background(), "Speed", "Good"); err != nil {
		log.Fatal(err)
	}
	for _, r := range srv.Requests() {
		if r.Path == "moderation/feedback" {
			fmt.Println(r.Kind, r.User, r.Method, r.Path, r.Body)
		}
	}
	// Output: rest alice POST moderation/feedback {"title":"Speed","description":"Good"}
}

// The next request fails, the one after it does not.
func ExampleServer_FailNext() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	alice := online(srv, "alice")
	defer alice.Close()

	srv.FailNext("contacts/vcard", 500, "boom")
	for range 2 {
		res, _ := alice.GetUserProfile(context.Background(), "alice")
		fmt.Println(res.StatusCode, res.Message)
	}
	// Output:
	// 500 boom
	// 200 Success
}

// The server cuts the connection of every REST request until the fault is cleared.
func ExampleServer_SetFault() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	alice := online(srv, "alice")
	defer alice.Close()

	srv.SetFault(sdktest.StepREST, sdktest.FaultClose)
	_, err = alice.SendFeedback(context.Background(), "Speed", "Good")
	fmt.Println(errors.Is(err, sdk.ErrNetwork), len(srv.Feedback()))
	srv.ClearFaults()
	_, err = alice.SendFeedback(context.Background(), "Speed", "Good")
	fmt.Println(err, len(srv.Feedback()))
	// Output:
	// true 0
	// <nil> 1
}

// The same error twice, and the same unknown outcome: what the server holds tells what became of
// the two requests.
func ExampleServer_SetFault_outcome() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	alice := online(srv, "alice")
	defer alice.Close()

	for _, step := range []sdktest.Step{sdktest.StepREST, sdktest.StepRESTAfter} {
		srv.SetFault(step, sdktest.FaultClose, sdktest.Match{User: "alice", Op: "moderation/feedback", Nth: 1})
		_, err := alice.SendFeedback(context.Background(), "Speed", "Good")
		var e *sdk.Error
		fmt.Println(errors.As(err, &e), e.Outcome, len(srv.Feedback()))
	}
	// Output:
	// true unknown 0
	// true unknown 1
}

// A test waits for what the server has, and not for time to pass.
func ExampleServer_Wait() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	bot := online(srv, "bot")
	defer bot.Close()
	bot.OnMessage(func(sdk.Message) {}) // handled messages are acknowledged to their sender

	ctx := context.Background() // in a test t.Context()
	if _, err := srv.SendMessage(ctx, "alice", "bot", "hello"); err != nil {
		log.Fatal(err)
	}
	err = srv.Wait(ctx, "the bot has handled the message", func() bool {
		return srv.Messages("bot")[0].Status == sdktest.StatusDelivered
	})
	fmt.Println(err)
	// Output: <nil>
}

// The phone of a user approves a QR login, or refuses it.
func ExamplePhone() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()
	for _, answer := range []func(context.Context, string) error{srv.Phone("alice").Reject, srv.Phone("alice").Scan} {
		login, err := client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: srv.SignalURL()})
		if err != nil {
			log.Fatal(err)
		}
		if err := answer(ctx, (<-login.Codes()).Content()); err != nil {
			log.Fatal(err)
		}
		me, _ := login.Wait(ctx)
		fmt.Println(me.StatusCode, me.Message)
	}
	// Output:
	// 400 Invalid Credentials
	// 200 Login Success
}

// A bot that is not running yet gets its messages when it comes.
func ExampleServer_SendMessage() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	if _, err := srv.SendMessage(context.Background(), "alice", "bot", "hello"); err != nil {
		log.Fatal(err)
	}
	for _, m := range srv.Messages("bot") {
		fmt.Println(m.From, "says", m.Text, m.Status)
	}
	fmt.Println("waiting:", srv.Waiting("bot"))
	// Output:
	// alice says hello acknowledge
	// waiting: 1
}
