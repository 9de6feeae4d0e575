package sdk_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// standIn answers some requests in place of the service, by method and path, and passes on all others.
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
			_, _ = io.WriteString(w, `{"status":200,"data":"https://`+req.URL.Host+`/`+req.URL.Query().Get("fileToken")+`"}`)
		},
		// Both send less than was asked for and do not tell the length; the first says where the file ends.
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
		{sdk.MediaFile{FileToken: "endless", Large: true}, "01234", "Unexpected answer: another range than was asked for"},
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
