package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// start is the service in this process, for the examples.
func start(opts sdktest.Options) *sdktest.Server {
	srv, err := sdktest.Start(opts)
	if err != nil {
		log.Fatal(err)
	}
	return srv
}

// online is a client whose user is registered and connected, for the examples that are about what
// comes after.
func online(cfg sdk.Config, user string) *sdk.Client {
	client, err := sdk.New(cfg)
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

// Register once, and keep Username and Password where secrets are kept: they are what Connect wants
// from then on.
func ExampleClient_Register() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	res, err := client.Register(context.Background(), "alice",
		// when alice has all the sessions that the plan allows: fail, end none of them
		sdk.ForceRegister(false),
		sdk.RegisterMetadata(map[string]any{"plan": "gold", "vip": true}),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.StatusCode, res.Message)
	fmt.Println(res.Data.Username, res.Data.UserJID, res.Data.Password != "")
	// Output:
	// 200 Success
	// alice alice@xmpp.mirrorfly.test true
}

// Credentials of an earlier Register are enough to connect, in another process too.
func ExampleClient_Connect() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	first := online(srv.Config(), "alice")
	me, err := first.Register(context.Background(), "alice")
	if err != nil {
		log.Fatal(err)
	}
	first.Close()

	client, err := sdk.New(srv.Config())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println(client.State())
	res, err := client.Connect(context.Background(), me.Data.Username, me.Data.Password)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.StatusCode, res.Message, client.State())
	// Output:
	// DISCONNECTED
	// 200 Login Success CONNECTED
}

// Logout ends the login at the service; Close ends only what runs here.
func ExampleClient_Logout() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()

	jid, err := client.GetCurrentUserJID()
	fmt.Println(jid.Data, err)
	res, err := client.Logout(context.Background())
	fmt.Println(res.StatusCode, err)
	jid, err = client.GetCurrentUserJID()
	fmt.Println(jid.StatusCode, err != nil)
	// Output:
	// alice@xmpp.mirrorfly.test <nil>
	// 200 <nil>
	// 400 true
}

func ExampleClient_SendFeedback() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()

	if _, err := client.SendFeedback(context.Background(), "Profiles", "The pictures load fast."); err != nil {
		log.Fatal(err)
	}
	got := srv.Feedback()[0]
	fmt.Printf("%s: %s: %s\n", got.User, got.Title, got.Description)
	// Output: alice: Profiles: The pictures load fast.
}

func ExampleClient_ReportUserOrGroup() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()

	const mallory = "mallory@xmpp.mirrorfly.test"
	res, err := client.ReportUserOrGroup(context.Background(), mallory, sdk.ChatTypeChat, []sdk.ReportedMessage{
		{MsgID: "17", MsgType: "text", Message: "buy now", Timestamp: 1767225600000, PublisherID: mallory},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.StatusCode, srv.Reports()[0].From, srv.Reports()[0].To)
	// Output: 200 alice mallory@xmpp.mirrorfly.test
}

// The account is gone for good, and the others are told.
func ExampleClient_DeleteMyAccount() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	gone := make(chan string, 1)
	alice.OnUserDeleted(func(e sdk.UserDeletedEvent) { gone <- e.UserJID })

	if _, err := bob.DeleteMyAccount(context.Background(), "moving on", "thanks for everything"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("alice was told:", <-gone)
	fmt.Println("bob is", bob.State(), "and the service has", srv.Users())
	// Output:
	// alice was told: bob@xmpp.mirrorfly.test
	// bob is DISCONNECTED and the service has [alice]
}

// A Result in JSON is what the JavaScript SDK returns.
func ExampleResult() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()

	blocked, err := client.GetUsersIBlocked(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	failed, _ := client.GetLastSeen(context.Background(), "")
	for _, res := range []any{blocked, failed} {
		text, err := json.Marshal(res)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(text))
	}
	// Output:
	// {"statusCode":200,"message":"Success","data":[]}
	// {"statusCode":400,"message":"toUserJid is not valid or required"}
}
