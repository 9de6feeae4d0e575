package main

import (
	"context"
	"fmt"

	"github.com/mirrorfly-go/sdk"
)

func (t *tour) messages(ctx context.Context) error {
	t.heading("Bob writes to Alice, and sees that she has read it")
	_, err := do(t, "bob.SendTypingStatus(alice)", func() (sdk.Result[sdk.None], error) {
		return t.bob.SendTypingStatus(ctx, t.aliceJID)
	}, nil)
	if err != nil {
		return err
	}
	if err := t.await(ctx, "alice.OnTyping", "true"); err != nil {
		return err
	}
	sent, err := do(t, "bob.SendTextMessage(alice, text)", func() (sdk.Result[sdk.SentMessage], error) {
		return t.bob.SendTextMessage(ctx, t.aliceJID, "Hello, Alise!")
	}, taken)
	if err != nil {
		return err
	}
	if err := t.await(ctx, "alice.OnMessage", "Hello, Alise!"); err != nil {
		return err
	}
	if err := t.await(ctx, "bob.OnMessageStatus", string(sdk.MessageStatusDelivered)); err != nil {
		return err
	}
	_, err = do(t, "alice.SendSeenStatus(bob, message)", func() (sdk.Result[sdk.None], error) {
		return t.alice.SendSeenStatus(ctx, t.bobJID, sent.ID)
	}, nil)
	if err != nil {
		return err
	}
	if err := t.await(ctx, "bob.OnMessageStatus", string(sdk.MessageStatusSeen)); err != nil {
		return err
	}
	return t.correction(ctx, sent.ID)
}

func (t *tour) correction(ctx context.Context, id string) error {
	t.heading("Bob corrects what he has written, Alice reads the conversation again")
	_, err := do(t, "bob.EditTextMessage(alice, message, text)", func() (sdk.Result[sdk.SentMessage], error) {
		return t.bob.EditTextMessage(ctx, t.aliceJID, id, "Hello, Alice!")
	}, taken)
	if err != nil {
		return err
	}
	if err := t.await(ctx, "alice.OnMessageEdited", "Hello, Alice!"); err != nil {
		return err
	}
	_, err = do(t, "alice.GetChatMessages(bob)", func() (sdk.Result[sdk.ChatPage], error) {
		return t.alice.GetChatMessages(ctx, sdk.ChatQuery{UserJID: t.bobJID})
	}, func(p sdk.ChatPage) string {
		if len(p.Messages) == 0 {
			return "nothing is kept"
		}
		return fmt.Sprintf("%d message: %q", len(p.Messages), p.Messages[0].Text)
	})
	return err
}

// taken is for a message that the server has taken.
func taken(m sdk.SentMessage) string { return "taken by the server as " + short(m.ID) }
