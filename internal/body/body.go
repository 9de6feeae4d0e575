// Package body writes and reads the bodies of messages: JSON that is sealed with the id of its
// message as the key (docs/protocol.md 14.2). That key travels in the same stanza, so a body is
// hidden from nobody who has the stanza.
package body

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Body is what a message says.
type Body struct {
	// Text is that of a text; files have none.
	Text string
	// Type is text, image, and so on.
	Type string
	// NickName is the sender's own name for itself.
	NickName string
	// ReplyTo is the id of the message that this one answers.
	ReplyTo string
	// Mentioned are user ids.
	Mentioned []string
	// Media is nil unless the message is a file.
	Media *Media
	// JSON is the opened body as it was. It is empty in a body that is to be sealed.
	JSON string
}

// wire has the fields in the order of the JavaScript SDK.
type wire struct {
	Text      string     `json:"message"`
	Type      string     `json:"message_type"`
	Media     *wireMedia `json:"media,omitempty"`
	Mentioned []string   `json:"mentionedUsersIds"`
	NickName  string     `json:"nickName"`
	ReplyTo   string     `json:"replyTo,omitempty"`
}

// Seal returns the body as it goes over the wire, in a message of that id. The error is that of
// text which is not UTF-8.
func (b Body) Seal(messageID, iv string) (string, error) {
	w := wire{Text: b.Text, Type: b.Type, NickName: b.NickName, ReplyTo: b.ReplyTo, Mentioned: b.Mentioned}
	if w.Mentioned == nil {
		w.Mentioned = []string{}
	}
	if b.Media != nil {
		w.Media = b.Media.wire(messageID)
	}
	text, err := seal.JSON(w)
	if err != nil {
		return "", err
	}
	sealed, err := seal.SealStrict(text, messageID, iv)
	if err != nil {
		return "", fmt.Errorf("body: %w", err)
	}
	return sealed, nil
}

// Open opens the body of a message of that id. It reports false for what is not a JSON object that
// was sealed with that id: an XMPP client that does not know the service writes plain text. A field
// of a type that does not fit counts as absent.
func Open(sealed, messageID, iv string) (_ Body, opened bool) {
	text, err := seal.OpenStrict(sealed, messageID, iv)
	if err != nil {
		return Body{}, false
	}
	return Read(text)
}

// Read reads a body that is open.
func Read(text string) (_ Body, isObject bool) {
	var w struct {
		Text      string     `json:"message"`
		Type      string     `json:"message_type"`
		Media     *readMedia `json:"media"`
		Mentioned []string   `json:"mentionedUsersIds"`
		NickName  string     `json:"nickName"`
		ReplyTo   string     `json:"replyTo"`
	}
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		// The other fields have been read by then, unless it is not an object at all.
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) || wrong.Field == "" {
			return Body{}, false
		}
	} else if text[firstLetter(text)] != '{' {
		// null
		return Body{}, false
	}
	b := Body{
		Text: w.Text, Type: w.Type, NickName: w.NickName, ReplyTo: w.ReplyTo, Mentioned: w.Mentioned, JSON: text,
	}
	if w.Media != nil {
		b.Media = w.Media.media()
	}
	return b, true
}

// firstLetter returns where the JSON value begins. The text has one.
func firstLetter(text string) int {
	for i := range len(text) {
		switch text[i] {
		case ' ', '\t', '\r', '\n':
		default:
			return i
		}
	}
	return 0
}
