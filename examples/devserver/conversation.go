package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxLines = 100     // messages of a conversation that are shown
	maxLine  = 4 << 10 // bytes of a text that are shown
)

// conversation is what a chat window shows: what the emulator knows of it, as it is now.
type conversation struct {
	As   string `json:"as"`
	With string `json:"with"`
	// State is that of the connection of As.
	State string `json:"state"`
	// Known: With is registered.
	Known bool `json:"known"`
	// Online: With is connected.
	Online bool `json:"online"`
	// Typing: With is writing to As.
	Typing bool `json:"typing"`
	// More is how many older messages are not shown.
	More  int    `json:"more"`
	Lines []line `json:"lines"`
}

// line is a message. All texts in it are what a user has sent.
type line struct {
	ID   string    `json:"id"`
	Own  bool      `json:"own"`
	Time time.Time `json:"time"`
	Type string    `json:"type"`
	Text string    `json:"text"`
	// Left is how many bytes were cut off the end of Text.
	Left    int    `json:"left"`
	ReplyTo string `json:"replyTo"`
	// File is set when there is one to download.
	File     *file                 `json:"file"`
	Edited   bool                  `json:"edited"`
	Recalled bool                  `json:"recalled"`
	Status   sdktest.MessageStatus `json:"status"`
	// Refused is why it was refused after the server had taken it. Empty: it was not.
	Refused string `json:"refused"`
}

type file struct {
	Name    string `json:"name"`
	Caption string `json:"caption"`

	// token and key are for DownloadMedia, as large is.
	token, key string
	large      bool
}

func (p *page) converse(s *seat, with string) conversation {
	c := conversation{
		As: s.user, With: with, State: string(s.State()), Known: p.knows(with) == nil,
		Online: len(p.srv.Resources(with)) > 0, Typing: s.isTyping(p.jid(with)), Lines: []line{},
	}
	all := p.messages(s.user, with)
	c.More = max(0, len(all)-maxLines)
	refused := p.chats.refusalsOf(s.user, p.jid(with))
	for _, m := range all[c.More:] {
		l := lineOf(m, s.user)
		if l.Own {
			l.Refused = refused[l.ID]
		}
		c.Lines = append(c.Lines, l)
	}
	return c
}

// messages are those of two users, oldest first.
func (p *page) messages(user, other string) []sdktest.Message {
	return slices.DeleteFunc(p.srv.Messages(user), func(m sdktest.Message) bool {
		return m.From != other && m.To != other
	})
}

func lineOf(m sdktest.Message, as string) line {
	l := line{
		ID: m.ID, Own: m.From == as, Time: m.Time, Type: m.Type, ReplyTo: m.ReplyTo, Edited: m.Edited,
		Recalled: m.Recalled, Status: m.Status,
	}
	if m.Recalled {
		return l
	}
	l.Text, l.Left = shorten(m.Text, maxLine)
	l.File = fileIn(m.Body)
	return l
}

// fileOf is the file of a message between two users. nil: there is none.
func (p *page) fileOf(user, other, from, id string) *file {
	for _, m := range p.messages(user, other) {
		if m.From == from && m.ID == id && !m.Recalled {
			return fileIn(m.Body)
		}
	}
	return nil
}

// fileIn reads what SDKs write about a file into the body of a message, as far as the page needs
// it. Those of mobile apps have other names.
func fileIn(body json.RawMessage) *file {
	var b struct {
		Media *struct {
			FileName  string `json:"fileName"`
			Caption   string `json:"caption"`
			Token     string `json:"file_url"`
			TokenToo  string `json:"fileUrl"`
			Key       string `json:"file_key"`
			KeyToo    string `json:"fileKey"`
			LargeFile bool   `json:"isLargeFile"`
		} `json:"media"`
	}
	if json.Unmarshal(body, &b) != nil || b.Media == nil {
		return nil
	}
	f := &file{token: cmp.Or(b.Media.Token, b.Media.TokenToo), key: cmp.Or(b.Media.Key, b.Media.KeyToo)}
	f.large = b.Media.LargeFile
	f.Name, _ = shorten(b.Media.FileName, maxLine)
	f.Caption, _ = shorten(b.Media.Caption, maxLine)
	return f
}
