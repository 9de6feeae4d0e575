package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// tour is the walk through the API, with two users, Alice and Bob.
type tour struct {
	*printer
	*service
	alice, bob       *sdk.Client
	aliceJID, bobJID string
	// what the listeners were told
	events chan string
	// made are the accounts that exist because of the tour.
	made []registered
}

func (t *tour) close() {
	for _, client := range []*sdk.Client{t.alice, t.bob} {
		if client != nil {
			_ = client.Close() // the tour is over: nothing depends on it
		}
	}
}

func (t *tour) walk(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		t.logIn, t.profiles, t.lastSeen, t.messages, t.blocking, t.media, t.moderation, t.leave,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// do makes one call, prints it, and returns what came back. show makes a text of that; nil: the
// message of the Result is printed.
func do[T any](t *tour, name string, call func() (sdk.Result[T], error), show func(T) string) (T, error) {
	start := time.Now()
	res, err := call()
	what := res.Message
	if err == nil && show != nil {
		what = show(res.Data)
	}
	t.call(name, res.StatusCode, time.Since(start), what)
	return res.Data, err
}

// await waits until a listener was told what is wanted, and prints it. On a real service two new
// users may not be contacts of each other, and then nothing is told.
func (t *tour) await(ctx context.Context, listener, want string) error {
	limit := 5 * time.Second
	if t.isTest {
		limit = time.Minute // there it must come
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		select {
		case got := <-t.events:
			if strings.Contains(got, want) {
				t.event(listener, got)
				return nil
			}
		case <-ctx.Done():
			if !t.isTest && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.event(listener, "was not told: these users may be no contacts of each other")
				return nil
			}
			return fmt.Errorf("%s was not told %q in time: %w", listener, want, ctx.Err())
		}
	}
}

func (t *tour) tell(format string, args ...any) { t.events <- fmt.Sprintf(format, args...) }

func (t *tour) logIn(ctx context.Context) (err error) {
	t.heading("Two users register and connect")
	if t.alice, t.aliceJID, err = t.user(ctx, "alice"); err != nil {
		return err
	}
	t.alice.OnPresence(func(e sdk.PresenceEvent) { t.tell("%s is %s", e.FromUserJID, e.Status) })
	t.alice.OnUserProfile(func(p sdk.Profile) { t.tell("%s: %q, picture %s", p.UserID, p.NickName, short(p.Image)) })
	t.alice.OnUserDeleted(func(e sdk.UserDeletedEvent) { t.tell("%s is gone", e.UserJID) })
	t.alice.OnTyping(func(e sdk.TypingEvent) { t.tell("%s is typing: %t", e.FromUserJID, e.Typing) })
	t.alice.OnMessage(func(m sdk.Message) { t.tell("%s says %q", m.FromUserJID, m.Text) })
	t.alice.OnMessageEdited(func(m sdk.Message) { t.tell("%s now says %q", m.FromUserJID, m.Text) })
	t.alice.OnConnection(func(e sdk.ConnectionEvent) { t.tell("%s", e.Status) })
	if t.bob, t.bobJID, err = t.user(ctx, "bob"); err != nil {
		return err
	}
	t.bob.OnBlock(func(e sdk.BlockEvent) {
		verb := map[bool]string{true: "blocked", false: "unblocked"}[e.Blocked]
		t.tell("%s has %s bob", e.UserID, verb)
	})
	t.bob.OnMessageStatus(func(e sdk.MessageStatusEvent) { t.tell("%s: %s", short(e.MessageID), e.Status) })
	if err := t.await(ctx, "alice.OnPresence", "online"); err != nil {
		return err
	}
	_, err = do(t, "alice.GetCurrentUserJID()", t.alice.GetCurrentUserJID, func(jid string) string { return jid })
	return err
}

// user registers and connects one user.
func (t *tour) user(ctx context.Context, name string) (*sdk.Client, string, error) {
	id := name
	if t.suffix != "" {
		id = "quickstart-" + name + t.suffix
	}
	client, err := sdk.New(t.cfg)
	if err != nil {
		return nil, "", err
	}
	credentials, err := do(t, name+".Register("+id+")", func() (sdk.Result[sdk.Credentials], error) {
		return client.Register(ctx, id)
	}, func(c sdk.Credentials) string { return "user " + c.UserJID })
	if err != nil {
		return client, "", err
	}
	account := registered{name, client, credentials}
	t.made = append(t.made, account)
	return client, credentials.UserJID, t.connect(ctx, account)
}

func (t *tour) profiles(ctx context.Context) error {
	t.heading("Bob sets a profile with a picture, and Alice sees it at once")
	picture, err := drawPicture()
	if err != nil {
		return err
	}
	_, err = do(t, "bob.SetUserProfile(name, picture, ...)", func() (sdk.Result[sdk.ProfileImage], error) {
		return t.bob.SetUserProfile(ctx, sdk.ProfileUpdate{
			Name: "Bob", Email: "bob@example.com", MobileNumber: "15550100", Status: "Hello from Go",
			Image: sdk.ImageReader("bob.png", "image/png", bytes.NewReader(picture), int64(len(picture))),
		})
	}, func(image sdk.ProfileImage) string { return "picture stored as " + short(image.FileToken) })
	if err != nil {
		return err
	}
	if err := t.await(ctx, "alice.OnUserProfile", `"Bob"`); err != nil {
		return err
	}
	profile, err := do(t, "alice.GetUserProfile(bob)", func() (sdk.Result[sdk.Profile], error) {
		return t.alice.GetUserProfile(ctx, t.bobJID)
	}, func(p sdk.Profile) string { return fmt.Sprintf("%s, %s, %q", p.NickName, p.Email, p.Status) })
	if err != nil {
		return err
	}
	var got bytes.Buffer
	_, err = do(t, "alice.DownloadMedia(profile.Image)", func() (sdk.Result[sdk.None], error) {
		return t.alice.DownloadMedia(ctx, sdk.MediaFile{FileToken: profile.Image}, &got)
	}, func(sdk.None) string { return fmt.Sprintf("%d bytes of PNG", got.Len()) })
	if err == nil && !bytes.Equal(got.Bytes(), picture) {
		err = fmt.Errorf("the picture that arrived is not the one that was sent")
	}
	return err
}

func (t *tour) lastSeen(ctx context.Context) error {
	t.heading("Alice asks when Bob was last seen")
	_, err := do(t, "alice.GetLastSeen(bob)", func() (sdk.Result[sdk.LastSeen], error) {
		return t.alice.GetLastSeen(ctx, t.bobJID)
	}, func(seen sdk.LastSeen) string {
		if seen.Seconds == 0 {
			return "online now"
		}
		return fmt.Sprintf("%d seconds ago", seen.Seconds)
	})
	return err
}

func (t *tour) blocking(ctx context.Context) error {
	t.heading("Alice blocks Bob, both look at their lists, Alice unblocks him")
	_, err := do(t, "alice.BlockUser(bob)", func() (sdk.Result[sdk.None], error) {
		return t.alice.BlockUser(ctx, t.bobJID)
	}, nil)
	if err != nil {
		return err
	}
	if err := t.await(ctx, "bob.OnBlock", "has blocked"); err != nil {
		return err
	}
	list := func(users []sdk.BlockedUser) string { return fmt.Sprint(users) }
	_, err = do(t, "alice.GetUsersIBlocked()", func() (sdk.Result[[]sdk.BlockedUser], error) {
		return t.alice.GetUsersIBlocked(ctx)
	}, list)
	if err != nil {
		return err
	}
	_, err = do(t, "bob.GetUsersWhoBlockedMe()", func() (sdk.Result[[]sdk.BlockedUser], error) {
		return t.bob.GetUsersWhoBlockedMe(ctx)
	}, list)
	if err != nil {
		return err
	}
	_, err = do(t, "alice.UnblockUser(bob)", func() (sdk.Result[sdk.None], error) {
		return t.alice.UnblockUser(ctx, t.bobJID)
	}, nil)
	if err != nil {
		return err
	}
	return t.await(ctx, "bob.OnBlock", "has unblocked")
}

func (t *tour) media(ctx context.Context) error {
	t.heading("Alice sends an encrypted file, Bob reads it")
	_, err := do(t, "alice.SetMediaEncryption(true)", func() (sdk.Result[sdk.None], error) {
		return t.alice.SetMediaEncryption(true)
	}, nil)
	if err != nil {
		return err
	}
	content := strings.Repeat("a rather long file. ", 800_000) // it is sent in several parts
	file, err := do(t, "alice.UploadMedia(report.txt)", func() (sdk.Result[sdk.MediaFile], error) {
		return t.alice.UploadMedia(ctx, sdk.MediaUpload{
			To: t.bobJID, ChatType: sdk.ChatTypeChat, MessageID: "quickstart-1", Name: "report.txt",
			Reader: strings.NewReader(content), Size: int64(len(content)),
			Progress: func(sent, total int64) { t.progress("report.txt", sent, total) },
		})
	}, func(f sdk.MediaFile) string {
		return fmt.Sprintf("%s, %d bytes, encrypted: %t", short(f.FileToken), f.Size, f.FileKey != "")
	})
	if err != nil {
		return err
	}
	var got bytes.Buffer
	_, err = do(t, "bob.DownloadMedia(report.txt)", func() (sdk.Result[sdk.None], error) {
		return t.bob.DownloadMedia(ctx, file, &got)
	}, func(sdk.None) string {
		return fmt.Sprintf("%d bytes, the same: %t", got.Len(), got.String() == content)
	})
	if err == nil && got.String() != content {
		err = fmt.Errorf("the file that arrived is not the one that was sent")
	}
	return err
}

func (t *tour) moderation(ctx context.Context) error {
	t.heading("Alice reports a message and sends feedback")
	_, err := do(t, "alice.ReportUserOrGroup(bob, messages)", func() (sdk.Result[sdk.None], error) {
		return t.alice.ReportUserOrGroup(ctx, t.bobJID, sdk.ChatTypeChat, []sdk.ReportedMessage{{
			MsgID: "1", Message: "buy now", MsgType: "text", Timestamp: time.Now().UnixMilli(), PublisherID: t.bobJID,
		}})
	}, nil)
	if err != nil {
		return err
	}
	_, err = do(t, "alice.SendFeedback(title, description)", func() (sdk.Result[sdk.None], error) {
		return t.alice.SendFeedback(ctx, "Quickstart", "It works")
	}, nil)
	return err
}

func (t *tour) leave(ctx context.Context) error {
	t.heading("Bob deletes the account, Alice logs out")
	_, err := do(t, "bob.DeleteMyAccount(reason)", func() (sdk.Result[sdk.None], error) {
		return t.bob.DeleteMyAccount(ctx, "the tour is over", "")
	}, nil)
	if err != nil {
		return err
	}
	t.forget("bob")
	if err := t.await(ctx, "alice.OnUserDeleted", "is gone"); err != nil {
		return err
	}
	_, err = do(t, "alice.Logout()", func() (sdk.Result[sdk.None], error) { return t.alice.Logout(ctx) }, nil)
	if err != nil {
		return err
	}
	return t.await(ctx, "alice.OnConnection", string(sdk.StatusDisconnected))
}

// drawPicture makes a profile picture: a disc on a coloured ground.
func drawPicture() ([]byte, error) {
	const size = 128
	picture := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			dx, dy := x-size/2, y-size/2
			c := color.RGBA{R: 0x2d, G: 0x6c, B: 0xdf, A: 0xff}
			if dx*dx+dy*dy < size*size/9 {
				c = color.RGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
			}
			picture.SetRGBA(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// short cuts tokens, which are long and tell people nothing.
func short(token string) string {
	const most = 24
	if len(token) > most {
		return token[:most] + "..."
	}
	return token
}
