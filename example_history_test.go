package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
)

// The newest page of a conversation, and the one before it.
func ExampleClient_GetChatMessages() {
	alice, bob, end := talk()
	defer end()
	for _, text := range []string{"one", "two", "three"} {
		must(bob.SendTextMessage(context.Background(), aliceJID, text))
	}

	query := sdk.ChatQuery{UserJID: bobJID, Size: 2}
	for more := true; more; {
		page := must(alice.GetChatMessages(context.Background(), query))
		for _, m := range page.Messages {
			fmt.Println(m.FromUserJID, m.Text)
			query.Before = m.ID
		}
		more = page.More && len(page.Messages) > 0
	}
	// Output:
	// bob@xmpp.mirrorfly.test three
	// bob@xmpp.mirrorfly.test two
	// bob@xmpp.mirrorfly.test one
}

// What has come since a program last looked, which is where it keeps an id: the oldest first, and
// the senders are told that it was seen.
func ExampleClient_ChatMessages() {
	alice, bob, end := talk()
	defer end()
	last := must(bob.SendTextMessage(context.Background(), aliceJID, "one")).ID
	must(bob.SendTextMessage(context.Background(), aliceJID, "two"))
	must(bob.SendTextMessage(context.Background(), aliceJID, "three"))

	query := sdk.ChatQuery{UserJID: bobJID, After: last, MarkSeen: true}
	for m, err := range alice.ChatMessages(context.Background(), query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.Type, m.Text)
	}
	// Output:
	// text two
	// text three
}

func ExampleClient_GetMessageByID() {
	alice, _, end := talk()
	defer end()
	sent := must(alice.SendTextMessage(context.Background(), bobJID, "Hello, Bob."))

	m := must(alice.GetMessageByID(context.Background(), bobJID, sent.ID))
	fmt.Println(m.Text, m.Own)
	res, err := alice.GetMessageByID(context.Background(), bobJID, "no-such-message")
	fmt.Println(res.StatusCode, err != nil)
	// Output:
	// Hello, Bob. true
	// 400 true
}

// The conversations with the newest messages.
func ExampleClient_GetRecentChats() {
	alice, bob, end := talk()
	defer end()
	must(bob.SendTextMessage(context.Background(), aliceJID, "Hello, Alice."))

	for _, chat := range must(alice.GetRecentChats(context.Background(), sdk.RecentQuery{})).Chats {
		fmt.Println(chat.UserJID, chat.Unread, chat.Last.Text)
	}
	// Output: bob@xmpp.mirrorfly.test 1 Hello, Alice.
}

// All conversations in which something is unread.
func ExampleClient_RecentChats() {
	alice, bob, end := talk()
	defer end()
	must(bob.SendTextMessage(context.Background(), aliceJID, "Hello, Alice."))

	for chat, err := range alice.RecentChats(context.Background(), sdk.RecentQuery{}) {
		if err != nil {
			log.Fatal(err)
		}
		if chat.Unread > 0 {
			fmt.Println(chat.UserJID, chat.Unread)
		}
	}
	// Output: bob@xmpp.mirrorfly.test 1
}
