package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestRejectedScan(t *testing.T) {
	srv := sdktest.New(t)
	l := newLogin(srv.Config(), srv.SignalURL())
	stop := runLogin(t, l)
	v := awaitStage(t, l.board, stageCode)
	require.Empty(t, v.notice)
	_ = srv.Phone("alice").Reject(t.Context(), v.code.Content()) // the page is what counts
	next := await(t, l.board, func(v view) bool { return v.stage == stageCode && v.notice != "" })
	require.Equal(t, "The login failed: Invalid Credentials (400).", next.notice)
	require.NotEqual(t, v.code.Content(), next.code.Content())
	require.NoError(t, srv.Phone("alice").Scan(t.Context(), next.code.Content()))
	require.Equal(t, "alice", awaitStage(t, l.board, stageLoggedIn).user.name)
	require.NoError(t, stop())
}

func TestServiceComesAndGoes(t *testing.T) {
	srv := sdktest.New(t)
	srv.SetFault(sdktest.StepSignal, sdktest.FaultError)
	cfg := srv.Config()
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: time.Millisecond, MaxDelay: 10 * time.Millisecond}
	l := newLogin(cfg, srv.SignalURL())
	stop := runLogin(t, l)
	notice := awaitStage(t, l.board, stageProblem).notice
	require.Contains(t, notice, "The service cannot be reached: Network Error (599)")
	srv.ClearFaults()
	v := awaitStage(t, l.board, stageCode)
	require.Empty(t, v.notice)

	require.NoError(t, srv.Phone("alice").Scan(t.Context(), v.code.Content()))
	awaitStage(t, l.board, stageLoggedIn)
	srv.SetFault(sdktest.StepUpgrade, sdktest.FaultError)
	srv.DropConnections()
	await(t, l.board, func(v view) bool { return strings.Contains(v.notice, "connection is lost") })
	srv.ClearFaults()
	back := await(t, l.board, func(v view) bool { return v.stage == stageLoggedIn && v.notice == "" })

	srv.FailNext("logout", 403, "no")
	back.logout <- struct{}{}
	notice = awaitStage(t, l.board, stageCode).notice
	require.Contains(t, notice, "logged out here, but the service could not be told: no (500)")
	require.Empty(t, srv.Resources("alice"))
	require.NoError(t, stop())
}

// A profile that cannot be read or a picture that cannot be decoded does not end the login.
func TestDamagedProfiles(t *testing.T) {
	huge := image.NewPaletted(image.Rect(0, 0, maxPictureSide+1, 1), color.Palette{color.Black, color.White})
	var tooWide bytes.Buffer
	require.NoError(t, gif.Encode(&tooWide, huge, nil))
	var small bytes.Buffer
	require.NoError(t, jpeg.Encode(&small, image.NewGray(image.Rect(0, 0, 3, 2)), nil))
	for name, c := range map[string]struct {
		picture []byte
		shown   bool
	}{
		"jpeg":          {small.Bytes(), true},
		"page":          {[]byte("<html><script>alert(1)</script>"), false},
		"cut":           {small.Bytes()[:small.Len()/2], false},
		"too wide":      {tooWide.Bytes(), false},
		"too large":     {make([]byte, maxPictureFile+1), false},
		"jpeg and page": {append(bytes.Clone(small.Bytes()), "<script>alert(1)</script>"...), true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			setProfile(t, srv, "mallory", "<b>Mallory</b>", c.picture)
			r := start(t, srv, settings{})
			page := openTab(t, r)
			page.await(t, stageCode)
			status, text := post(t, r.url+scanPath, "mallory")
			require.Equal(t, http.StatusOK, status, text)
			e := page.await(t, stageLoggedIn)
			require.Equal(t, "<b>Mallory</b>", e.Name)
			require.Equal(t, c.shown, e.Picture)
			status, header, body := get(t, r.url+"/picture.png")
			if !c.shown {
				require.Equal(t, http.StatusNotFound, status)
				return
			}
			require.Equal(t, "image/png", header.Get("Content-Type"))
			require.NotContains(t, body, "script")
		})
	}
	t.Run("no profile", func(t *testing.T) {
		srv := sdktest.New(t)
		r := start(t, srv, settings{})
		page := openTab(t, r)
		page.await(t, stageCode)
		srv.FailNext("contacts/vcard", 403, "boom")
		post(t, r.url+scanPath, "dave")
		require.Equal(t, "dave", page.await(t, stageLoggedIn).Name)
		r.logs.await(t, "boom")
	})
}

// newLogin is a login without logo and log that hardly pauses.
func newLogin(cfg sdk.Config, signalURL string) *login {
	return &login{
		cfg: cfg, signalURL: signalURL,
		board: newBoard(), logger: slog.New(slog.DiscardHandler), pause: time.Millisecond,
	}
}

func runLogin(t *testing.T, l *login) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }() // ends with stop, or with the test
	return func() error { cancel(); return patient.Receive(t, ended) }
}

func awaitStage(t *testing.T, b *board, want stage) view {
	t.Helper()
	return await(t, b, func(v view) bool { return v.stage == want })
}

func await(t *testing.T, b *board, want func(view) bool) view {
	t.Helper()
	limit := time.After(patience)
	for {
		v, changed := b.look()
		if want(v) {
			return v
		}
		select {
		case <-changed:
		case <-limit:
			require.FailNow(t, "never shown", "last: %s %q", v.stage, v.notice)
		}
	}
}
