package sdk_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// standIn answers some requests in place of the service, by method and path, and passes on all
// others.
type standIn struct {
	next    http.RoundTripper
	answers map[string]http.HandlerFunc
}

func (s *standIn) RoundTrip(req *http.Request) (*http.Response, error) {
	h := s.answers[req.Method+" "+strings.TrimPrefix(req.URL.Path, "/api/v1/")]
	if h == nil {
		return s.next.RoundTrip(req)
	}
	if req.Body != nil {
		defer req.Body.Close()
	}
	recorder := httptest.NewRecorder()
	h(recorder, req)
	res := recorder.Result()
	res.Request = req
	return res, nil
}

// answering has the requests of cfg's clients answered by answers.
func answering(t *testing.T, cfg *sdk.Config, answers map[string]http.HandlerFunc) {
	base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
	t.Cleanup(base.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: &standIn{next: base, answers: answers}}
}

// Success means that w has the whole file, as it was uploaded.
func TestDownloadIsTheWholeFile(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"GET media/packed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "<svg/>")
			_ = z.Close()
		},
		"GET media/nothing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"GET media/part": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-9/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "56789")
		},
		"GET media/refused": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, `{"status":404,"message":"no such file","path":"/media/refused"}`)
		},
		"GET media/empty": func(http.ResponseWriter, *http.Request) {},
		"GET media/generatePreAuthenticationUrlDownload": func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(w, `{"status":200,"data":"https://`+req.URL.Host+`/`+req.URL.Query().Get("fileToken")+
				`"}`)
		},
		// Both send less than was asked for and do not tell the length; the first says where the
		// file ends.
		"GET /short": func(w http.ResponseWriter, req *http.Request) {
			from, ok := map[string]string{"bytes=0-5242879": "0-4", "bytes=5-5242879": "5-9"}[req.Header.Get("Range")]
			if !ok {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			w.Header().Set("Content-Range", "bytes "+from+"/*")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, map[string]string{"0-4": "01234", "5-9": "56789"}[from])
		},
		"GET /endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-4/*")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "01234")
		},
	}
	cfg := sdktest.New(t).Config()
	answering(t, &cfg, answers)
	client := login(t, cfg, "alice")
	for _, tc := range []struct {
		file    sdk.MediaFile
		content string
		message string // of the error; empty: none
	}{
		{sdk.MediaFile{FileToken: "packed"}, "", "Unexpected answer: a file that is packed, with gzip"},
		{sdk.MediaFile{FileToken: "nothing"}, "", "Unexpected answer: HTTP status 204 instead of a file"},
		{sdk.MediaFile{FileToken: "part"}, "", "Unexpected answer: HTTP status 206 instead of a file"},
		{sdk.MediaFile{FileToken: "refused"}, "", "no such file"},
		{sdk.MediaFile{FileToken: "empty"}, "", ""},
		{sdk.MediaFile{FileToken: "short", Large: true}, "0123456789", ""},
		{
			sdk.MediaFile{FileToken: "endless", Large: true},
			"01234",
			"Unexpected answer: another range than was asked for",
		},
	} {
		t.Run(tc.file.FileToken, func(t *testing.T) {
			var got bytes.Buffer
			res, err := client.DownloadMedia(t.Context(), tc.file, &got)
			require.Equal(t, tc.content, got.String())
			if tc.message == "" {
				require.NoError(t, err)
				return
			}
			answered(t, 500, tc.message, nil, res, err)
		})
	}
}

func TestFileKeyOfAnImpossibleLength(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	requireAnswer(t, srv, client) // what the session sends by itself has come before
	before := len(srv.Requests())
	for _, n := range []int{1, 16, 31, 33, 64} {
		key := strings.Repeat("k", n)
		res, err := client.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "x", FileKey: key}, io.Discard)
		failed(t, res, err)
		require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		require.ErrorContains(t, err, "FileKey")
	}
	require.Len(t, srv.Requests(), before, "nothing was asked")
}

// change is where a transfer of alice's stands still while bob logs in with her client.
type change struct {
	t      *testing.T
	client *sdk.Client
	bob    sdk.Credentials
	once   sync.Once
}

func (c *change) hands() {
	c.once.Do(func() {
		_, err := c.client.Logout(c.t.Context())
		require.NoError(c.t, err)
		connect(c.t, c.client, c.bob)
	})
}

// changingReader changes hands before it is read.
type changingReader struct {
	io.Reader
	change *change
}

func (r changingReader) Read(p []byte) (int, error) {
	r.change.hands()
	return r.Reader.Read(p)
}

// changingWriter changes hands before it is written to.
type changingWriter struct{ change *change }

func (w changingWriter) Write(p []byte) (int, error) {
	w.change.hands()
	return len(p), nil
}

// What takes several requests belongs to the login that began it: nothing of it is sent for whoever
// logs in meanwhile.
func TestTransfersBelongToOneLogin(t *testing.T) {
	const size = 5<<20 + 1
	answers := map[string]http.HandlerFunc{}
	for name, transfer := range map[string]func(c *change) error{
		"upload in parts": func(c *change) error {
			_, err := c.client.UploadMedia(t.Context(), sdk.MediaUpload{
				To: bobJID, Name: "a.bin", Reader: bytes.NewReader(make([]byte, size)), Size: size,
				Progress: func(int64, int64) { c.hands() },
			})
			return err
		},
		"upload that was looked at": func(c *change) error {
			_, err := c.client.UploadMedia(t.Context(), sdk.MediaUpload{
				To: bobJID, Name: "a.txt", Reader: changingReader{strings.NewReader("hello"), c}, Size: 5,
			})
			return err
		},
		"picture that was looked at": func(c *change) error {
			picture := sdk.ImageReader("a.png", "", changingReader{strings.NewReader("hello"), c}, 5)
			_, err := c.client.SetUserProfile(t.Context(),
				sdk.ProfileUpdate{Email: "alice@example.com", Image: picture})
			return err
		},
		"picture that has arrived": func(c *change) error {
			answers["POST media/"] = func(w http.ResponseWriter, _ *http.Request) {
				c.hands()
				_, _ = io.WriteString(w, `{"status":200,"data":{"fileToken":"picture"}}`)
			}
			defer delete(answers, "POST media/")
			picture := sdk.ImageReader("a.png", "image/png", strings.NewReader("hello"), 5)
			_, err := c.client.SetUserProfile(t.Context(),
				sdk.ProfileUpdate{Email: "alice@example.com", Image: picture})
			return err
		},
		"download in ranges": func(c *change) error {
			up, err := c.client.UploadMedia(t.Context(), sdk.MediaUpload{
				To: bobJID, Name: "a.bin", Reader: bytes.NewReader(make([]byte, size)), Size: size,
			})
			require.NoError(t, err)
			_, err = c.client.DownloadMedia(t.Context(), up.Data, changingWriter{c})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			cfg := srv.Config()
			answering(t, &cfg, answers)
			_, bob := register(t, cfg, "bob")
			c := &change{t: t, client: login(t, cfg, "alice"), bob: bob}
			err := transfer(c)
			require.ErrorIs(t, err, sdk.ErrNotRegistered)
			require.ErrorContains(t, err, "the login that began this has ended")
			require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
			require.Empty(t, srv.Profile("bob").Email)
			for _, r := range srv.Requests() {
				require.False(t, r.User == "bob" && strings.HasPrefix(r.Path, "media/"), "%s %s", r.Method, r.Path)
			}
			_, err = c.client.GetUsersIBlocked(t.Context())
			require.NoError(t, err, "bob's login works")
		})
	}
}

// A login that has only been lost and made again is the same: its transfers go on.
func TestTransferOutlivesItsConnection(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, quick(srv.Config()), "alice")
	connect(t, client, credentials)
	connection := collect(client.OnConnection)
	var once sync.Once
	const size = 5<<20 + 1
	_, err := client.UploadMedia(t.Context(), sdk.MediaUpload{
		To: bobJID, Name: "a.bin", Reader: bytes.NewReader(make([]byte, size)), Size: size,
		Progress: func(int64, int64) {
			once.Do(func() {
				srv.ExpireTokens()
				srv.DropConnections()
				connection.until(t, isBack)
			})
		},
	})
	require.NoError(t, err)
}

// A token has expired, and the content cannot be read a second time: that upload fails, the next
// has a new token.
func TestExpiredTokenAndAPipe(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	upload := func() error {
		_, err := client.UploadMedia(t.Context(), sdk.MediaUpload{
			To: bobJID, Name: "a.txt", Reader: io.MultiReader(strings.NewReader("hello")), Size: 5,
		})
		return err
	}
	require.NoError(t, upload())
	srv.ExpireTokens()
	require.Equal(t, sdk.OutcomeRefused.String(), outcomeTold(t, upload()).String())
	require.NoError(t, upload())
}

func TestTransfersDoNotHang(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.RequestTimeout = 200 * time.Millisecond
	client := login(t, cfg, "alice")
	srv.SetFault(sdktest.StepREST, sdktest.FaultSilent)
	for _, size := range []int64{10, 6 << 20} {
		up, err := client.UploadMedia(context.Background(),
			sdk.MediaUpload{
				To: "bob", MessageID: "1", Name: "a", Reader: bytes.NewReader(make([]byte, size)),
				Size: size,
			})
		answered(t, 599, "Request timed out", sdk.ErrNetwork, up, err)
	}
	for _, large := range []bool{true, false} {
		down, err := client.DownloadMedia(context.Background(), sdk.MediaFile{FileToken: "x", Large: large}, io.Discard)
		answered(t, 599, "Request timed out", sdk.ErrNetwork, down, err)
	}
}

func TestPanickingReader(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	var none *bytes.Buffer
	set, err := client.SetUserProfile(t.Context(),
		sdk.ProfileUpdate{Email: "a@example.com", Image: sdk.ImageReader("a.png", "", none, 3)})
	require.Equal(t, 400, failed(t, set, err).StatusCode)
	set, err = client.SetUserProfile(t.Context(),
		sdk.ProfileUpdate{Email: "a@example.com", Image: sdk.ImageReader("a.png", "image/png", none, 3)})
	require.Equal(t, 400, failed(t, set, err).StatusCode)
	up, err := client.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: none, Size: 3})
	require.Equal(t, 400, failed(t, up, err).StatusCode)
}

// A download that fails while it feeds an upload is a bad reader, not the upload's own outcome.
func TestPipedTransfer(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	stranger := newClient(t, srv.Config())
	r, w := io.Pipe()
	go func() {
		_, err := stranger.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "x"}, w)
		w.CloseWithError(err)
	}()
	res, err := client.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: r, Size: 5})
	require.Equal(t, 400, failed(t, res, err).StatusCode)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
}

func TestMedia(t *testing.T) {
	t.Parallel()
	srv := sdktest.New(t)
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	for _, size := range []int{0, 1, 16, 1000, 5 << 20, 5<<20 + 1, 11 << 20} {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		for _, encrypt := range []bool{false, true} {
			_, err := alice.SetMediaEncryption(encrypt)
			require.NoError(t, err)
			var last, total int64
			sent, err := alice.UploadMedia(t.Context(), sdk.MediaUpload{
				To: "bob", MessageID: "1", Name: "a.bin", Reader: bytes.NewReader(content), Size: int64(size),
				Progress: func(n, of int64) { last, total = n, of },
			})
			require.NoError(t, err)
			require.Equal(t, encrypt, sent.Data.FileKey != "")
			require.Equal(t, size > 5<<20, sent.Data.Large)
			require.Equal(t, []int64{int64(size), int64(size)}, []int64{last, total})
			var got bytes.Buffer
			_, err = bob.DownloadMedia(t.Context(), sent.Data, &got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got.Bytes()), "%d bytes, encrypted: %v", size, encrypt)
		}
	}
	res, err := alice.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: strings.NewReader("four"), Size: 5})
	failed(t, res, err)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	var sink bytes.Buffer
	none, err := bob.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "no-such-token"}, &sink)
	require.Equal(t, 500, failed(t, none, err).StatusCode)
}
