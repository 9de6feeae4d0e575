package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

// transferTime bounds uploads and downloads: the library ends them only when nothing moves.
const transferTime = 10 * time.Second

func (p *player) upload(l *life, at string, c Call) {
	f := file{content: content{seed: c.Arg, size: int64(c.Arg % (64 << 10))}}
	if c.Op == opUploadLarge {
		// It has two parts.
		f.content.size += 5 << 20
	}
	var how told
	f.media, how, _ = do(p, at, "UploadMedia", cmp.Or(c.Patience, transferTime), func(ctx context.Context) (
		sdk.Result[sdk.MediaFile], error,
	) {
		return l.client.UploadMedia(ctx, sdk.MediaUpload{
			To: p.peer(c.Arg).user, MessageID: at, Name: "file.bin", ContentType: "application/octet-stream",
			Reader: f.content.reader(), Size: f.content.size,
		})
	})
	if how != toldOK {
		return
	}
	if f.media.FileToken == "" || f.media.Size != f.content.size {
		p.wrong(at, "a file of another size, or without a token", fmt.Sprintf("%+v, %d bytes", f.media, f.content.size))
	}
	l.who.keep(f)
}

func (p *player) download(l *life, at string, c Call) {
	f, found := l.who.file(c.Arg)
	if !found {
		return
	}
	got := bytes.NewBuffer(make([]byte, 0, f.content.size))
	_, how,
		_ := do(p, at, "DownloadMedia", cmp.Or(c.Patience, transferTime),
		func(ctx context.Context) (sdk.Result[sdk.None], error) {
			return l.client.DownloadMedia(ctx, f.media, got)
		})
	p.stage.book.checked("file that was downloaded")
	if b := got.Bytes(); how == toldOK && int64(len(b)) != f.content.size || !f.content.begins(b) {
		p.wrong(
			at, "another file than was uploaded",
			fmt.Sprintf("%s, %d of %d bytes, %+v", how, len(b), f.content.size, f.media),
		)
	}
}
