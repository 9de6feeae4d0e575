package main

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxText = 16 << 10 // bytes of traffic.Text
	hidden  = "•••"    // stands for what is not shown
)

// traffic is an sdktest.Traffic as the page shows it: without passwords, tokens and what is sealed
// with the licence key.
type traffic struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	ToClient bool      `json:"toClient"`
	User     string    `json:"user,omitempty"`
	Resource string    `json:"resource,omitempty"`
	Method   string    `json:"method,omitempty"`
	Path     string    `json:"path,omitempty"`
	Query    string    `json:"query,omitempty"`
	Status   int       `json:"status,omitempty"`
	// Text is in parentheses where it describes what is not shown.
	Text string `json:"text,omitempty"`
	// Left is how many bytes were cut off the end of Text.
	Left int `json:"left,omitempty"`
}

// shown is what the page shows of t.
func shown(t sdktest.Traffic) traffic {
	out := traffic{
		Time: t.Time, Kind: t.Kind, ToClient: t.ToClient, User: t.User, Resource: t.Resource,
		Method: t.Method, Path: t.Path, Query: redactQuery(t.Query), Status: t.Status,
	}
	out.Text, out.Left = shorten(shownText(t), maxText)
	return out
}

func shownText(t sdktest.Traffic) string {
	switch {
	case t.Kind == "rest" && t.ToClient:
		return shownAnswer(t)
	case t.Kind == "rest":
		return redactJSON(t.Text)
	case t.Kind == "xmpp" && !t.ToClient && t.User == "":
		return redactLogin(t.Text)
	case t.Kind == "xmpp":
		return redactXML(t.Text)
	case t.Kind == "signal" && t.ToClient:
		return redactEvent(t.Text)
	case t.Kind == "signal":
		return redactJSON(t.Text)
	}
	return t.Text
}

func shownAnswer(t sdktest.Traffic) string {
	switch {
	case t.Status == 0:
		return "(no answer)"
	case t.Size == 0:
		return ""
	case json.Valid([]byte(t.Text)):
		return redactJSON(t.Text)
	}
	return fmt.Sprintf("(%d bytes of %s)", t.Size, t.ContentType)
}

// shorten cuts a text that has more than most bytes, between two characters.
func shorten(text string, most int) (_ string, left int) {
	if len(text) <= most {
		return text, 0
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end], len(text) - end
}
