package sdk

import (
	"strings"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// MessageOption says more about a message that is sent.
type MessageOption func(*messageOptions)

type messageOptions struct {
	id        string
	hasID     bool
	replyTo   string
	hasReply  bool
	mentioned []string
	topic     string
	hasTopic  bool
	metadata  map[string]string
}

// WithMessageID gives the message its id, instead of a new one: at most 255 bytes without commas,
// white space and control characters. The same id again repeats a message whose outcome is unknown:
// this library and the React Native SDK drop a second copy, the web SDK and common XMPP clients
// show it twice. With EditTextMessage it is the id of the edit.
func WithMessageID(id string) MessageOption {
	return func(o *messageOptions) { o.id, o.hasID = id, true }
}

// WithReplyTo says which message this one answers.
func WithReplyTo(messageID string) MessageOption {
	return func(o *messageOptions) { o.replyTo, o.hasReply = messageID, true }
}

// WithMentions says which users the text speaks of, by user id: the service's apps write the
// placeholder "@[?]" into the text for each of them, in their order.
func WithMentions(userIDs ...string) MessageOption {
	return func(o *messageOptions) { o.mentioned = userIDs }
}

// WithTopic puts the message into a topic of the conversation, by its id.
func WithTopic(id string) MessageOption {
	return func(o *messageOptions) { o.topic, o.hasTopic = id, true }
}

// WithMetadata adds data of the app, which nobody seals: at most 3 entries.
func WithMetadata(m map[string]string) MessageOption {
	return func(o *messageOptions) { o.metadata = m }
}

func optionsOf(all []MessageOption) (o messageOptions) {
	for _, option := range all {
		if option != nil {
			option(&o)
		}
	}
	return o
}

// The options, as arguments.
var (
	optionID       = argument{"WithMessageID", "msgId"}
	optionReplyTo  = argument{"WithReplyTo", "replyMessageId"}
	optionMentions = same("WithMentions")
	optionTopic    = same("WithTopic")
	optionMetadata = same("WithMetadata")
)

// checks are of what is the same for all that takes options.
func (o *messageOptions) checks() []finding {
	checks := []finding{
		isXMLText(optionTopic.name, o.topic), checkMessageMetadata(o.metadata), isUTF8(optionReplyTo.name, o.replyTo),
		isUTF8(optionMentions.name, strings.Join(o.mentioned, ",")),
	}
	if o.hasReply {
		checks = append(checks, messageIDFormat(optionReplyTo.name, o.replyTo), required(optionReplyTo, o.replyTo))
	}
	if o.hasID {
		checks = append(checks, messageIDFormat(optionID.name, o.id), required(optionID, o.id))
	}
	return checks
}

// meta is the metadata as it goes over the wire.
func (o *messageOptions) meta() string {
	if len(o.metadata) == 0 {
		return "{}"
	}
	text, _ := seal.JSON(o.metadata) // strings are always JSON
	return text
}

func checkMessageMetadata(m map[string]string) finding {
	if len(m) > maxMetadata {
		return optionMetadata.isInJS(" can have at most 3 entries")
	}
	for key, value := range m {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return optionMetadata.isInJS(" is not valid UTF-8")
		}
		if strings.ContainsAny(key+value, "\uFFFE\uFFFF") {
			return optionMetadata.isInJS(" has a character that no stanza can carry")
		}
	}
	return finding{}
}
