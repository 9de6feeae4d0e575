package jssdk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"image"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// callMessages are the calls about messages; handled is false for other methods.
func (g *gopher) callMessages(t *testing.T, method string, args ...any) (_ object, handled bool) {
	t.Helper()
	c, ctx := g.client, t.Context()
	text := func(i int) string { return arg[string](args, i) }
	o := arg[object](args, 0)
	of := func(name string) string { return arg[string]([]any{o[name]}, 0) }
	switch method {
	case "sendTextMessage":
		res, err := c.SendTextMessage(ctx, of("toJid"), of("messageText"), messageOptions(o)...)
		return answered(t, "", res, err), true
	case "editTextMessage":
		res, err := c.EditTextMessage(ctx, of("toJid"), of("messageId"), of("editedTextContent"), messageOptions(o)...)
		return answered(t, "", res, err), true
	case "sendMediaFileMessage":
		return g.sendFile(t, o), true
	case "deleteMessagesForEveryone":
		res, err := c.DeleteMessagesForEveryone(ctx, text(0), arg[[]string](args, 1)...)
		return answered(t, "", res, err), true
	case "sendSeenStatus":
		res, err := c.SendSeenStatus(ctx, text(0), text(1))
		return answered(t, "", res, err), true
	case "sendTypingStatus":
		res, err := c.SendTypingStatus(ctx, text(0))
		return answered(t, "", res, err), true
	case "sendTypingGoneStatus":
		res, err := c.SendTypingGoneStatus(ctx, text(0))
		return answered(t, "", res, err), true
	case "getJid":
		res, err := c.GetJID(text(0))
		return answered(t, "userJid", res, err), true
	}
	return g.callHistory(ctx, t, method, args...)
}

func (g *gopher) callHistory(ctx context.Context, t *testing.T, method string, args ...any) (_ object, handled bool) {
	t.Helper()
	c, o := g.client, arg[object](args, 0)
	switch method {
	case "getChatMessages":
		limit := arg[int]([]any{o["limit"]}, 0)
		res, err := c.GetChatMessages(ctx, sdk.ChatQuery{UserJID: arg[string]([]any{o["toJid"]}, 0), Size: limit})
		return answered(t, "", res, err), true
	case "getMessageById":
		res, err := c.GetMessageByID(ctx, arg[string](args, 1), arg[string](args, 0))
		return answered(t, "", res, err), true
	case "getRecentChatsByPagination":
		res, err := c.GetRecentChats(ctx, sdk.RecentQuery{Size: arg[int]([]any{o["limit"]}, 0)})
		return answered(t, "", res, err), true
	case "getUsersList":
		q := arg[object](args, 3)
		values, _ := q["metaDataValues"].([]string)
		res, err := c.GetUsersList(ctx, sdk.UsersQuery{
			Name: arg[string](args, 0), Page: arg[int](args, 1), Size: arg[int](args, 2),
			MetadataKey: arg[string]([]any{q["metaDataKey"]}, 0), MetadataValues: values,
		})
		return answered(t, "...", res, err), true
	case "getFriendsList":
		res, err := c.GetFriendsList(ctx)
		return answered(t, "", res, err), true
	}
	return nil, false
}

// messageOptions are the options that the JavaScript SDK has as members.
func messageOptions(o object) (opts []sdk.MessageOption) {
	if id, has := o["msgId"].(string); has {
		opts = append(opts, sdk.WithMessageID(id))
	}
	if id, has := o["replyMessageId"].(string); has {
		opts = append(opts, sdk.WithReplyTo(id))
	}
	if id, has := o["topicId"].(string); has {
		opts = append(opts, sdk.WithTopic(id))
	}
	if ids, has := o["mentionedUsersIds"].([]string); has {
		opts = append(opts, sdk.WithMentions(ids...))
	}
	if m, has := o["metaData"].(object); has {
		meta := map[string]string{}
		for key, value := range m {
			meta[key], _ = value.(string)
		}
		opts = append(opts, sdk.WithMetadata(meta))
	}
	return opts
}

func (g *gopher) sendFile(t *testing.T, o object) object {
	t.Helper()
	params := arg[object]([]any{o["fileMessageParams"]}, 0)
	f := arg[file]([]any{params["file"]}, 0)
	if id, has := params["msgId"]; has {
		o["msgId"] = id
	}
	_, encoded, _ := strings.Cut(arg[string]([]any{params["thumbImage"]}, 0), ",")
	thumbnail, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	size, _, _ := image.DecodeConfig(bytes.NewReader(f.content)) // zero for what is none
	res, err := g.client.SendMediaFileMessage(t.Context(), arg[string]([]any{o["toJid"]}, 0), sdk.MediaMessage{
		Type: sdk.MessageType(arg[string]([]any{o["messageType"]}, 0)), Name: f.name, ContentType: f.kind,
		Reader: bytes.NewReader(f.content), Size: int64(len(f.content)),
		Caption: arg[string]([]any{params["caption"]}, 0), Thumbnail: thumbnail,
		Width: size.Width, Height: size.Height,
	}, messageOptions(o)...)
	return answered(t, "", res, err)
}

func (g *gopher) fileHash(t *testing.T, message object, size int) string {
	t.Helper()
	var f sdk.MessageMedia
	require.NoError(t, json.Unmarshal([]byte(marshal(message["media"])), &f))
	var content bytes.Buffer
	_, err := g.client.DownloadMedia(t.Context(), f.File, &content)
	require.NoError(t, err)
	require.Equal(t, size, content.Len())
	sum := sha256.Sum256(content.Bytes())
	return hex.EncodeToString(sum[:])
}

// listenForMessages tells what comes in the shapes of protocol.md 14.
func (g *gopher) listenForMessages() {
	c, add := g.client, g.events.add
	c.OnMessage(func(m sdk.Message) { add("messageListener", messageOf(m, "receiveMessage")) })
	c.OnMessageEdited(func(m sdk.Message) { add("editMessageListener", messageOf(m, "receiveMessage")) })
	c.OnMessageSent(func(m sdk.Message) { add("messageListener", messageOf(m, "carbonSentMessage")) })
	c.OnMessageStatus(func(e sdk.MessageStatusEvent) {
		told := object{"msgType": string(e.Status), "msgId": e.MessageID, "fromUserJid": e.UserJID}
		if e.Status == sdk.MessageStatusAcknowledged {
			told["type"] = "acknowledge"
		}
		add("messageListener", told)
	})
	c.OnMessageDeleted(func(e sdk.MessageDeletedEvent) {
		add("messageListener", object{
			"msgType": "recallMessage", "msgId": strings.Join(e.MessageIDs, ","), "chatType": "chat",
			"fromUserJid": e.FromUserJID, "fromUserId": localPart(e.FromUserJID),
		})
	})
	c.OnTyping(func(e sdk.TypingEvent) {
		kind := map[bool]string{true: "composing", false: "gone"}[e.Typing]
		add("messageListener", object{"msgType": kind, "fromUserId": localPart(e.FromUserJID), "groupId": nil})
	})
}

func localPart(jid string) string {
	local, _, _ := strings.Cut(jid, "@")
	return local
}

func messageOf(m sdk.Message, kind string) object {
	told := object{
		"msgType": kind, "msgId": m.ID, "chatType": string(m.ChatType), "publisherId": localPart(m.FromUserJID),
		"fromUserId": localPart(m.FromUserJID), "fromUserJid": m.FromUserJID, "publisherJid": m.FromUserJID,
		"toUserId": localPart(m.ToUserJID), "toUserJid": m.ToUserJID, "editedStatus": float64(0),
		"msgBody": any(m.Text), "topicId": nil, "metaData": object{}, "delayed": m.Delayed,
	}
	if m.Edited {
		told["editedStatus"] = float64(1)
	}
	if !m.Unsealed {
		told["msgBody"] = jsonOf(m.Body)
	}
	if m.TopicID != "" {
		told["topicId"] = m.TopicID
	}
	if m.Metadata != nil {
		told["metaData"] = jsonOf(m.Metadata)
	}
	if m.Media != nil {
		told["media"] = jsonOf(m.Media)
	}
	return told
}
