package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The newest page of a conversation, and the one before it.
func ExampleClient_GetChatMessages() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	query := sdk.ChatQuery{UserJID: "bob@xmpp.mirrorfly.test", Size: 50}
	for range 2 {
		page, err := alice.GetChatMessages(context.Background(), query)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range page.Data.Messages {
			fmt.Println(m.Timestamp, m.FromUserJID, m.Text)
		}
		if !page.Data.More || len(page.Data.Messages) == 0 {
			return
		}
		query.Before = page.Data.Messages[len(page.Data.Messages)-1].ID
	}
}

// What has come since a program last looked, which is where it keeps an id: the oldest first, and
// the senders are told that it was seen.
func ExampleClient_ChatMessages() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	query := sdk.ChatQuery{
		UserJID: "bob@xmpp.mirrorfly.test", After: "ed9ba944-a9e4-43e4-aed5-77288d2e977e", MarkSeen: true,
	}
	for m, err := range alice.ChatMessages(context.Background(), query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(m.ID, m.Type, m.Text)
	}
}

func ExampleClient_GetMessageByID() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	m, err := alice.GetMessageByID(
		context.Background(), "bob@xmpp.mirrorfly.test", "ed9ba944-a9e4-43e4-aed5-77288d2e977e",
	)
	if err != nil {
		fmt.Println(err) // the service has no such message
		return
	}
	fmt.Println(m.Data.Text)
}

// The conversations with the newest messages.
func ExampleClient_GetRecentChats() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	recent, err := alice.GetRecentChats(context.Background(), sdk.RecentQuery{})
	if err != nil {
		log.Fatal(err)
	}
	for _, chat := range recent.Data.Chats {
		fmt.Println(chat.NickName, chat.Unread, chat.Last.Text)
	}
}

// All conversations in which something is unread.
func ExampleClient_RecentChats() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice := online(srv.Config(), "alice")
	defer alice.Close()

	for chat, err := range alice.RecentChats(context.Background(), sdk.RecentQuery{}) {
		if err != nil {
			log.Fatal(err)
		}
		if chat.Unread > 0 {
			fmt.Println(chat.UserJID, chat.Unread)
		}
	}
}
