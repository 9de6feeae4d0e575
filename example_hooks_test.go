package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Hooks that tell which calls are made, and how they end.
func ExampleHooks() {
	ctx := context.Background()
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	cfg := srv.Config()
	cfg.Hooks = &sdk.Hooks{
		StartCall: func(ctx context.Context, call sdk.CallInfo) (context.Context, func(sdk.CallDone)) {
			return ctx, func(done sdk.CallDone) {
				fmt.Println(call.Op, done.StatusCode, done.Sentinel, "requests:", done.Requests)
			}
		},
	}
	client, err := sdk.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if _, err = client.Register(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	_, _ = client.Register(ctx, "ALICE!") // that is no identifier
	// Output:
	// Register 200 <nil> requests: 1
	// Register 400 invalid argument requests: 0
}

// Two sets of hooks: those of a tracer, and one's own.
func ExampleJoinHooks() {
	tracing := &sdk.Hooks{}
	own := &sdk.Hooks{
		Disconnected: func(d sdk.DisconnectInfo) { fmt.Println("a session has ended after", d.Up, d.Sentinel) },
	}
	cfg := sdk.Config{LicenseKey: "...", Hooks: sdk.JoinHooks(tracing, own)}
	fmt.Println(cfg.Hooks.Disconnected != nil, cfg.Hooks.StartCall != nil)
	// Output: true false
}

func ExampleClient_Stats() {
	ctx := context.Background()
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
	me, err := client.Register(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	if _, err = client.Connect(ctx, me.Data.Username, me.Data.Password); err != nil {
		log.Fatal(err)
	}
	stats := client.Stats()
	fmt.Println(stats.Calls, "calls,", stats.Requests, "requests,", stats.Connects, "session")
	// Output: 2 calls, 2 requests, 1 session
}
