package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"time"

	"github.com/mirrorfly-go/sdk"
)

const (
	pauseAfterFailure = 3 * time.Second // before the service is asked again
	logoutTimeout     = 3 * time.Second // when the program ends
	pauseForSize      = time.Second     // before a terminal that is too small is looked at again
)

// login shows codes, stays logged in for as long as a session lasts, and shows codes again.
type login struct {
	cfg       sdk.Config
	signalURL string
	// logo is in the middle of the codes. nil: none, which makes codes smaller.
	logo   image.Image
	board  *board
	logger *slog.Logger
	pause  time.Duration
}

// errSettings means that the settings are wrong: there is no use in another attempt.
var errSettings = errors.New("no code can be made")

// run returns when ctx ends, or with errSettings.
func (l *login) run(ctx context.Context) error {
	notice := ""
	for ctx.Err() == nil {
		ending, err := l.round(ctx, notice)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			notice = ending
		case errors.Is(err, errSettings):
			return err
		case errors.Is(err, sdk.ErrQRExpired):
			notice = ""
		default:
			notice = l.fail(ctx, err)
		}
	}
	return nil
}

// fail shows why there was no login, waits a little, and returns the notice for the next code.
func (l *login) fail(ctx context.Context, err error) (notice string) {
	l.logger.WarnContext(ctx, "login", "err", err)
	network := errors.Is(err, sdk.ErrNetwork)
	notice = "The login failed: " + short(err) + "."
	if network {
		notice = "The service cannot be reached: " + short(err) + ". Trying again."
	}
	l.board.show(view{stage: stageProblem, notice: notice})
	timer := time.NewTimer(l.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	if network {
		return "" // the next code shows that the network is back
	}
	return notice
}

// round is one login, from its first code to the end of its session.
func (l *login) round(ctx context.Context, notice string) (ending string, err error) {
	client, err := sdk.New(l.cfg)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSettings, err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan sdk.ConnectionEvent)
	client.OnConnection(func(e sdk.ConnectionEvent) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	})
	username, err := l.await(ctx, client, notice)
	if err != nil {
		return "", err
	}
	return l.stay(ctx, client, events, l.whoIs(ctx, client, username)), nil
}

// await shows codes until a phone has scanned one, and returns whose phone that was.
func (l *login) await(ctx context.Context, client *sdk.Client, notice string) (username string, err error) {
	qr, err := client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: l.signalURL, Logo: l.logo, Browser: "qrlogin"})
	switch {
	case errors.Is(err, sdk.ErrInvalidArgument), errors.Is(err, sdk.ErrInsecure):
		return "", fmt.Errorf("%w: %w", errSettings, err)
	case err != nil:
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = qr.Close() })() // Close always returns nil
	for code := range qr.Codes() {
		l.board.show(view{stage: stageCode, code: code, notice: notice})
	}
	res, err := qr.Wait(ctx)
	return res.Data.Username, err
}

// stay shows who is logged in until the session ends, and returns the notice about its end.
func (l *login) stay(
	ctx context.Context, client *sdk.Client, events <-chan sdk.ConnectionEvent, who *person,
) (ending string) {
	v := view{stage: stageLoggedIn, user: who, logout: make(chan struct{}, 1)}
	l.board.show(v)
	for {
		select {
		case e := <-events:
			if isEnd(e) {
				return "The session was ended by the phone or the service."
			}
			v = l.showConnection(v, e.Status)
		case <-v.logout:
			return l.leave(ctx, client)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
			defer cancel()
			return l.leave(ctx, client)
		}
	}
}

// isEnd reports whether the session has ended for good.
func isEnd(e sdk.ConnectionEvent) bool {
	switch e.Status {
	case sdk.StatusLoggedOut, sdk.StatusAuthFail:
		return true
	case sdk.StatusDisconnected: // replaced by another session, or the account is gone
		var cause *sdk.Error
		return errors.As(e.Err, &cause) && (cause.Condition == "conflict" || cause.Condition == "not-authorized")
	}
	return false
}

// showConnection shows that the connection is lost, and that it is back.
func (l *login) showConnection(v view, status sdk.ConnectionStatus) view {
	notice := "The connection is lost. Trying to reconnect."
	if status == sdk.StatusConnected {
		notice = ""
	}
	if notice != v.notice {
		v.notice = notice
		l.board.show(v)
	}
	return v
}

// leave logs out. If that fails, the session ends with its client all the same.
func (l *login) leave(ctx context.Context, client *sdk.Client) (ending string) {
	if _, err := client.Logout(ctx); err != nil {
		l.logger.WarnContext(ctx, "logout", "err", err)
		return "You are logged out here, but the service could not be told: " + short(err) + "."
	}
	return "You are logged out."
}

// whoIs reads the user's name and picture. Without them the login works as well.
func (l *login) whoIs(ctx context.Context, client *sdk.Client, username string) *person {
	who := &person{name: username}
	profile, err := client.GetUserProfile(ctx, username)
	if err != nil {
		l.logger.WarnContext(ctx, "profile", "err", err)
		return who
	}
	if profile.Data.NickName != "" {
		who.name = profile.Data.NickName
	}
	token := profile.Data.ThumbImage
	if token == "" {
		token = profile.Data.Image
	}
	if token == "" {
		return who
	}
	if who.picture, err = fetchPicture(ctx, client, token); err != nil {
		l.logger.WarnContext(ctx, "picture", "err", err)
	}
	return who
}

func fetchPicture(ctx context.Context, client *sdk.Client, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pictureTimeout)
	defer cancel()
	file := &limitedBuffer{most: maxPictureFile}
	if _, err := client.DownloadMedia(ctx, sdk.MediaFile{FileToken: token}, file); err != nil {
		return nil, err
	}
	return cleanPicture(bytes.NewReader(file.Bytes()))
}

// short is an error in the form for people. The log has all of it.
func short(err error) string {
	var e *sdk.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s (%d)", e.Message, e.StatusCode)
	}
	return "unexpected error"
}
