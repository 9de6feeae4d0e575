package main

import (
	"context"
	"log"
	"slices"

	"github.com/mirrorfly-go/sdk"
)

// readMissed answers what came while the bot was away, or faster than it could answer, and what it
// failed to answer: it reads the conversations that have unread messages from the history of the
// service.
func (b *bot) readMissed(ctx context.Context, e sdk.MissedEvent) {
	if !e.Gap && e.Messages == 0 {
		return
	}
	for chat, err := range b.RecentChats(ctx, sdk.RecentQuery{}) {
		if err == nil && chat.Unread > 0 {
			err = b.readUnread(ctx, chat)
		}
		if err != nil {
			log.Println("history:", err) // a stock XMPP server has none
			return
		}
	}
}

// readUnread answers the unread messages of a conversation, the oldest first. The service says how
// many there are, and not which: these are taken for the newest.
func (b *bot) readUnread(ctx context.Context, chat sdk.RecentChat) error {
	var unread []sdk.Message
	// The history begins with the newest one.
	for m, err := range b.ChatMessages(ctx, sdk.ChatQuery{UserJID: chat.UserJID}) {
		if err != nil {
			return err
		}
		if !m.Own {
			unread = append(unread, m)
		}
		if len(unread) == min(chat.Unread, maxAnswered) {
			break
		}
	}
	for _, m := range slices.Backward(unread) {
		b.answer(ctx, m)
	}
	return nil
}
