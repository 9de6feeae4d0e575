package sdk

import (
	"cmp"
	"context"
	"io"

	"github.com/mirrorfly-go/sdk/internal/media"
	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/seal"
)

// MediaUpload is a file for a chat.
type MediaUpload struct {
	// To is the user or group that the file is for.
	To string
	// ChatType is ChatTypeChat (the default) or ChatTypeGroup.
	ChatType ChatType
	// MessageID is the id of the message that will carry the file.
	MessageID string
	// Name is the file name.
	Name string
	// ContentType is told from the content when it is empty.
	ContentType string
	// Reader delivers the content. If it is an io.Seeker too, the upload can be repeated after an
	// expired token.
	Reader io.Reader
	// Size is the number of bytes that Reader delivers, no more and no less.
	Size int64
	// Progress is called in the goroutine of UploadMedia, with bytes of the file that have arrived.
	// It may be nil.
	Progress func(sent, total int64)
}

// MediaFile is a file that the service holds: what UploadMedia answers and DownloadMedia takes. The
// chat message carries its fields (protocol.md 8).
type MediaFile struct {
	// FileToken is what the service calls the file.
	FileToken string `json:"fileToken"`
	// FileKey opens the file; empty: it is not encrypted. Keep it as secret as the file.
	FileKey string `json:"fileKey"`
	// Name is what was given to UploadMedia.
	Name string `json:"fileName"`
	// ContentType is what was given to UploadMedia, or what the content has told.
	ContentType string `json:"contentType"`
	// Size is the number of bytes of the content; 0: not known. The JavaScript SDK's file_size is
	// the length of the encrypted file: leave 0 then.
	Size int64 `json:"fileSize"`
	// Large: the file is stored in parts.
	Large bool `json:"isLargeFile"`
}

// UploadMedia uploads a file for a chat: in one part, or when it is larger than 5 MiB in parts of
// that size, each of which is repeated alone when it fails (protocol.md 8). It is encrypted if
// SetMediaEncryption says so. The file is sent as it is read, a few MiB are in memory at a time.
// Config.RequestTimeout bounds only how long the transfer may stand still. It belongs to the login
// that began it, and ends with that: nothing of it is sent for whoever logs in next.
//
// Errors: 400 ErrInvalidArgument for a missing field, for text that is not UTF-8, and when Reader
// fails or delivers more or less than Size; 400 ErrNotRegistered, also when the login ends
// meanwhile; the service's status and text; 599 ErrNetwork.
func (c *Client) UploadMedia(ctx context.Context, m MediaUpload) (Result[MediaFile], error) {
	return unbounded(ctx, c, "UploadMedia", success, func(ctx context.Context) (MediaFile, error) {
		l, err := c.registered()
		if err != nil {
			return MediaFile{}, err
		}
		if err := checkUpload(&m); err != nil {
			return MediaFile{}, err
		}
		me := l.account()
		f, err := media.Upload(rest.ForLogin(ctx, me.number), &c.rest, media.Source{
			To: m.To, Type: string(m.ChatType), MessageID: m.MessageID, Name: m.Name, ContentType: m.ContentType,
			Reader: m.Reader, Size: m.Size, Progress: m.Progress,
		}, c.encryptMedia.Load(), me.chatIV())
		return MediaFile{
			FileToken: f.Token, FileKey: f.Key, Name: f.Name, ContentType: f.ContentType, Size: f.Size, Large: f.Large,
		}, err
	})
}

func checkUpload(m *MediaUpload) error {
	if m.ChatType == "" {
		m.ChatType = ChatTypeChat
	}
	if m.ChatType != ChatTypeChat && m.ChatType != ChatTypeGroup {
		return invalid("ChatType is neither %q nor %q", ChatTypeChat, ChatTypeGroup)
	}
	if m.Reader == nil {
		return invalid("Reader is nil: it must deliver the content of the file")
	}
	if m.Size < 0 {
		return invalid("Size is negative: it must be the number of bytes that Reader delivers")
	}
	return validate(
		isUTF8("MessageID", m.MessageID), isUTF8("To", m.To), isUTF8("Name", m.Name),
		required("To", m.To), required("Name", m.Name),
	)
}

// DownloadMedia writes a file to w and opens it when it has a FileKey (protocol.md 8, 9). A profile
// picture is a MediaFile with nothing but the FileToken; that may also be a URL, which is fetched
// without the authorization unless it is the service's own. After an error w holds the beginning of
// the file. Config.RequestTimeout bounds only how long the transfer may stand still,
// Config.MaxDownload how much is written.
//
// Success means that the whole file came, as it was uploaded: a part of it, packed content
// (Content-Encoding) and an answer without content are errors. So is a wrong FileKey, as far as
// padding and Size show it. They show nothing for a file in parts whose Size is a multiple of 16,
// which has no padding, and nothing else tells (SECURITY.md): what comes then is noise of the right
// length.
//
// Errors: 400 ErrInvalidArgument without a FileToken, for a FileKey that has not 32 characters and
// for a Size above Config.MaxDownload; 400 ErrNotRegistered; 400 ErrInsecure for an http URL; 500
// with the service's text, e.g. for an unknown token, when something else than the file comes, and
// when more than Config.MaxDownload comes; 599 ErrNetwork.
func (c *Client) DownloadMedia(ctx context.Context, f MediaFile, w io.Writer) (Result[None], error) {
	return unbounded(ctx, c, "DownloadMedia", success, func(ctx context.Context) (None, error) {
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		if err := c.checkDownload(f, w); err != nil {
			return None{}, err
		}
		me := l.account()
		to := &notedWriter{Writer: w}
		err = media.Download(rest.ForLogin(ctx, me.number), &c.rest, media.File{
			Token: f.FileToken, Key: f.FileKey, Name: f.Name, ContentType: f.ContentType, Size: f.Size, Large: f.Large,
		}, me.chatIV(), media.AtMost(to, c.cfg.MaxDownload))
		if err != nil && to.written {
			e := explain(c.deciding(ctx), "DownloadMedia", err)
			e.spent = true
			return None{}, e
		}
		return None{}, err
	})
}

// notedWriter knows whether its Writer holds something.
type notedWriter struct {
	io.Writer
	written bool
}

func (n *notedWriter) Write(p []byte) (int, error) {
	n.written = n.written || len(p) > 0
	return n.Writer.Write(p)
}

func (c *Client) checkDownload(f MediaFile, w io.Writer) error {
	switch {
	case f.FileToken == "":
		return invalid("File Token is not valid or required")
	case f.FileKey != "" && len(f.FileKey) != media.KeyLength:
		return invalid("FileKey has %d characters: the key of a file has %d", len(f.FileKey), media.KeyLength)
	case w == nil:
		return invalid("w is nil: it must take the content of the file")
	case f.Size > c.cfg.MaxDownload:
		return invalid("Size is more than Config.MaxDownload, %d bytes: raise that for larger files", c.cfg.MaxDownload)
	}
	return nil
}

// chatIV is the service's, or the constant one (protocol.md 2.2).
func (a account) chatIV() string { return cmp.Or(a.service().IV, seal.ConstIV) }
