package body

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/lenient"
)

// Media is the file of a message.
type Media struct {
	// Token is what the service calls the file, Key opens it. An empty Key: it is not encrypted.
	Token, Key string
	Name       string
	Caption    string
	// StoredSize is the length in bytes of what the service holds, which may be encrypted.
	StoredSize int64
	// Large: it is stored in parts.
	Large    bool
	Duration time.Duration
	// Thumbnail is a small picture; it may be empty.
	Thumbnail []byte
	// Width and Height are pixels; 0: not known.
	Width, Height int
}

// wireMedia has the fields of the JavaScript SDK, in its order, without those of its own state.
type wireMedia struct {
	Name           string  `json:"fileName"`
	Caption        string  `json:"caption"`
	MessageID      string  `json:"msgId"`
	WebWidth       int     `json:"webWidth,omitempty"`
	WebHeight      int     `json:"webHeight,omitempty"`
	AndroidWidth   int     `json:"androidWidth,omitempty"`
	AndroidHeight  int     `json:"androidHeight,omitempty"`
	OriginalWidth  int     `json:"originalWidth,omitempty"`
	OriginalHeight int     `json:"originalHeight,omitempty"`
	StoredSize     int64   `json:"file_size"`
	Token          string  `json:"file_url"`
	Key            *string `json:"file_key"`
	Duration       int64   `json:"duration"`
	Thumbnail      string  `json:"thumb_image"`
	LocalPath      string  `json:"local_path"`
	IsUploading    int     `json:"is_uploading"`
	IsDownloaded   int     `json:"is_downloaded"`
	Large          bool    `json:"isLargeFile"`
}

// uploaded is what is_uploading says of a file that is with the service.
const uploaded = 2

func (m *Media) wire(messageID string) *wireMedia {
	w := &wireMedia{
		Name: m.Name, Caption: m.Caption, MessageID: messageID,
		WebWidth: m.Width, WebHeight: m.Height, AndroidWidth: m.Width, AndroidHeight: m.Height,
		OriginalWidth: m.Width, OriginalHeight: m.Height,
		StoredSize: m.StoredSize, Token: m.Token, Duration: m.Duration.Milliseconds(),
		Thumbnail: base64.StdEncoding.EncodeToString(m.Thumbnail), IsUploading: uploaded, Large: m.Large,
	}
	if m.Key != "" {
		w.Key = &m.Key
	}
	return w
}

// readMedia has both spellings of the fields: mobile apps and the history of the service write the
// second.
type readMedia struct {
	Name           lenient.Text   `json:"fileName"`
	Caption        lenient.Text   `json:"caption"`
	WebWidth       lenient.Number `json:"webWidth"`
	WebHeight      lenient.Number `json:"webHeight"`
	AndroidWidth   lenient.Number `json:"androidWidth"`
	AndroidHeight  lenient.Number `json:"androidHeight"`
	OriginalWidth  lenient.Number `json:"originalWidth"`
	OriginalHeight lenient.Number `json:"originalHeight"`
	StoredSize     lenient.Number `json:"file_size"`
	StoredSize2    lenient.Number `json:"fileSize"`
	Token          lenient.Text   `json:"file_url"`
	Token2         lenient.Text   `json:"fileUrl"`
	Key            lenient.Text   `json:"file_key"`
	Key2           lenient.Text   `json:"fileKey"`
	Duration       lenient.Number `json:"duration"`
	Thumbnail      lenient.Text   `json:"thumb_image"`
	Thumbnail2     lenient.Text   `json:"thumbImage"`
	Large          lenient.Flag   `json:"isLargeFile"`
}

// fileOf reads the file of a body, nil for what is none.
type fileOf struct{ media *Media }

func (f *fileOf) UnmarshalJSON(b []byte) error {
	f.media = nil
	if b[0] != '{' {
		return nil
	}
	var read readMedia
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	f.media = read.media()
	return nil
}

func (r *readMedia) media() *Media {
	m := &Media{
		Token: string(cmp.Or(r.Token, r.Token2)), Key: string(cmp.Or(r.Key, r.Key2)), Name: string(r.Name),
		Caption: string(r.Caption), StoredSize: max(0, int64(cmp.Or(r.StoredSize, r.StoredSize2))),
		Large:    bool(r.Large),
		Width:    pixels(r.OriginalWidth, r.WebWidth, r.AndroidWidth),
		Height:   pixels(r.OriginalHeight, r.WebHeight, r.AndroidHeight),
		Duration: duration(r.Duration),
	}
	thumbnail := string(cmp.Or(r.Thumbnail, r.Thumbnail2))
	if data, isURL := strings.CutPrefix(thumbnail, "data:"); isURL {
		_, thumbnail, _ = strings.Cut(data, ",")
	}
	// What is not base64 is no picture.
	if picture, err := base64.StdEncoding.DecodeString(thumbnail); err == nil && len(picture) > 0 {
		m.Thumbnail = picture
	}
	return m
}

// maxPixels is more than any picture has.
const maxPixels = 1 << 20

// pixels returns the first that is a length in pixels.
func pixels(all ...lenient.Number) int {
	for _, n := range all {
		if n > 0 && n <= maxPixels {
			return int(n)
		}
	}
	return 0
}

// maxDuration is more milliseconds than any recording has: a year.
const maxDuration = 366 * 24 * 60 * 60 * 1000

func duration(ms lenient.Number) time.Duration {
	return time.Duration(min(max(0, ms), maxDuration)) * time.Millisecond
}
