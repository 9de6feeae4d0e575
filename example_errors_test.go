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

// Branch on the sentinels. Code, text and condition are for logs and for people.
func ExampleError() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	_, err := alice.GetUserProfile(context.Background(), "nobody")
	var failure *sdk.Error
	switch {
	case err == nil:
	case errors.Is(err, sdk.ErrUserNotFound):
		fmt.Println("there is no such user")
	case errors.Is(err, sdk.ErrRateLimited) && errors.As(err, &failure):
		time.Sleep(failure.RetryAfter)
	case errors.Is(err, sdk.ErrNetwork), errors.Is(err, sdk.ErrNotConnected):
		fmt.Println("not now: the client reconnects by itself")
	default:
		fmt.Println("a bug, or the plan:", err)
	}
	if errors.As(err, &failure) {
		fmt.Println(failure.Op, failure.StatusCode, failure.Message)
	}
	// Output:
	// there is no such user
	// GetUserProfile 400 User not available
}

// A refusal over XMPP has a condition.
func ExampleError_condition() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	if _, err := bob.BlockUser(context.Background(), "alice@xmpp.mirrorfly.test"); err != nil {
		log.Fatal(err)
	}

	_, err := alice.GetLastSeen(context.Background(), "bob@xmpp.mirrorfly.test")
	if errors.Is(err, &sdk.Error{Condition: "service-unavailable"}) {
		fmt.Println("bob is not to be asked")
	}
	// Output: bob is not to be asked
}

// A loop that knows nothing of the call that it makes.
func ExampleError_Retryable() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()
	again := func(call func() error) error {
		for wait := time.Millisecond; ; wait *= 2 {
			err := call()
			var failure *sdk.Error
			if !errors.As(err, &failure) || !failure.Retryable() {
				return err
			}
			fmt.Println("again:", failure.StatusCode, failure.Message)
			time.Sleep(max(wait, failure.RetryAfter))
		}
	}
	read := func() error {
		_, err := alice.GetUsersIBlocked(context.Background())
		srv.ClearFaults()
		return err
	}
	send := func() error {
		_, err := alice.SendFeedback(context.Background(), "Pictures", "They load fast.")
		return err
	}

	// A breakdown: nobody knows what came of it, and it does no harm twice.
	srv.SetFault(sdktest.StepIQ, sdktest.FaultError)
	fmt.Println(again(read))
	// The same for a write, which may have been taken.
	srv.FailNext("moderation/feedback", 503, "busy")
	fmt.Println(again(send) != nil, len(srv.Feedback()))
	// Output:
	// again: 500 Request Failed
	// <nil>
	// true 0
}

// What became of a call that failed.
func ExampleOutcome() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()
	send := func(title string) {
		_, err := alice.SendFeedback(context.Background(), title, "The pictures load fast.")
		var failure *sdk.Error
		if errors.As(err, &failure) {
			fmt.Println(failure.StatusCode, failure.Outcome)
		}
	}

	send("") // checked before anything is sent
	srv.FailNext("moderation/feedback", 400, "Feedback is closed")
	send("Profiles") // the service said no
	srv.SetFault(sdktest.StepREST, sdktest.FaultClose)
	send("Profiles") // the connection broke before the answer: it may have arrived
	// Output:
	// 400 not sent
	// 400 refused
	// 599 unknown
}
