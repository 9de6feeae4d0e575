package sdk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// files uploads one file of each form to srv, with its content.
func files(t *testing.T, srv *sdktest.Server) map[string]sdk.MediaFile {
	t.Helper()
	alice := login(t, srv.Config(), "alice")
	all := map[string]sdk.MediaFile{}
	for _, size := range []int{100_000, 5<<20 + 4321} {
		for _, encrypt := range []bool{false, true} {
			_, err := alice.SetMediaEncryption(encrypt)
			require.NoError(t, err)
			up, err := alice.UploadMedia(t.Context(), sdk.MediaUpload{
				To: "bob", Name: "a.bin", ContentType: "video/mp4",
				Reader: bytes.NewReader(noise(size)), Size: int64(size),
			})
			require.NoError(t, err)
			all[fmt.Sprintf("%d, encrypted: %v", size, encrypt)] = up.Data
		}
	}
	return all
}

func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// fullDisk takes some bytes and then no more, until it is emptied.
type fullDisk struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("disk full")

func (d *fullDisk) Write(p []byte) (int, error) {
	fits := p[:min(len(p), d.room)]
	d.room -= len(fits)
	_, _ = d.Buffer.Write(fits)
	if len(fits) < len(p) {
		return len(fits), errFull
	}
	return len(fits), nil
}

// The same call goes on where the last one has failed, and tells type, size and progress.
func TestDownloadGoesOn(t *testing.T) {
	srv := sdktest.New(t)
	bob := login(t, srv.Config(), "bob")
	for name, f := range files(t, srv) {
		t.Run(name, func(t *testing.T) {
			for _, known := range []bool{true, false} {
				want := noise(int(f.Size))
				asked := f
				size := f.Size
				if !known {
					asked.Size = 0
				}
				if !known && f.FileKey != "" {
					size = -1
				}
				disk := &fullDisk{room: 70_001}
				var last, total int64
				to := &sdk.MediaDownload{Writer: disk, Progress: func(n, of int64) {
					require.Greater(t, n, last)
					last, total = n, of
				}}
				res, err := bob.DownloadMedia(t.Context(), asked, to)
				failed(t, res, err)
				require.ErrorIs(t, err, errFull)
				require.EqualValues(t, 70_001, to.Offset)
				require.Equal(t, []int64{70_001, size}, []int64{last, total})
				require.Equal(t, sdk.MediaInfo{ContentType: "video/mp4", Size: size}, to.Info)

				disk.room = 1 << 30
				_, err = bob.DownloadMedia(t.Context(), asked, to)
				require.NoError(t, err)
				require.True(t, bytes.Equal(want, disk.Bytes()))
				require.Equal(t, f.Size, to.Offset)
				require.Equal(t, sdk.MediaInfo{ContentType: "video/mp4", Size: f.Size}, to.Info)
				require.Equal(t, []int64{f.Size, size}, []int64{last, total})

				// once more: there is nothing left
				_, err = bob.DownloadMedia(t.Context(), asked, to)
				require.NoError(t, err)
				require.EqualValues(t, f.Size, disk.Len())
			}
		})
	}
}

// A connection that breaks in the middle of a file that came in one piece.
func TestDownloadGoesOnAfterACut(t *testing.T) {
	want := noise(1000)
	var ranges []string
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	g := behindGateway(t, &cfg)
	etag := `"1"`
	g.answers("media/token", func(req *http.Request) *http.Response {
		ranges = append(ranges, req.Header.Get("Range"))
		resp := reply(http.StatusOK, string(want[:600]), "Content-Type", "image/png", "ETag", etag)
		if len(ranges) > 1 {
			resp = reply(http.StatusPartialContent, string(want[600:]),
				"Content-Range", "bytes 600-999/1000", "ETag", etag)
			resp.ContentLength = 400
			return resp
		}
		resp.ContentLength = 1000
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, failing{io.ErrUnexpectedEOF}))
		return resp
	})
	alice := login(t, cfg, "alice")
	var got bytes.Buffer
	to := &sdk.MediaDownload{Writer: &got}
	_, err := alice.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "token"}, to)
	require.ErrorIs(t, err, sdk.ErrNetwork)
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Retryable())
	require.EqualValues(t, 600, to.Offset)

	etag = `"2"`
	_, err = alice.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "token"}, to)
	require.ErrorContains(t, err, "a file that changed meanwhile")
	require.ErrorAs(t, err, &e)
	require.False(t, e.Retryable(), "it stays another file")
	require.Equal(t, 600, got.Len())

	etag = `"1"`
	_, err = alice.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "token"}, to)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got.Bytes()))
	require.Equal(t, sdk.MediaInfo{ContentType: "image/png", Size: 1000}, to.Info, "the type of before")
	require.Equal(t, []string{"", "bytes=600-", "bytes=600-"}, ranges)
}

// From the beginning on it may be another file than the one that was begun.
func TestDownloadBeginsAnew(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	g := behindGateway(t, &cfg)
	etag := `"1"`
	g.answers("media/token", func(*http.Request) *http.Response {
		return reply(http.StatusOK, "a file", "Content-Type", "image/png", "ETag", etag)
	})
	alice := login(t, cfg, "alice")
	var got bytes.Buffer
	to := &sdk.MediaDownload{Writer: &got}
	for _, etag = range []string{`"1"`, `"2"`} {
		got.Reset()
		to.Offset = 0
		_, err := alice.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "token"}, to)
		require.NoError(t, err)
		require.Equal(t, "a file", got.String())
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func from(offset int64) *sdk.MediaDownload {
	return &sdk.MediaDownload{Writer: io.Discard, Offset: offset}
}

func TestDownloadArguments(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.MaxDownload = 1000
	alice := login(t, cfg, "alice")
	requireAnswer(t, srv, alice)
	before := len(srv.Requests())
	file := sdk.MediaFile{FileToken: "x", Size: 10}
	var none *sdk.MediaDownload
	for name, tc := range map[string]struct {
		f sdk.MediaFile
		w io.Writer
	}{
		"w is nil":                               {file, nil},
		"w is nil: it must":                      {file, none},
		"w is nil: it must take":                 {file, &sdk.MediaDownload{}},
		"Offset is negative":                     {file, from(-1)},
		"Offset is more than the Size":           {file, from(11)},
		"Offset is more than Config.MaxDownload": {sdk.MediaFile{FileToken: "x"}, from(1001)},
		"Size is more than Config.MaxDownload":   {sdk.MediaFile{FileToken: "x", Size: 1001}, io.Discard},
		"File Token is not valid or required":    {sdk.MediaFile{}, io.Discard},
		"FileKey has 3 characters":               {sdk.MediaFile{FileToken: "x", FileKey: "abc"}, io.Discard},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := alice.DownloadMedia(t.Context(), tc.f, tc.w)
			require.Equal(t, 400, failed(t, res, err).StatusCode)
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			require.ErrorContains(t, err, name)
		})
	}
	res, err := alice.DownloadMedia(t.Context(), file, from(10))
	require.NoError(t, err, "all of it is there: %v", res)
	require.Len(t, srv.Requests(), before)
}

// Config.MaxDownload is how long a file may be, however many calls it takes.
func TestMaxDownloadCountsFromTheBeginning(t *testing.T) {
	const size, room = 100_000, 50_000
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	up, err := alice.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", Name: "x", Reader: bytes.NewReader(noise(size)), Size: size})
	require.NoError(t, err)
	cfg := srv.Config()
	cfg.MaxDownload = room
	bob := login(t, cfg, "bob")
	var got bytes.Buffer
	to := &sdk.MediaDownload{Writer: &got, Offset: 20_000}
	for range 2 {
		res, err := bob.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: up.Data.FileToken}, to)
		require.Equal(t, 500, failed(t, res, err).StatusCode)
		require.ErrorContains(t, err, "longer than what may be downloaded")
		require.True(t, bytes.Equal(noise(size)[20_000:room], got.Bytes()), strconv.Itoa(got.Len()))
	}
}
