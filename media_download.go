package sdk

import (
	"cmp"
	"context"
	"io"

	"github.com/mirrorfly-go/sdk/internal/media"
	"github.com/mirrorfly-go/sdk/internal/rest"
)

// MediaInfo is what is known of a file that DownloadMedia or OpenMedia reads.
type MediaInfo struct {
	// ContentType is what the server says of the file; when that says nothing, it is
	// MediaFile.ContentType, or else what the content itself tells. Whoever has uploaded the file
	// has chosen all three. Empty: not known, which only happens from an offset on.
	ContentType string `json:"contentType"`
	// Size is the length of the whole content in bytes; -1: not known before the end.
	Size int64 `json:"fileSize"`
}

// MediaDownload is a writer for DownloadMedia that goes on from an offset, hears of the progress,
// and is told what the file is. It belongs to one file and to one call at a time.
type MediaDownload struct {
	// Writer takes the content from Offset on.
	Writer io.Writer
	// Offset is how many bytes of the content there are already. DownloadMedia moves it on with
	// what it writes, so the same call goes on after a failure, if Writer does.
	Offset int64
	// Progress is called in the goroutine of DownloadMedia after each piece that was written, with
	// Offset and Info.Size. It may be nil.
	Progress func(received, total int64)
	// Info is set before the first byte is written. After success its Size is known.
	Info MediaInfo

	// etag is that of the file to which the bytes before Offset belong; empty: not known.
	etag string
	// wrote: Writer was called, whatever it says of that.
	wrote bool
}

// Write writes to Writer and moves Offset on.
func (d *MediaDownload) Write(p []byte) (int, error) {
	d.wrote = true
	n, err := d.Writer.Write(p)
	d.Offset += int64(min(max(0, n), len(p)))
	if n > 0 && d.Progress != nil {
		d.Progress(d.Offset, d.Info.Size)
	}
	return n, err
}

// DownloadMedia writes a file to w and opens it when it has a FileKey (protocol.md 8, 9). A profile
// picture is a MediaFile with nothing but the FileToken; that may also be a URL. One of the service
// itself, with the scheme, the host and the port of the base URL, is always fetched. Any other was
// chosen by another user, and is fetched only with Config.FetchForeignURLs, without the
// authorization. The same holds for where a URL is redirected to; a token, and a file in parts, may
// be redirected to any host, without the authorization. After an error w holds the beginning of the
// file. Config.RequestTimeout bounds only how long the transfer may stand still, Config.MaxDownload
// how long the file may be.
//
// When w is a *MediaDownload, it goes on from that Offset, reports the progress, and sets Info.
// Only what is missing is fetched, and of an encrypted file in parts up to 32 bytes before it. An
// encrypted file in one part comes whole, as does a file from a server without ranges (RFC 9110
// 14): what is there already is then dropped. A file that is shorter than Offset, or that has
// changed as its ETag tells, is an error.
//
// Success means that the whole file came, as it was uploaded: a part of it, packed content
// (Content-Encoding) and an answer without content are errors. So is a wrong FileKey, as far as
// padding and Size show it. They show nothing for a file in parts whose Size is a multiple of 16,
// which has no padding, and nothing else tells (SECURITY.md): what comes then is noise of the right
// length.
//
// Errors: 400 ErrInvalidArgument without a FileToken or for one with dot segments, for a FileKey
// that has not 32 characters, for a Size above Config.MaxDownload, and for an Offset above it or
// above Size; 400 ErrNotRegistered; 400 ErrForeignURL, before anything is looked up or dialled, or
// for a redirect of a URL; 400 ErrInsecure for an http URL; 500 with the service's text, e.g. for
// an unknown token, when something else than the file comes, and when more than Config.MaxDownload
// comes; 599 ErrNetwork.
func (c *Client) DownloadMedia(ctx context.Context, f MediaFile, w io.Writer) (Result[None], error) {
	const op = "DownloadMedia"
	return unbounded(ctx, c, op, success, func(ctx context.Context) (None, error) {
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		to, resumable := w.(*MediaDownload)
		if !resumable {
			to = &MediaDownload{Writer: w}
		}
		if err := c.checkDownload(f, to); err != nil {
			return None{}, err
		}
		err = l.download(ctx, f, to)
		if err != nil && to.wrote && !resumable {
			e := explain(c.deciding(ctx), op, err)
			e.spent = true
			return None{}, e
		}
		return None{}, err
	})
}

// download writes to to what is missing of f.
func (l *login) download(ctx context.Context, f MediaFile, to *MediaDownload) error {
	if f.Size > 0 && to.Offset == f.Size {
		// Nothing is missing. A server would have to say so by an error.
		to.Info.Size = f.Size
		return nil
	}
	if to.Offset == 0 {
		// Nothing is kept of the file that was there before.
		to.etag = ""
	}
	content, err := l.openMedia(ctx, f, media.Start{Offset: to.Offset, ETag: to.etag})
	if err != nil {
		return err
	}
	defer content.Close()
	to.etag = cmp.Or(content.ETag, to.etag)
	to.Info = MediaInfo{ContentType: cmp.Or(content.ContentType, to.Info.ContentType), Size: content.Size}
	if err := content.CopyTo(to); err != nil {
		return err
	}
	to.Info.Size = to.Offset
	return nil
}

// openMedia opens f, whose arguments were checked.
func (l *login) openMedia(ctx context.Context, f MediaFile, start media.Start) (*media.Content, error) {
	c, me := l.client, l.account()
	return media.Open(rest.ForLogin(ctx, me.number), &c.rest, media.File{
		Token: f.FileToken, Key: f.FileKey, Name: f.Name, ContentType: f.ContentType, Size: f.Size, Large: f.Large,
	}, me.chatIV(), start, c.cfg.MaxDownload)
}

func (c *Client) checkDownload(f MediaFile, to *MediaDownload) error {
	if err := c.checkFile(f); err != nil {
		return err
	}
	switch {
	case to == nil || to.Writer == nil:
		return invalid("w", "w is nil: it must take the content of the file")
	case to.Offset < 0:
		return invalid("Offset", "Offset is negative: it must be the number of bytes that there are already")
	case f.Size > 0 && to.Offset > f.Size:
		return invalid("Offset", "Offset is more than the Size of the file")
	case to.Offset > c.cfg.MaxDownload:
		return invalid("Offset", "Offset is more than Config.MaxDownload, %d bytes", c.cfg.MaxDownload)
	}
	return nil
}

func (c *Client) checkFile(f MediaFile) error {
	switch {
	case f.FileToken == "":
		return invalid("FileToken", "File Token is not valid or required")
	case f.FileKey != "" && len(f.FileKey) != media.KeyLength:
		return invalid("FileKey",
			"FileKey has %d characters: the key of a file has %d", len(f.FileKey), media.KeyLength)
	case f.Size > c.cfg.MaxDownload:
		return invalid("Size",
			"Size is more than Config.MaxDownload, %d bytes: raise that for larger files", c.cfg.MaxDownload)
	}
	return nil
}
