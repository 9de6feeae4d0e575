package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestStream(t *testing.T) {
	e := launch(t)
	f := e.follow()
	hello := until(f, "welcome", func(welcome) bool { return true })
	require.Equal(t, sdktest.Steps(), hello.Steps)
	require.Equal(t, e.base+"/", hello.Page)
	require.Contains(t, e.stderr.String(), hello.Browser)
	empty := until(f, "state", func(view) bool { return true })
	require.Empty(t, empty.Users)

	alice, bob := newUser(t, e.at), newUser(t, e.at)
	me := login(t, alice, "alice")
	login(t, bob, "bob")
	_, err := alice.BlockUser(t.Context(), "bob@"+e.at.Domain)
	require.NoError(t, err)
	_, err = bob.SendFeedback(t.Context(), "good", "very")
	require.NoError(t, err)
	_, err = bob.ReportUserOrGroup(t.Context(), "alice@"+e.at.Domain, sdk.ChatTypeChat, []sdk.ReportedMessage{
		{MsgID: "m", Message: "rude", MsgType: "text", Timestamp: 1700000000000, PublisherID: "alice"},
	})
	require.NoError(t, err)
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))))
	_, err = alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Name: "<b>Alice</b>", Email: "a@example.com", Status: "here",
		Image: sdk.ImageReader("a.png", "image/png", bytes.NewReader(picture.Bytes()), int64(picture.Len())),
	})
	require.NoError(t, err)
	v := until(f, "state", func(v view) bool { return len(v.Users) == 2 && v.Users[0].Picture != "" })
	require.Equal(t, "<b>Alice</b>", v.Users[0].Name)
	require.Equal(t, "a@example.com", v.Users[0].Email)
	require.Len(t, v.Users[0].Resources, 1)
	require.Equal(t, []string{"bob"}, v.Users[0].Blocked)
	require.Equal(t, "good", v.Feedback[0].Title)
	require.Equal(t, "bob", v.Reports[0].From)

	status, shown, header := e.do("GET", "/_dev/picture/"+v.Users[0].Picture, "")
	require.Equal(t, 200, status)
	require.Equal(t, picture.String(), shown)
	require.Equal(t, "image/png", header.Get("Content-Type"))

	require.NoError(t, bob.Close())
	v = until(f, "state", func(v view) bool { return len(v.Users) == 2 && len(v.Users[1].Resources) == 0 })
	require.Len(t, v.Users[0].Resources, 1, "alice has not gone")

	// A page that is opened now sees what has gone over the wire, without what lets somebody in.
	var all strings.Builder
	late := e.follow()
	until(late, "traffic", func(f fresh) bool {
		for _, one := range f.List {
			raw, err := json.Marshal(one)
			require.NoError(t, err)
			all.Write(raw)
		}
		return strings.Contains(all.String(), `"disconnected"`)
	})
	for _, kind := range []string{`"rest"`, `"xmpp"`, `"session"`, "moderation/feedback", "vcard-temp"} {
		require.Contains(t, all.String(), kind)
	}
	require.NotContains(t, all.String(), me.Password)
}

// A page that searches, or reconnects, goes on where it was.
func TestStreamGoesOn(t *testing.T) {
	e := launch(t)
	f := e.follow()
	require.False(t, until(f, "welcome", func(welcome) bool { return true }).Continued)
	_, failure := e.order("register", `{"user":"alice"}`)
	require.Empty(t, failure)
	login(t, newUser(t, e.at), "bob")
	until(f, "traffic", func(fresh) bool { return true })
	require.NotEmpty(t, f.id)
	for _, g := range []*follower{
		e.followAt("/_dev/events?search=ALI&last=" + f.id),
		e.followAt("/_dev/events?search=ali", "Last-Event-ID", f.id),
	} {
		require.True(t, until(g, "welcome", func(welcome) bool { return true }).Continued)
		v := until(g, "state", func(view) bool { return true })
		require.Len(t, v.Users, 1)
		require.Equal(t, "alice", v.Users[0].ID)
		require.Equal(t, []int{2, 1}, []int{v.Total, v.Connected})
	}
}

func TestOpenPagesAreBounded(t *testing.T) {
	e := launch(t)
	var pages []*follower
	for range maxPages {
		f := e.follow()
		until(f, "welcome", func(welcome) bool { return true })
		pages = append(pages, f)
	}
	status, _, _ := e.do("GET", "/_dev/events", "")
	require.Equal(t, 503, status)
	require.NoError(t, pages[0].body.Close())
	require.Eventually(t, func() bool {
		resp, err := e.http.Get(e.base + "/_dev/events")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	}, patience, minPause)
}

// The program ends without waiting for pages that are open.
func TestEndsWithThePageOpen(t *testing.T) {
	e := launch(t)
	f := e.follow()
	until(f, "state", func(view) bool { return true })
	e.stop()
	_, _ = io.Copy(io.Discard, f.lines) // which ends
}
