// Package body writes and reads the bodies of messages: JSON that is sealed with the id of its
// message as the key (docs/protocol.md 14.2). That key travels in the same stanza, so a body is
// hidden from nobody who has the stanza.
package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/lenient"
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
	JSON json.RawMessage
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
	if !b.isUTF8() {
		return "", errUTF8
	}
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

var errUTF8 = errors.New("body: a text is not valid UTF-8")

// isUTF8 reports whether JSON can carry the texts of b as they are.
func (b *Body) isUTF8() bool {
	valid := utf8.ValidString
	for _, id := range b.Mentioned {
		if !valid(id) {
			return false
		}
	}
	m := b.Media
	return valid(b.Text) && valid(b.Type) && valid(b.NickName) && valid(b.ReplyTo) &&
		(m == nil || valid(m.Token) && valid(m.Key) && valid(m.Name) && valid(m.Caption))
}

// Open opens the body of a message of that id. It reports false for what is not a JSON object that
// was sealed with that id: an XMPP client that does not know the service writes plain text. A field
// of a type that does not fit counts as absent, but a number stands for its digits.
func Open(sealed, messageID, iv string) (_ Body, opened bool) {
	text, err := seal.OpenBytes(sealed, messageID, iv)
	if err != nil {
		return Body{}, false
	}
	return Read(text)
}

// Read reads a body that is open, and keeps it.
func Read(text []byte) (_ Body, isObject bool) {
	if trimmed := bytes.TrimLeft(text, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return Body{}, false
	}
	var w struct {
		Text      lenient.Text  `json:"message"`
		Type      lenient.Text  `json:"message_type"`
		Media     fileOf        `json:"media"`
		Mentioned lenient.Texts `json:"mentionedUsersIds"`
		NickName  lenient.Text  `json:"nickName"`
		ReplyTo   lenient.Text  `json:"replyTo"`
	}
	if json.Unmarshal(text, &w) != nil {
		return Body{}, false
	}
	return Body{
		Text: string(w.Text), Type: string(w.Type), NickName: string(w.NickName), ReplyTo: string(w.ReplyTo),
		Mentioned: w.Mentioned, Media: w.Media.media, JSON: text,
	}, true
}
