package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

func TestSingleDownloadFaults(t *testing.T) {
	s := newService(t)
	c := s.client(t)
	plain := content(1000)
	f, err := Upload(t.Context(), c, Source{Reader: bytes.NewReader(plain), Size: 1000}, true, testIV)
	require.NoError(t, err)
	good := s.file()
	wrong := f
	wrong.Key = testKey
	cases := []struct {
		name   string
		file   File
		posted []byte
		text   string
	}{
		{"wrong key", wrong, good, "media: "}, // one in 256 looks padded, and is of another length
		{"not base64", f, []byte("<html>"), "illegal base64"},
		{"cut", f, good[:400], "media"},
		{"empty", f, nil, "wrong key"},
		{"other size", File{Token: "single", Size: 7}, good, "length is not"},
		{"other size, larger", File{Token: "single", Size: 70_000}, good, "length is not"},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			s.set(func() { s.posted = k.posted })
			err := download(t.Context(), c, k.file, testIV, io.Discard)
			require.ErrorContains(t, err, k.text)
			require.Equal(t, 500, status(t, err))
		})
	}
	s.set(func() { s.posted = good })
	full := errors.New("disk full")
	err = download(t.Context(), c, f, testIV, failingWriter{full})
	require.ErrorIs(t, err, full)

	s.set(func() {
		s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(good)
			panic(http.ErrAbortHandler)
		}
	})
	err = download(t.Context(), c, f, testIV, io.Discard)
	require.Equal(t, 599, status(t, err), "a broken connection is no end of file")
	s.set(func() {
		s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"status":404,"message":"gone"}`)
			return true
		}
	})
	err = download(t.Context(), c, File{Token: "x"}, testIV, io.Discard)
	require.ErrorContains(t, err, "gone (500)")
}

// SECURITY.md: no more comes than what there is room for, whatever is announced.
func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		most  int64
		short error
		want  string
		err   error
	}{
		{0, nil, "", errTooLong},
		{1, nil, "h", errTooLong},
		{4, nil, "hell", errTooLong},
		{5, nil, "hello", nil},
		{5, errCut, "hello", nil},
		{6, errCut, "hello", errCut},
		{1 << 40, nil, "hello", nil},
	} {
		for _, src := range []io.Reader{
			bytes.NewReader([]byte("hello")), iotest.OneByteReader(bytes.NewReader([]byte("hello"))),
			iotest.DataErrReader(bytes.NewReader([]byte("hello"))),
		} {
			b := &boundedReader{r: src, left: tc.most, short: tc.short, long: errTooLong}
			got, err := io.ReadAll(b)
			require.Equal(t, tc.err, err)
			require.Equal(t, tc.want, string(got))
			if err == errTooLong {
				n, err := b.Read(make([]byte, 5))
				require.Zero(t, n, "it stays at its end")
				require.Equal(t, errTooLong, err)
			}
		}
	}
}

// SECURITY.md: a file that has no end costs what there is room for and a few buffers.
func TestEndlessDownload(t *testing.T) {
	const room = 1 << 20
	var sent endless
	c := rest.New(rest.Config{
		BaseURL: "https://service.example",
		HTTPClient: &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(&sent), ContentLength: -1, Request: req,
			}, nil
		})},
	})
	defer c.Close()
	content, err := Open(t.Context(), c, File{Token: "x"}, testIV, Start{}, room)
	require.NoError(t, err)
	defer content.Close()
	var got bytes.Buffer
	err = content.CopyTo(&got)
	require.ErrorIs(t, err, errTooLong)
	require.Equal(t, 500, status(t, err))
	require.Equal(t, room, got.Len())
	require.Less(t, sent.read, int64(4*room))
}

// download writes the whole of f to w.
func download(ctx context.Context, c *rest.Client, f File, iv string, w io.Writer) error {
	content, err := Open(ctx, c, f, iv, Start{}, 1<<40)
	if err != nil {
		return err
	}
	defer content.Close()
	return content.CopyTo(w)
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// endless is a file that has no end.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}
