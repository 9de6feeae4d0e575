package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

type part struct{ name, file, kind, content string }

// parts reads the multipart body of r in order. A body that is cut is an error.
func parts(r *http.Request) ([]part, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	var all []part
	for reader := multipart.NewReader(r.Body, params["boundary"]); ; {
		p, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return all, err
		}
		_, disposition, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		all = append(all, part{p.FormName(), disposition["filename"], p.Header.Get("Content-Type"), string(content)})
	}
}

const uploadOK = `{"status":200,"data":{"fileToken":"f1","fileTokenThumb":"t1"}}`

// uploads is a service that keeps the parts of each complete upload.
func uploads(t *testing.T, then http.HandlerFunc) (*service, *[][]part) {
	var got [][]part
	return serve(t, handlers{"POST /login": answer(200, loginOK), "POST /media/": func(
		w http.ResponseWriter, r *http.Request,
	) {
		if all, err := parts(r); err == nil {
			got = append(got, all)
		}
		then(w, r)
	}}), &got
}

const png = "\x89PNG\r\n\x1a\n...."

func TestUploadProfileImage(t *testing.T) {
	s, got := uploads(t, answer(200, uploadOK))
	c := connect(t, s.URL)
	c.login(t)
	done, err := c.UploadProfileImage(
		t.Context(), "alice_1",
		File{Name: "me.png", ContentType: "image/png", Reader: strings.NewReader(png), Size: int64(len(png))},
	)
	require.NoError(t, err)
	require.Equal(t, Uploaded{Token: "f1", Thumb: "t1"}, done)
	require.Equal(t,
		[]part{
			{"file", "me.png", "image/png", png},
			{"type", "", "", "profile"},
			{"toUser", "", "", "alice_1"},
			{"messageId", "", "", ""},
		},
		(*got)[0],
	)
	h := s.header("POST /media/")
	require.Equal(t, "tok-1", h.Get("Authorization"))
	require.True(t, strings.HasPrefix(h.Get("Content-Type"), "multipart/form-data; boundary="))
}

func TestUploadForms(t *testing.T) {
	tail := strings.Repeat("x", 2000)
	cases := []struct {
		name     string
		file     File
		filename string
		kind     string
		content  string
	}{
		{
			"sniffed",
			File{Name: "a", Reader: strings.NewReader(png + tail), Size: int64(len(png + tail))},
			"a",
			"image/png", png + tail,
		},
		{
			"sniffed, once only",
			File{Name: "a", Reader: iotest.OneByteReader(strings.NewReader(png)), Size: int64(len(png))},
			"a",
			"image/png", png,
		},
		{
			"size not known",
			File{Name: "a", Reader: iotest.HalfReader(strings.NewReader(png + tail)), Size: -1},
			"a",
			"image/png", png + tail,
		},
		{"empty", File{Name: "a", Reader: strings.NewReader(""), Size: 0}, "a", "text/plain; charset=utf-8", ""},
		{
			"from the middle",
			File{Name: "a", ContentType: "x/y", Reader: skipped("12345", 2), Size: 3},
			"a", "x/y",
			"345",
		},
		{
			"hostile name",
			File{Name: "a\"\r\nX: y\\é.png", ContentType: "x/y", Reader: strings.NewReader("1"), Size: 1},
			"a\"%0D%0AX: y\\é.png", "x/y", "1",
		},
		{
			"type with a line break",
			File{Name: "a", ContentType: "x/y;\r\n a=b\r\n", Reader: strings.NewReader("abc"), Size: 3},
			"a",
			"text/plain; charset=utf-8", "abc",
		},
		{
			"hostile type",
			File{Name: "a", ContentType: "x/y\r\nX: y", Reader: strings.NewReader("abc"), Size: 3},
			"a",
			"text/plain; charset=utf-8", "abc",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, got := uploads(t, answer(200, `{"status":200,"data":{"fileToken":"f1"}}`))
			done, err := connect(t, s.URL).PostMedia(
				t.Context(), Form{Type: "chat", ToUser: "bob", MessageID: "m1", File: c.file},
			)
			require.NoError(t, err)
			require.Equal(t, Uploaded{Token: "f1"}, done)
			require.Equal(t,
				[]part{
					{"file", c.filename, c.kind, c.content},
					{"type", "", "", "chat"},
					{"toUser", "", "", "bob"},
					{"messageId", "", "", "m1"},
				},
				(*got)[0],
			)
		})
	}
}

func skipped(s string, n int64) io.Reader {
	r := strings.NewReader(s)
	_, _ = r.Seek(n, io.SeekStart)
	return r
}

// An upload of which the service gets a part, or something else, must fail.
func TestUploadOfAnotherSize(t *testing.T) {
	broken := errors.New("disk on fire")
	cases := []struct {
		name   string
		reader io.Reader
		text   string
	}{
		{"shorter", strings.NewReader(strings.Repeat("x", 99_990)), "10 bytes shorter than its size"},
		{"empty", strings.NewReader(""), "100000 bytes shorter than its size"},
		{"longer", strings.NewReader(strings.Repeat("x", 100_001)), "longer than its size"},
		{"endless", iotest.DataErrReader(endlessReader{}), "longer than its size"},
		{
			"fails", io.MultiReader(strings.NewReader(strings.Repeat("x", 70_000)), iotest.ErrReader(broken)),
			"disk on fire",
		},
		{"fails at once", iotest.ErrReader(broken), "disk on fire"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, got := uploads(t, answer(200, uploadOK))
			_, err := connect(t, s.URL).UploadProfileImage(t.Context(), "alice", File{Reader: c.reader, Size: 100_000})
			require.ErrorIs(t, err, ErrSource)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, 400, fail(t, err).Status)
			s.Close()
			require.Empty(t, *got, "no complete upload may arrive")
		})
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestUploadRepeated(t *testing.T) {
	content := strings.Repeat("content ", 1000)
	onDisk := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(onDisk, []byte(content), 0o600))
	file, err := os.Open(onDisk)
	require.NoError(t, err)
	defer file.Close()
	pipe, feed, err := os.Pipe()
	require.NoError(t, err)
	defer pipe.Close()
	_, err = feed.WriteString(content)
	require.NoError(t, err)
	feed.Close()
	cases := []struct {
		name   string
		file   File
		rewind bool
	}{
		{"seeker", File{Reader: strings.NewReader(content)}, true},
		{"file", File{Reader: file}, true},
		{
			"rewind",
			File{Rewind: func() (io.Reader, error) { return iotest.HalfReader(strings.NewReader(content)), nil }},
			true,
		},
		{"plain reader", File{Reader: iotest.HalfReader(strings.NewReader(content))}, false},
		{"pipe, a file that cannot seek", File{Reader: pipe}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, got := uploads(t, sequence(answer(401, expiredJSON), answer(429, ""), answer(200, uploadOK)))
			client := connect(t, s.URL)
			client.login(t)
			c.file.Size = int64(len(content))
			_, err := client.UploadProfileImage(t.Context(), "alice", c.file)
			if !c.rewind {
				e := fail(t, err)
				require.Equal(t, 401, e.Status)
				require.Equal(t, "Media Upload Failed", e.Message)
				require.ErrorContains(t, e, "Token Expired")
				require.Len(t, *got, 1)
				return
			}
			require.NoError(t, err)
			require.Len(t, *got, 3)
			for _, upload := range *got {
				require.Equal(t, content, upload[0].content)
			}
		})
	}
}

// The service refuses before it has read the body; the reader must be free again
// before it is rewound. The race detector watches.
func TestUploadRefusedEarly(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 8<<20)
	var got int
	s := serve(t, handlers{"POST /login": answer(200, loginOK), "POST /media/": sequence(answer(401, expiredJSON), func(
		w http.ResponseWriter, r *http.Request,
	) {
		if all, err := parts(r); err == nil {
			got = len(all[0].content)
		}
		answer(200, uploadOK)(w, r)
	})})
	c := connect(t, s.URL)
	c.login(t)
	_, err := c.PostMedia(
		t.Context(), Form{File: File{Reader: bytes.NewReader(content), Size: int64(len(content)), ContentType: "x/y"}},
	)
	// A server that closes with unread data resets the connection, and the refusal
	// can be lost with it; then the write is not repeated.
	if err == nil {
		require.Equal(t, len(content), got)
	} else {
		require.Contains(t, []int{401, 599}, fail(t, err).Status)
	}
}

func TestUploadRefused(t *testing.T) {
	cases := []struct {
		answer http.HandlerFunc
		status int
	}{
		{answer(200, `{"status":400,"message":"too large"}`), 400},
		{answer(413, ``), 413},
		{answer(500, `{"message":"x"}`), 500},
		{typed("text/html", 200, "<p>"), 500},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 599},
	}
	for _, c := range cases {
		s, _ := uploads(t, c.answer)
		_, err := connect(t, s.URL).UploadProfileImage(
			t.Context(), "alice", File{Reader: strings.NewReader("x"), Size: 1},
		)
		require.Equal(t, c.status, fail(t, err).Status)
		require.Equal(t, "Media Upload Failed", fail(t, err).Message)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, _ := uploads(t, answer(200, uploadOK))
	_, err := connect(t, s.URL).UploadProfileImage(ctx, "alice", File{Reader: strings.NewReader("x"), Size: 1})
	require.Equal(t, "API cancelled by user", fail(t, err).Message)
}

func TestUploadStreams(t *testing.T) {
	const size = 64 << 20
	var n int64
	s := serve(t, handlers{"POST /media/": func(w http.ResponseWriter, r *http.Request) {
		n, _ = io.Copy(io.Discard, r.Body)
		answer(200, uploadOK)(w, r)
	}})
	c := connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient.Timeout = time.Nanosecond })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.PostMedia(t.Context(), Form{File: File{Reader: io.LimitReader(endlessReader{}, size), Size: size}})
	runtime.ReadMemStats(&after)
	require.NoError(t, err, "the caller's Timeout is no limit for a transfer")
	require.Greater(t, n, int64(size))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

// A transfer in which nothing moves ends, even without a deadline.
func TestStalledTransfer(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	hang := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "start")
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	s := serve(t, handlers{"POST /media/": hang, "GET /media/tok": hang})
	c := connect(t, s.URL, func(cfg *Config) { cfg.RequestTimeout = 50 * time.Millisecond })
	_, err := c.PostMedia(context.Background(), Form{File: File{Reader: strings.NewReader("x"), Size: 1}})
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Request timed out", fail(t, err).Message)

	stuck, feed := io.Pipe()
	defer feed.Close()
	_, err = c.PostMedia(context.Background(), Form{File: File{Reader: stuck, Size: 5, ContentType: "x/y"}})
	require.Equal(t, "Request timed out", fail(t, err).Message)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.PostMedia(ctx, Form{File: File{Reader: stuck, Size: 5}}) // stuck in the sniffing
	require.Equal(t, "Request timed out", fail(t, err).Message)

	var m *Media
	// It doubles while a busy machine cannot even begin in that time.
	for limit := 50 * time.Millisecond; m == nil; limit *= 2 {
		require.Less(t, limit, time.Minute)
		c = connect(t, s.URL, func(cfg *Config) { cfg.RequestTimeout = limit })
		begun, err := c.getMedia(context.Background(), "tok")
		if err != nil {
			require.Equal(t, "Request timed out", fail(t, err).Message)
			continue
		}
		defer begun.Close()
		if _, err = io.ReadFull(begun, make([]byte, 5)); err == nil {
			m = begun
		}
	}
	require.False(t, m.watch.timer.Stop(), "a caller that takes its time is no stall")
	_, err = io.ReadAll(m)
	require.Equal(t, "Request timed out", fail(t, err).Message)
	require.NotErrorIs(t, err, context.Canceled, "nobody has cancelled")
	require.ErrorIs(t, err, errStalled)
}

// To rewind may take as long as to read, as on a mount that hangs: the call ends with its context
// all the same.
func TestRewindThatHangs(t *testing.T) {
	s, _ := uploads(t, answer(401, expiredJSON))
	c := connect(t, s.URL)
	c.login(t)
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	first := true
	_, err := c.PostMedia(ctx, Form{File: File{ContentType: "x/y", Size: 1, Rewind: func() (io.Reader, error) {
		if first {
			first = false
			return strings.NewReader("x"), nil
		}
		cancel()
		<-release
		return nil, errors.New("too late")
	}}})
	require.Equal(t, 499, fail(t, err).Status)
}
