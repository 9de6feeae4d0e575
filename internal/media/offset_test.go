package media

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// keeper is a service and its storage, which hold one file. It counts the bytes that it sends.
type keeper struct {
	stored      []byte
	contentType string
	etag        string
	// serve answers instead of http.ServeContent when it is set.
	serve func(w http.ResponseWriter, r *http.Request)
	sent  int
	asked []string
	rest  *rest.Client
}

func (k *keeper) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	switch {
	case strings.HasSuffix(req.URL.Path, "/generatePreAuthenticationUrlDownload"):
		fmt.Fprint(w, `{"status":200,"data":"https://storage.example/file"}`)
	default:
		k.asked = append(k.asked, req.URL.Host+" "+req.Header.Get("Range"))
		w.Header().Set("Content-Type", k.contentType)
		if k.etag != "" {
			w.Header().Set("ETag", k.etag)
		}
		if k.serve != nil {
			k.serve(w, req)
		} else {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(k.stored))
		}
		k.sent += w.Body.Len()
	}
	res := w.Result()
	res.Request = req
	return res, nil
}

func (k *keeper) client(t *testing.T) *rest.Client {
	t.Helper()
	if k.rest == nil {
		k.rest = rest.New(rest.Config{BaseURL: "https://service.example", HTTPClient: &http.Client{Transport: k}})
		t.Cleanup(k.rest.Close)
	}
	return k.rest
}

// read reads f from an offset on.
func (k *keeper) read(t *testing.T, f File, start Start) ([]byte, *Content, error) {
	t.Helper()
	content, err := Open(t.Context(), k.client(t), f, testIV, start, 1<<40)
	if err != nil {
		return nil, nil, err
	}
	got, err := io.ReadAll(content)
	require.NoError(t, content.Close())
	return got, content, err
}

// stored is what the service holds of plain.
func stored(t *testing.T, plain []byte, f File) []byte {
	t.Helper()
	r := io.Reader(bytes.NewReader(plain))
	if f.Key != "" {
		r = encrypted(t, r, f.Large)
		if !f.Large {
			r = &textReader{src: r}
		}
	}
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return b
}

func wholeAnswer(k *keeper) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(k.stored)))
		_, _ = w.Write(k.stored)
	}
}

// From every offset of files of every form: the rest of the content, or an error behind its end,
// also from a server that does not know ranges.
func TestEveryOffset(t *testing.T) {
	for _, form := range []File{{}, {Large: true}, {Key: testKey}, {Key: testKey, Large: true}} {
		for _, size := range []int{0, 1, 16, 17, 32, 47} {
			if size == 0 && form.Large {
				continue
			}
			plain := content(size)
			k := &keeper{contentType: "image/png", stored: stored(t, plain, form)}
			for _, known := range []bool{false, true} {
				for _, ranges := range []bool{true, false} {
					f := form
					f.Token = "tok"
					if known {
						f.Size = int64(size)
					}
					if k.serve = nil; !ranges {
						k.serve = wholeAnswer(k)
					}
					for offset := range size + 1 {
						got, c, err := k.read(t, f, Start{Offset: int64(offset)})
						require.NoError(t, err, "%+v, %d of %d, ranges: %v", f, offset, size, ranges)
						require.True(t, bytes.Equal(plain[offset:], got), "%+v, %d of %d", f, offset, size)
						if f.Size > 0 || f.Key == "" {
							require.EqualValues(t, size, c.Size)
						} else {
							require.EqualValues(t, -1, c.Size)
						}
					}
					for _, more := range []int{1, 15, 17, 40} {
						f.Size = 0
						_, _, err := k.read(t, f, Start{Offset: int64(size + more)})
						require.ErrorContains(t, err, "ends before the offset", "%+v, %d of %d", f, size+more, size)
						require.Equal(t, 500, status(t, err))
					}
				}
			}
		}
	}
}

// Only what is missing is fetched, where that can be.
func TestOffsetSparesWhatIsThere(t *testing.T) {
	const size, offset = 100_000, 90_001
	plain := content(size)
	for name, tc := range map[string]struct {
		file File
		sent int
	}{
		"in one part":             {File{}, size - offset},
		"in parts":                {File{Large: true}, size - offset},
		"in parts, encrypted":     {File{Key: testKey, Large: true}, size - 90_000 + 16},
		"in one part, encrypted":  {File{Key: testKey}, 133_356}, // all of it, as base64
		"at the edge of a block":  {File{Key: testKey, Large: true, Name: "edge"}, size - 90_000 + 32},
		"in the first two blocks": {File{Key: testKey, Large: true, Name: "first"}, size},
	} {
		t.Run(name, func(t *testing.T) {
			at := map[string]int64{"edge": 90_000, "first": 32}[tc.file.Name]
			if at == 0 {
				at = offset
			}
			k := &keeper{contentType: "a/b", stored: stored(t, plain, tc.file)}
			tc.file.Token = "tok"
			got, _, err := k.read(t, tc.file, Start{Offset: at})
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain[at:], got))
			require.Equal(t, tc.sent, k.sent)
		})
	}
}

// What a server may answer instead of the rest of a file.
func TestOffsetFaults(t *testing.T) {
	part := func(contentRange, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, body)
		}
	}
	none := func(contentRange string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		}
	}
	for name, tc := range map[string]struct {
		large bool
		serve func(http.ResponseWriter, *http.Request)
		etag  string
		want  string
		err   string
	}{
		"an earlier range":            {false, part("bytes 4-9/10", "456789"), "", "", "another range"},
		"a later range":               {false, part("bytes 6-9/10", "6789"), "", "", "another range"},
		"a part of the rest":          {false, part("bytes 5-8/10", "5678"), "", "", "a part of the rest"},
		"length of the file not told": {false, part("bytes 5-9/*", "56789"), "", "", "a part of the rest"},
		"less than its range":         {false, part("bytes 5-9/10", "567"), "", "567", "cut"},
		"more than its range":         {false, part("bytes 5-9/10", "56789x"), "", "56789", "length is not"},
		"nothing there":               {false, none("bytes */5"), "", "", ""},
		"nothing there, says nothing": {false, none(""), "", "", "ends before the offset"},
		"nothing there, but much":     {false, none("bytes */10"), "", "", "a part of the rest"},
		"another file":                {false, part("bytes 5-9/10", "56789"), `"2"`, "", "changed"},
		"another file, whole": {false, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "0123456789")
		}, `"2"`, "", "changed"},
		"the same file":                {false, part("bytes 5-9/10", "56789"), `"1"`, "56789", ""},
		"large: an earlier range":      {true, part("bytes 4-9/10", "456789"), "", "", "another range"},
		"large: the rest":              {true, part("bytes 5-9/10", "56789"), "", "56789", ""},
		"large: nothing there":         {true, none("bytes */5"), "", "", ""},
		"large: shorter":               {true, none("bytes */4"), "", "", "ends before the offset"},
		"large: nothing, says nothing": {true, none(""), "", "", "ends before the offset"},
		"large: another file":          {true, part("bytes 5-9/10", "56789"), `"2"`, "", "changed"},
		"large: everything, and too short": {true, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "0123")
		}, "", "", "ends before the offset"},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keeper{contentType: "a/b", stored: []byte("0123456789"), etag: `"1"`, serve: tc.serve}
			got, _, err := k.read(t, File{Token: "tok", Large: tc.large}, Start{Offset: 5, ETag: tc.etag})
			require.Equal(t, tc.want, string(got))
			if tc.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.err)
			require.Equal(t, 500, status(t, err))
		})
	}
}

// A server without ranges that breaks off sends the file a second time, and no third time.
func TestNoRangesAndCut(t *testing.T) {
	k := &keeper{contentType: "a/b", stored: []byte("0123456789")}
	k.serve = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "0123456")
	}
	got, _, err := k.read(t, File{Token: "tok", Large: true}, Start{Offset: 5})
	require.Equal(t, "56", string(got))
	require.ErrorContains(t, err, "another range")
	require.Len(t, k.asked, 2)
}

func TestContentType(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	page := "<!DOCTYPE html><p>"
	for _, tc := range []struct {
		says, announced, content string
		offset                   int64
		want                     string
	}{
		{"image/png", "video/mp4", page, 0, "image/png"},
		{"text/plain; charset=utf-8", "", page, 0, "text/plain; charset=utf-8"},
		{form, "video/mp4", page, 0, "video/mp4"},
		{"application/octet-stream", "", page, 0, "text/html; charset=utf-8"},
		{form, form, page, 0, "text/html; charset=utf-8"},
		{"binary/octet-stream; x=1", "nonsense", "\x00\x01", 0, "application/octet-stream"},
		{"nonsense", "", page, 0, "text/html; charset=utf-8"},
		{"a/" + strings.Repeat("b", 300), "", page, 0, "text/html; charset=utf-8"},
		{form, "", strings.Repeat("x", 5000), 0, "text/plain; charset=utf-8"},
		{form, "", "", 0, "text/plain; charset=utf-8"},
		{form, "", page, 3, ""},
		{form, "video/mp4", page, 3, "video/mp4"},
		{"image/png", "", page, 3, "image/png"},
	} {
		for _, f := range []File{{}, {Large: true}, {Key: testKey}, {Key: testKey, Large: true}} {
			if tc.content == "" && f.Large {
				continue
			}
			k := &keeper{contentType: tc.says, stored: stored(t, []byte(tc.content), f)}
			f.Token, f.ContentType = "tok", tc.announced
			got, c, err := k.read(t, f, Start{Offset: tc.offset})
			require.NoError(t, err)
			require.Equal(t, tc.want, c.ContentType, "%+v", tc)
			require.Equal(t, tc.content[tc.offset:], string(got), "what has told it is not lost")
		}
	}
	// What breaks within that is told where it breaks.
	k := &keeper{stored: stored(t, content(300), File{Key: testKey, Large: true})[:290]}
	got, c, err := k.read(t, File{Token: "tok", Key: testKey, Large: true}, Start{})
	require.ErrorIs(t, err, errCut)
	require.Empty(t, c.ContentType)
	require.True(t, bytes.Equal(content(300)[:272], got), "%d bytes", len(got))
}
