package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"log"
	"os"
	"time"

	"github.com/mirrorfly-go/sdk"
)

const (
	maxFile     = 64 << 20 // bytes of a file that is sent back
	maxAnswered = 10_000   // messages that the bot remembers
)

// mark tells the messages of a bot from those of people: two bots that answer each other never end.
const mark = "echobot"

// bot answers. Listeners run one at a time, so it needs no lock.
type bot struct {
	*sdk.Client
	// answered are messages that were answered, by sender and id. After a gap, and after a start, a
	// message may come from the history and from the server, too.
	answered map[string]bool
	// looked: what came before the bot was started has been looked for.
	looked bool
}

// answer answers a message. The server and the sender are told that it has arrived when this has
// returned; a bot that works longer on one message calls m.Defer and works in a goroutine.
func (b *bot) answer(ctx context.Context, m sdk.Message) {
	from, key := m.Peer(), m.Peer()+" "+m.ID
	if b.answered[key] || m.Metadata[mark] != "" {
		return
	}
	if _, err := b.SendTypingStatus(ctx, from); err != nil {
		log.Println("typing:", err) // the answer matters more
	}
	if err := b.echoSurely(ctx, from, m); err != nil {
		log.Println("no answer:", err) // it stays unread: readMissed finds it in the history
		return
	}
	log.Printf("answered a message of type %q", m.Type)
	if len(b.answered) >= maxAnswered {
		clear(b.answered)
	}
	b.answered[key] = true
	// Only now: what the service counts as unread is what has no answer.
	if m.ID == "" {
		return // some XMPP clients give none
	}
	if _, err := b.SendSeenStatus(ctx, from, m.ID); err != nil {
		log.Println("seen:", err)
	}
}

// echoSurely tries a second time where that can help. Both answers have the same id, so that a
// receiver which gets both can drop one.
func (b *bot) echoSurely(ctx context.Context, to string, m sdk.Message) error {
	id := rand.Text()
	err := b.echo(ctx, to, id, m)
	var failure *sdk.Error
	if !errors.As(err, &failure) || failure.Outcome != sdk.OutcomeUnknown && !failure.Retryable() {
		return err
	}
	log.Println("once more:", err)
	select {
	case <-time.After(max(time.Second, failure.RetryAfter)):
	case <-ctx.Done():
		return err
	}
	if err := b.WaitConnected(ctx); err != nil {
		return err
	}
	return b.echo(ctx, to, id, m)
}

// echo sends back what has come, in a message with an id.
func (b *bot) echo(ctx context.Context, to, id string, m sdk.Message) error {
	options := []sdk.MessageOption{
		sdk.WithMessageID(id), sdk.WithMetadata(map[string]string{mark: "yes"}),
	}
	if m.ID != "" {
		options = append(options, sdk.WithReplyTo(m.ID))
	}
	switch {
	case m.Media != nil:
		return b.sendBack(ctx, to, m, options)
	case m.Text == "file":
		return b.sendPicture(ctx, to, options)
	case m.Text == "":
		m.Text = "I cannot send this back."
	}
	_, err := b.SendTextMessage(ctx, to, m.Text, options...)
	return err
}

// sendBack reads the file of a message and sends it again.
func (b *bot) sendBack(ctx context.Context, to string, m sdk.Message, options []sdk.MessageOption) error {
	file, err := os.CreateTemp("", "echobot-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := b.DownloadMedia(ctx, m.Media.File, file); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = b.SendMediaFileMessage(ctx, to, sdk.MediaMessage{
		Type: m.Type, Name: m.Media.File.Name, Reader: file, Size: size, Caption: m.Media.Caption,
		Duration: m.Media.Duration, Thumbnail: m.Media.Thumbnail, Width: m.Media.Width, Height: m.Media.Height,
	}, options...)
	return err
}

// sendPicture sends a picture that the bot has drawn: circles around the middle.
func (b *bot) sendPicture(ctx context.Context, to string, options []sdk.MessageOption) error {
	const size = 160
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i := range size * size {
		x, y := i%size, i/size
		far := ((x-size/2)*(x-size/2) + (y-size/2)*(y-size/2)) / 320
		picture.SetNRGBA(x, y, color.NRGBA{R: uint8(40 + 10*far), G: uint8(90 + far%2*90), B: 223, A: 255})
	}
	var content bytes.Buffer
	if err := png.Encode(&content, picture); err != nil {
		return err
	}
	_, err := b.SendMediaFileMessage(ctx, to, sdk.MediaMessage{
		Type: sdk.MessageTypeImage, Name: "picture.png", ContentType: "image/png", Caption: "Here is a file.",
		Reader: &content, Size: int64(content.Len()), Width: size, Height: size,
	}, options...)
	return err
}
