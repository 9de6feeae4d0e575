package sdk

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/body"
	"github.com/mirrorfly-go/sdk/internal/media"
	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

// MediaMessage is a file to send.
type MediaMessage struct {
	// Type is MessageTypeImage, MessageTypeVideo, MessageTypeAudio or MessageTypeFile.
	Type MessageType
	// Name is the file name.
	Name string
	// ContentType is told from the content when it is empty.
	ContentType string
	// Reader delivers the content, as that of MediaUpload does.
	Reader io.Reader
	// Size is the number of bytes that Reader delivers, no more and no less.
	Size int64
	// Caption is a text below it; it may be empty.
	Caption string
	// Duration is that of sound and film.
	Duration time.Duration
	// Thumbnail is a small JPEG or PNG, which travels in the message; it may be empty.
	Thumbnail []byte
	// Width is that of a picture or a film in pixels; 0: not known. Mobile apps lay out with it.
	Width int
	// Height is likewise.
	Height int
	// Progress is called in the goroutine of SendMediaFileMessage, with bytes of the file that have
	// arrived. It may be nil.
	Progress func(sent, total int64)
}

// mediaFeatures are the types of files, and the flag of the plan that each needs (protocol.md
// 14.5).
var mediaFeatures = map[MessageType]func(Features) bool{
	MessageTypeImage: func(f Features) bool { return f.ImageAttachment },
	MessageTypeVideo: func(f Features) bool { return f.VideoAttachment },
	MessageTypeAudio: func(f Features) bool { return f.AudioAttachment },
	MessageTypeFile:  func(f Features) bool { return f.DocumentAttachment },
}

// SendMediaFileMessage uploads a file as UploadMedia does, encrypted if SetMediaEncryption says so,
// and sends a message that carries it (protocol.md 14.5). Config.RequestTimeout bounds how long the
// transfer may stand still, and how long the message may take after it.
//
// The Outcome of an error speaks of the message: while the file is uploaded, nothing is sent.
//
// Errors: 403 ErrFeatureUnavailable, checked after toJID and Type; those of UploadMedia and of
// SendTextMessage. A user may send files to itself.
func (c *Client) SendMediaFileMessage(
	ctx context.Context, toJID string, m MediaMessage, opts ...MessageOption,
) (Result[SentMessage], error) {
	const op = "SendMediaFileMessage"
	return unbounded(ctx, c, op, success, func(ctx context.Context) (SentMessage, error) {
		l, err := c.registered()
		if err != nil {
			return SentMessage{}, err
		}
		o := optionsOf(opts)
		if err := m.check(l.account(), toJID, o); err != nil {
			return SentMessage{}, err
		}
		id := cmp.Or(o.id, uuid.New())
		// before the file goes out for nothing
		if err := l.wouldFit(o, m, id, toJID); err != nil {
			return SentMessage{}, err
		}
		if _, err := l.open(); err != nil {
			return SentMessage{}, err
		}
		f, err := l.uploadFor(ctx, toJID, id, m)
		if err != nil {
			e := explain(c.deciding(ctx), op, err)
			e.Outcome = OutcomeNotSent
			return SentMessage{}, e
		}
		ctx, cancel := c.withTimeout(ctx)
		defer cancel()
		sent, err := l.sendContent(ctx, o, m.body(o, l.nickName(), f), id, id, toJID)
		sent.Media = mediaFile(f)
		return sent, err
	})
}

// check has the order of the JavaScript SDK: who gets what kind of file, whether the plan has it,
// and the rest.
func (m *MediaMessage) check(me account, toJID string, o messageOptions) error {
	has, known := mediaFeatures[m.Type]
	to := receiverJID
	checks := []finding{jidFormat(to, toJID), required(to, toJID), ofService(to, toJID, me)}
	if !known {
		checks = append(checks, argument{"Type", "messageType"}.isInJS(" is not valid"))
	}
	if err := validate(checks...); err != nil {
		return err
	}
	if !has(Features(me.service().Features)) {
		return errFeature
	}
	if err := validate(append(o.checks(), isUTF8("Caption", m.Caption))...); err != nil {
		return err
	}
	switch {
	case m.Width < 0 || m.Height < 0:
		return invalid("Width", "Width and Height are not negative: 0 is not known")
	case m.Duration < 0:
		return invalid("Duration", "Duration is negative")
	}
	return checkUpload(&MediaUpload{To: toJID, Name: m.Name, Reader: m.Reader, Size: m.Size})
}

// wouldFit reports what is too large for a message, with room for what the service says of the
// file.
func (l *login) wouldFit(o messageOptions, m MediaMessage, id, toJID string) error {
	stored := media.File{Name: m.Name, Token: strings.Repeat("x", 1<<10), Key: strings.Repeat("x", media.KeyLength)}
	_, err := l.content(o, m.body(o, l.nickName(), stored), id, id, toJID)
	return err
}

func (l *login) uploadFor(ctx context.Context, toJID, id string, m MediaMessage) (media.File, error) {
	c, me := l.client, l.account()
	return media.Upload(rest.ForLogin(ctx, me.number), &c.rest, media.Source{
		To: strings.ToLower(localPart(toJID)), Type: string(ChatTypeChat), MessageID: id, Name: m.Name,
		ContentType: m.ContentType, Reader: m.Reader, Size: m.Size, Progress: m.Progress,
	}, c.encryptMedia.Load(), me.chatIV())
}

func (m *MediaMessage) body(o messageOptions, nickName string, f media.File) body.Body {
	return body.Body{
		Type: string(m.Type), NickName: nickName, ReplyTo: o.replyTo, Mentioned: o.mentioned,
		Media: &body.Media{
			Token: f.Token, Key: f.Key, Name: f.Name, Caption: m.Caption, StoredSize: f.StoredSize(), Large: f.Large,
			Duration: m.Duration, Thumbnail: m.Thumbnail, Width: m.Width, Height: m.Height,
		},
	}
}

func mediaFile(f media.File) MediaFile {
	return MediaFile{
		FileToken: f.Token, FileKey: f.Key, Name: f.Name, ContentType: f.ContentType, Size: f.Size, Large: f.Large,
	}
}
