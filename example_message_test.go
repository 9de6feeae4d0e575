package sdk_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const aliceJID = "alice@xmpp.mirrorfly.test"

// talk logs in alice and bob on a server of their own.
func talk() (alice, bob *sdk.Client, end func()) {
	srv := start(sdktest.Options{})
	alice, bob = online(srv.Config(), "alice"), online(srv.Config(), "bob")
	// Typing is kept for nobody: with this answer the server knows that bob is there.
	must(bob.GetUsersIBlocked(context.Background()))
	return alice, bob, func() {
		alice.Close()
		bob.Close()
		srv.Close()
	}
}

// must ends the program when a call has failed.
func must[T any](res sdk.Result[T], err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return res.Data
}

// A send has succeeded when the server has the message.
func ExampleClient_SendTextMessage() {
	alice, bob, end := talk()
	defer end()
	came := make(chan sdk.Message, 1)
	bob.OnMessage(func(m sdk.Message) { came <- m })

	sent := must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	m := <-came
	fmt.Println(m.FromUserJID, "writes", m.Text, m.ID == sent.ID)
	// Output: alice@xmpp.mirrorfly.test writes Hello, Bob. true
}

func ExampleClient_SendMediaFileMessage() {
	alice, bob, end := talk()
	defer end()
	done := make(chan struct{})
	bob.OnMessage(func(m sdk.Message) {
		var got strings.Builder
		must(bob.DownloadMedia(context.Background(), m.Media.File, &got))
		fmt.Println(m.Media.File.Name, m.Media.Caption, got.String())
		close(done)
	})

	const content = "all work and no play"
	must(alice.SendMediaFileMessage(context.Background(), bobJID, sdk.MediaMessage{
		Type: sdk.MessageTypeFile, Name: "work.txt", Caption: "(see below)",
		Reader: strings.NewReader(content), Size: int64(len(content)),
	}))
	<-done
	// Output: work.txt (see below) all work and no play
}

func ExampleClient_EditTextMessage() {
	alice, _, end := talk()
	defer end()

	sent := must(alice.SendTextMessage(context.Background(), bobJID, "Helo"))
	_, err := alice.EditTextMessage(context.Background(), bobJID, sent.ID, "Hello")
	fmt.Println(err)
	// Output: <nil>
}

func ExampleClient_DeleteMessagesForEveryone() {
	alice, _, end := talk()
	defer end()

	sent := must(alice.SendTextMessage(context.Background(), bobJID, "to the wrong person"))
	_, err := alice.DeleteMessagesForEveryone(context.Background(), bobJID, sent.ID)
	fmt.Println(err)
	// Output: <nil>
}

// What bob has seen does not count as unread any more.
func ExampleClient_SendSeenStatus() {
	alice, bob, end := talk()
	defer end()
	came := make(chan sdk.Message, 1)
	bob.OnMessage(func(m sdk.Message) { came <- m })

	must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	m := <-came
	_, err := bob.SendSeenStatus(context.Background(), m.FromUserJID, m.ID)
	fmt.Println(err)
	// Output: <nil>
}

// Call it again every few seconds while somebody writes.
func ExampleClient_SendTypingStatus() {
	alice, _, end := talk()
	defer end()

	_, err := alice.SendTypingStatus(context.Background(), bobJID)
	fmt.Println(err)
	// Output: <nil>
}

func ExampleClient_SendTypingGoneStatus() {
	alice, _, end := talk()
	defer end()

	_, err := alice.SendTypingGoneStatus(context.Background(), bobJID)
	fmt.Println(err)
	// Output: <nil>
}

// A bot answers in the listener. Work that takes longer goes into a goroutine: the message is
// handled when done is called. At most 256 stanzas stay unacknowledged, so that is the bound.
func ExampleClient_OnMessage() {
	alice, bob, end := talk()
	defer end()
	answers := make(chan sdk.Message, 1)
	alice.OnMessage(func(m sdk.Message) { answers <- m })
	working := make(chan struct{}, 256)
	bob.OnMessage(func(m sdk.Message) {
		done := m.Defer()
		working <- struct{}{} // waits while there is too much work
		go func() {
			defer func() { <-working }()
			defer done()
			must(bob.SendTextMessage(context.Background(), m.FromUserJID, "You wrote: "+m.Text))
		}()
	})

	must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	fmt.Println((<-answers).Text)
	// Output: You wrote: Hello, Bob.
}

// The id is that of the old message.
func ExampleClient_OnMessageEdited() {
	alice, bob, end := talk()
	defer end()
	edits := make(chan sdk.Message, 1)
	bob.OnMessageEdited(func(m sdk.Message) { edits <- m })

	sent := must(alice.SendTextMessage(context.Background(), bobJID, "Helo"))
	must(alice.EditTextMessage(context.Background(), bobJID, sent.ID, "Hello"))
	m := <-edits
	fmt.Println(m.Text, m.ID == sent.ID)
	// Output: Hello true
}

// What one device sends, the other devices of the account are told of.
func ExampleClient_OnMessageSent() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	laptop, phone, bob := online(srv.Config(), "alice"), online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer laptop.Close()
	defer phone.Close()
	defer bob.Close()
	// So the server knows that the phone is there.
	must(phone.GetUsersIBlocked(context.Background()))
	sent := make(chan sdk.Message, 1)
	phone.OnMessageSent(func(m sdk.Message) { sent <- m })

	must(laptop.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	m := <-sent
	fmt.Println(m.Peer(), m.Text)
	// Output: bob@xmpp.mirrorfly.test Hello, Bob.
}

func ExampleClient_OnMessageStatus() {
	alice, bob, end := talk()
	defer end()
	bob.OnMessage(func(sdk.Message) {})
	done := make(chan struct{})
	alice.OnMessageStatus(func(e sdk.MessageStatusEvent) {
		if e.Status == sdk.MessageStatusDelivered {
			fmt.Println(e.UserJID, "has it")
			close(done)
		}
	})

	must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))
	<-done
	// Output: bob@xmpp.mirrorfly.test has it
}

// Only what that user has sent is meant, whatever ids come.
func ExampleClient_OnMessageDeleted() {
	alice, bob, end := talk()
	defer end()
	deleted := make(chan sdk.MessageDeletedEvent, 1)
	bob.OnMessageDeleted(func(e sdk.MessageDeletedEvent) { deleted <- e })

	sent := must(alice.SendTextMessage(context.Background(), bobJID, "to the wrong person"))
	must(alice.DeleteMessagesForEveryone(context.Background(), bobJID, sent.ID))
	e := <-deleted
	fmt.Println(e.FromUserJID, len(e.MessageIDs), e.MessageIDs[0] == sent.ID)
	// Output: alice@xmpp.mirrorfly.test 1 true
}

func ExampleClient_OnTyping() {
	alice, bob, end := talk()
	defer end()
	typing := make(chan sdk.TypingEvent, 2)
	bob.OnTyping(func(e sdk.TypingEvent) { typing <- e })

	must(alice.SendTypingStatus(context.Background(), bobJID))
	must(alice.SendTypingGoneStatus(context.Background(), bobJID))
	fmt.Printf("%+v\n%+v\n", <-typing, <-typing)
	// Output:
	// {FromUserJID:alice@xmpp.mirrorfly.test Typing:true}
	// {FromUserJID:alice@xmpp.mirrorfly.test Typing:false}
}
