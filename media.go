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
		return mediaFile(f), err
	})
}

func checkUpload(m *MediaUpload) error {
	if m.ChatType == "" {
		m.ChatType = ChatTypeChat
	}
	if m.ChatType != ChatTypeChat && m.ChatType != ChatTypeGroup {
		return invalid("ChatType", "ChatType is neither %q nor %q", ChatTypeChat, ChatTypeGroup)
	}
	if m.Reader == nil {
		return invalid("Reader", "Reader is nil: it must deliver the content of the file")
	}
	if m.Size < 0 {
		return invalid("Size", "Size is negative: it must be the number of bytes that Reader delivers")
	}
	return validate(
		isUTF8("MessageID", m.MessageID), isUTF8("To", m.To), isUTF8("Name", m.Name),
		required(same("To"), m.To), required(same("Name"), m.Name),
	)
}

// chatIV is the service's, or the constant one (protocol.md 2.2).
func (a account) chatIV() string { return cmp.Or(a.service().IV, seal.ConstIV) }
