package sdk

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Profile is what a user shows of himself.
type Profile struct {
	// UserID is the local part of UserJID.
	UserID string `json:"userId"`
	// UserJID is the bare JID.
	UserJID string `json:"userJid"`
	// FromUser is the same as UserID.
	FromUser string `json:"fromUser"`
	// NickName is the name that is shown.
	NickName string `json:"nickName"`
	// Email may be empty, as all that follows.
	Email string `json:"email"`
	// MobileNumber is as the user wrote it.
	MobileNumber string `json:"mobileNumber"`
	// Status is a line of text.
	Status string `json:"status"`
	// Image is a URL, which its owner has chosen, or a token: DownloadMedia takes both.
	Image string `json:"image"`
	// ThumbImage is a smaller Image. It may be empty where Image is not.
	ThumbImage string `json:"thumbImage"`
	// IsAdminBlocked is told by GetUserProfile, GetUsersList and GetFriendsList alone.
	IsAdminBlocked bool `json:"isAdminBlocked"`
}

// ProfileUpdate is a whole profile: SetUserProfile replaces all of it, so fill in what shall stay.
// The limits are those that the service documents. It decides what becomes of more: they are not
// checked here, but sdktest refuses it.
type ProfileUpdate struct {
	// Name is the name that is shown, at most 30 characters.
	Name string
	// Image is ImageURL, ImageOf, ImageFile or ImageReader; the zero value: no picture.
	Image Image
	// Status is a line of text.
	Status string
	// MobileNumber has at most 15 characters; which ones is not checked.
	MobileNumber string
	// Email is required. It is what the JavaScript SDK permits (protocol.md 1.7): before the @
	// letters, digits and _-!#$%&+ with single dots between them, after it one name of letters,
	// digits and -, then one or more endings of 2 to 6 letters, as in ann@example.co.uk. So
	// ann@mail.example.com, ann@example.technology and o'neil@example.com are ErrInvalidArgument.
	Email string
}

// Image is a profile picture: ImageURL, ImageOf, ImageFile or ImageReader. The zero value is no
// picture.
type Image struct {
	stored ProfileImage            // what the service need not store
	open   func() (picture, error) // what it has to; nil: nothing
}

// picture is one to upload. It is closed afterwards.
type picture struct {
	rest.File
	close func() error
}

// ImageURL is a picture that the service need not store: a URL of at most 2,048 characters, or the
// token of an earlier upload. It is the thumbnail, too.
func ImageURL(url string) Image {
	return Image{stored: ProfileImage{FileToken: url, FileTokenThumb: url}}
}

// ImageOf is the picture of a profile as it is, with its thumbnail: SetUserProfile replaces a whole
// profile, so this is how one that was read is written back with its picture.
func ImageOf(p Profile) Image {
	return Image{stored: ProfileImage{FileToken: p.Image, FileTokenThumb: p.ThumbImage}}
}

// ImageFile is a picture, a PNG or a JPEG, that SetUserProfile reads from a file and uploads. It is
// opened then, and under its context: a mount that hangs does not hold up SetUserProfile, only a
// goroutine until the mount answers. Only a regular file is read.
func ImageFile(path string) Image {
	return Image{open: func() (picture, error) {
		info, err := os.Stat(path) // first: to open a named pipe waits for whoever writes to it
		if err == nil && !info.Mode().IsRegular() {
			err = &os.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
		}
		if err != nil {
			return picture{}, err
		}
		f, err := os.Open(path)
		if err != nil {
			return picture{}, err
		}
		if info, err = f.Stat(); err != nil {
			return picture{}, errors.Join(err, f.Close())
		}
		return picture{rest.File{
			Name: filepath.Base(path), ContentType: mime.TypeByExtension(filepath.Ext(path)),
			Reader: f, Size: info.Size(),
		}, f.Close}, nil
	}}
}

// ImageReader is a picture of size bytes, a PNG or a JPEG, that SetUserProfile reads from r and
// uploads under name. An empty contentType is told from the content. When r is an io.Seeker the
// upload can be repeated after an expired token.
func ImageReader(name, contentType string, r io.Reader, size int64) Image {
	return Image{open: func() (picture, error) {
		if r == nil || size < 0 {
			return picture{}, errors.New("ImageReader was given no reader, or a negative size")
		}
		f := rest.File{Name: name, ContentType: contentType, Reader: r, Size: size}
		return picture{f, func() error { return nil }}, nil
	}}
}

// ProfileImage are the tokens of the picture that SetUserProfile has set: those of the upload, or
// the given URL twice.
type ProfileImage struct {
	FileToken      string `json:"fileToken"`      // for DownloadMedia and ImageURL
	FileTokenThumb string `json:"fileTokenThumb"` // empty when the service has made no thumbnail
}

// GetUserProfile reads a user's profile (protocol.md 5.1). userJID is a JID or the bare user id. It
// also goes to OnUserProfile. The service has no call for many: read them at the same time, up to
// 32 calls reuse their connections.
//
// Errors: 400 ErrInvalidArgument for an empty userJID; 400 ErrUserNotFound; 400 ErrNotRegistered
// before Connect; 500 with the service's text; ErrNetwork.
func (c *Client) GetUserProfile(ctx context.Context, userJID string) (Result[Profile], error) {
	return run(ctx, c, "GetUserProfile", success, func(ctx context.Context) (Profile, error) {
		l, err := c.registered()
		if err != nil {
			return Profile{}, err
		}
		id := localPart(userJID)
		if err := validate(required(argument{"userJID", "userId"}, id)); err != nil {
			return Profile{}, err
		}
		found, err := c.rest.Profile(ctx, id)
		if err != nil {
			return Profile{}, in(stepRequest, err)
		}
		p := c.openProfile(l.account(), id, found)
		l.learnProfile(p)
		emit(&c.listeners, &c.listeners.userProfile, p)
		return p, nil
	})
}

// openProfile unseals what the service has (protocol.md 2.5), under the id that the service names:
// that is the one under which it was sealed, in whatever case it was asked for.
func (c *Client) openProfile(me account, asked string, found *rest.Profile) Profile {
	iv := c.profileIV(me)
	id := cmp.Or(found.UserID, localPart(found.UserJID), strings.ToLower(asked))
	return Profile{
		UserID:         id,
		UserJID:        cmp.Or(found.UserJID, me.jidOf(id)),
		FromUser:       id,
		NickName:       seal.Open(found.NickName, id, iv),
		Email:          seal.Open(found.Email, id, iv),
		MobileNumber:   seal.Open(found.MobileNumber, id, iv),
		Status:         found.Status,
		Image:          found.Image,
		ThumbImage:     found.ThumbImage,
		IsAdminBlocked: found.IsAdminBlocked,
	}
}

// openVCard is openProfile for a pushed profile (protocol.md 6.2).
func (c *Client) openVCard(me account, push xmpp.VCardPush) Profile {
	v := push.VCard
	return c.openProfile(me, push.From.Local, &rest.Profile{
		UserJID: push.From.Bare().String(), NickName: v.NickName, Email: v.Email, MobileNumber: v.MobileNumber,
		Status: v.Status, Image: v.Image, ThumbImage: v.ThumbImage,
	})
}

// profileIV is the service's, or the licence key (protocol.md 1.1, 2.2).
func (c *Client) profileIV(me account) string {
	return cmp.Or(me.service().IVProfile, c.cfg.LicenseKey)
}

// SetUserProfile replaces the own profile (protocol.md 5.2): a field that is empty is empty
// afterwards. A picture from a file or a reader is uploaded first, never encrypted; unless it has a
// token then, the profile stays as it is. The service pushes the new profile: OnUserProfile tells
// it to the own devices and to contacts, who by the service's documentation are those with whom a
// message was exchanged (protocol.md 6.2).
//
// The service documents limits, see ProfileUpdate, and png, jpeg and jpg as the types of a picture,
// which nothing here checks.
//
// Errors: 400 ErrInvalidArgument for a missing or malformed Email, for text that is not UTF-8, for
// control characters in Status or in a picture's URL, for a picture that cannot be read, and for a
// profile that takes more than 1 MiB on the wire; 400 ErrNotRegistered, also when the login ends
// meanwhile; 500 ErrNotConnected; 500 "Request Failed" with a Condition; 500 when a file cannot be
// opened for now, as when no file descriptors are left; the upload's status with "Media Upload
// Failed".
func (c *Client) SetUserProfile(ctx context.Context, p ProfileUpdate) (Result[ProfileImage], error) {
	return run(ctx, c, "SetUserProfile", success, func(ctx context.Context) (ProfileImage, error) {
		l, err := c.registered()
		if err != nil {
			return ProfileImage{}, err
		}
		if err := checkProfile(p); err != nil {
			return ProfileImage{}, err
		}
		me := l.account()
		card, err := c.sealedVCard(me, p)
		if err != nil {
			return ProfileImage{}, err
		}
		if !card.Fits() {
			return ProfileImage{}, p.tooLarge()
		}
		if _, err := l.open(); err != nil {
			return ProfileImage{}, err
		}
		image, err := c.storeImage(rest.ForLogin(ctx, me.number), me, p.Image)
		if err != nil {
			return ProfileImage{}, err
		}
		card.Image, card.ThumbImage = image.FileToken, image.FileTokenThumb
		s, err := l.open() // the upload may have taken long
		if err != nil {
			return ProfileImage{}, err
		}
		return image, s.SetVCard(ctx, card)
	})
}

func checkProfile(p ProfileUpdate) error {
	email := argument{"Email", "email"}
	return validate(
		isXMLText("Image", p.Image.stored.FileTokenThumb), isXMLText("Image", p.Image.stored.FileToken),
		isXMLText("Status", p.Status), isUTF8("MobileNumber", p.MobileNumber), isUTF8("Name", p.Name),
		emailFormat(email, p.Email), required(email, p.Email),
	)
}

// tooLarge names the field that makes p larger than a stanza may be.
func (p ProfileUpdate) tooLarge() error {
	name, most := "Name", len(p.Name)
	for _, field := range []struct{ name, value string }{
		{"Image", p.Image.stored.FileToken},
		{"Image", p.Image.stored.FileTokenThumb},
		{"Status", p.Status},
		{"MobileNumber", p.MobileNumber},
		{"Email", p.Email},
	} {
		if len(field.value) > most {
			name, most = field.name, len(field.value)
		}
	}
	return invalid(name, "%s is too large, it has %d bytes: a whole profile has 1 MiB on the wire", name, most)
}

// sealedVCard is p on the wire, with a picture that is at the service already. Where sealing fails
// the JavaScript SDK writes the text as it is; here it stays at home.
func (c *Client) sealedVCard(me account, p ProfileUpdate) (xmpp.VCard, error) {
	card := xmpp.VCard{Status: p.Status, Image: p.Image.stored.FileToken, ThumbImage: p.Image.stored.FileTokenThumb}
	for _, field := range []struct {
		sealed *string
		text   string
	}{{&card.NickName, p.Name}, {&card.Email, p.Email}, {&card.MobileNumber, p.MobileNumber}} {
		if field.text == "" { // stays empty (protocol.md 5.2)
			continue
		}
		sealed, err := seal.SealStrict(field.text, me.id(), c.profileIV(me))
		if err != nil {
			return xmpp.VCard{}, because(notSent(http.StatusInternalServerError, nil, "Profile cannot be sealed"), err)
		}
		*field.sealed = sealed
	}
	return card, nil
}

// storeImage uploads a picture that is not at the service yet.
func (c *Client) storeImage(ctx context.Context, me account, image Image) (ProfileImage, error) {
	if image.open == nil {
		return image.stored, nil
	}
	file, err := image.opened(ctx)
	if err != nil {
		return ProfileImage{}, err
	}
	// it was only read: whether it closes changes nothing
	defer func() { _ = rest.Within(ctx, file.close) }()
	done, err := c.rest.UploadProfileImage(ctx, me.id(), file.File)
	return ProfileImage{FileToken: done.Token, FileTokenThumb: done.Thumb}, err
}

// opened opens a picture unless ctx ends first, as it may where a mount hangs. What opens after
// that is closed at once.
func (i Image) opened(ctx context.Context) (picture, error) {
	type result struct {
		file picture
		err  error
	}
	opened := make(chan result)
	go func() { // ends when the file system has answered
		file, err := i.open()
		select {
		case opened <- result{file, err}:
		case <-ctx.Done():
			if err == nil {
				_ = file.close()
			}
		}
	}()
	select {
	case r := <-opened:
		return r.file, unreadable(r.err)
	case <-ctx.Done():
		return picture{}, unsent.Mark(ctx.Err())
	}
}

// unreadable explains why a picture cannot be opened. nil stays nil.
func unreadable(err error) error {
	switch {
	case err == nil:
		return nil
	case slices.ContainsFunc(shortages, func(e error) bool { return errors.Is(err, e) }):
		return because(notSent(http.StatusInternalServerError, nil, "image cannot be read for now"), err)
	}
	return invalid("Image", "image cannot be read: %v", err)
}

// shortages are what the machine is short of, or a device that fails: nothing that the caller has
// got wrong.
var shortages = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT}

// LastSeen says when a user was last active.
type LastSeen struct {
	FromUserJID string `json:"fromUserJid"` // who was asked about
	Seconds     int64  `json:"seconds"`     // ago; 0: online now
}

// Time is the moment of the last activity, counted back from now.
func (l LastSeen) Time(now time.Time) time.Time {
	const most = int64(math.MaxInt64 / time.Second) // what a Duration can hold, 292 years
	return now.Add(-time.Duration(min(l.Seconds, most)) * time.Second)
}

// GetLastSeen asks when the user was last active (protocol.md 5.3, XEP-0012). Users of the mobile
// apps can hide that ("hide last seen"): the answer is then not available to others. In which form
// the service says so is not documented, so expect an error or a number that means nothing. The
// service's own apps do not ask about users who are deleted, blocked by the administrator, or
// blocked either way.
//
// userJID is a bare JID or the bare user id.
//
// Errors: 400 ErrInvalidArgument for another userJID; 400 ErrNotRegistered; 500 ErrNotConnected;
// 500 "Request Failed" with a Condition, e.g. "forbidden" when that user has blocked this one.
func (c *Client) GetLastSeen(ctx context.Context, userJID string) (Result[LastSeen], error) {
	return ask(ctx, c, "GetLastSeen", func(ctx context.Context) (LastSeen, error) {
		s, jid, err := c.aboutUser(userJID)
		if err != nil {
			return LastSeen{}, err
		}
		from, seconds, err := s.LastActivity(ctx, jid)
		return LastSeen{FromUserJID: from, Seconds: seconds}, err
	})
}

// aboutUser checks, in the order of protocol.md 1.6, what an XMPP method about one user needs. That
// user is named by JID or by id.
func (c *Client) aboutUser(user string) (s *xmpp.Session, jid string, err error) {
	l, err := c.registered()
	if err != nil {
		return nil, "", err
	}
	me, a := l.account(), argument{"userJID", "toUserJid"}
	jid = me.named(user)
	if err := validate(jidFormat(a, jid), required(a, user)); err != nil {
		return nil, "", err
	}
	s, err = l.open()
	return s, jid, err
}
