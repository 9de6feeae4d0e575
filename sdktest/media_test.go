package sdktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// form posts a multipart body to /media/ (protocol.md 5.2).
func form(t *testing.T, s *Server, token string, fields map[string]string, file []byte) envelope {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if file != nil {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", `form-data; name="file"; filename="Me.PNG"`)
		h.Set("Content-Type", "image/png")
		p, err := w.CreatePart(h)
		require.NoError(t, err)
		_, err = p.Write(file)
		require.NoError(t, err)
	}
	for k, v := range fields {
		require.NoError(t, w.WriteField(k, v))
	}
	require.NoError(t, w.Close())
	req, err := http.NewRequest("POST", s.URL()+"/media/", &b)
	require.NoError(t, err)
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", w.FormDataContentType())
	resp, err := httpClient(t, s).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var e envelope
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&e))
	return e
}

// fetch gets a URL and returns status, body and content type.
func fetch(t *testing.T, s *Server, url, token, ranges string) (int, []byte, string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := httpClient(t, s).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, raw, resp.Header.Get("Content-Type")
}

// An uploaded page must not run on the server's own origin, where Options.Handler may have a page.
// A download that was cut can go on from where it stood.
func TestMediaInRanges(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "chat", "toUser": "bob"}, []byte("0123456789"))
	var d uploadReply
	require.NoError(t, json.Unmarshal(e.Data, &d))
	for _, tc := range []struct {
		ranges string
		status int
		want   string
	}{
		{"bytes=0-", http.StatusPartialContent, "0123456789"},
		{"bytes=7-", http.StatusPartialContent, "789"},
		{"bytes=2-3", http.StatusPartialContent, "23"},
		{"", http.StatusOK, "0123456789"},
	} {
		status, body, _ := fetch(t, s, s.URL()+"/media/"+d.FileToken, c.Token, tc.ranges)
		require.Equal(t, tc.status, status)
		require.Equal(t, tc.want, string(body))
	}
	status, _, _ := fetch(t, s, s.URL()+"/media/"+d.FileToken, c.Token, "bytes=10-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, status)
}

func TestMediaAreNoPages(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"},
		[]byte("<script>alert(1)</script>"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	var url string
	e = rest(t, s, "GET", "/media/"+preAuthentication+"?fileToken="+d.FileToken, c.Token, nil)
	require.NoError(t, json.Unmarshal(e.Data, &url))
	for _, address := range []string{url, s.URL() + "/media/" + d.FileToken} {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", c.Token)
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "sandbox", resp.Header.Get("Content-Security-Policy"))
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
	}
}

func TestSinglePartMedia(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	picture := randomBytes(t, 100_000)
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice", "messageId": ""}, picture)
	require.Equal(t, 200, e.Status)
	var d struct{ FileToken, FileTokenThumb string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	for _, token := range []string{d.FileToken, d.FileTokenThumb} {
		status, body, kind := fetch(t, s, s.URL()+"/media/"+token, c.Token, "")
		require.Equal(t, 200, status)
		require.Equal(t, "image/png", kind)
		require.Equal(t, picture, body)
		status, _, _ = fetch(t, s, s.URL()+"/media/"+token, "", "")
		require.Equal(t, 401, status)
	}
	status, _, _ := fetch(t, s, s.URL()+"/media/../../accounts.db", c.Token, "")
	require.Equal(t, 404, status)
	for _, bad := range []string{"..%2f..%2faccounts.db", "nothing.png", "%00"} {
		status, _, _ := fetch(t, s, s.URL()+"/media/"+bad, c.Token, "")
		require.Equal(t, 404, status, bad)
	}
	require.Equal(t, 400, form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, nil).Status)
	require.Equal(t, 400, form(t, s, c.Token, map[string]string{"type": "profile"}, picture).Status)
	files, err := os.ReadDir(s.media.dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "refused uploads leave nothing behind")
}

func randomBytes(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

type uploadReply struct {
	UploadURLs                              []string `json:"uploadUrls"`
	CommitURL, FileToken, Storage, UploadID string
}

func beginUpload(t *testing.T, s *Server, token string, parts int) uploadReply {
	t.Helper()
	e := rest(t, s, "POST", "/media/upload", token, map[string]any{
		"contentType": "video/mp4", "extension": "mp4", "parts": parts, "messageId": "m1", "toUser": "bob",
		"type": "chat",
	})
	require.Equal(t, 200, e.Status, e.Message)
	var u uploadReply
	require.NoError(t, json.Unmarshal(e.Data, &u))
	require.Len(t, u.UploadURLs, parts)
	return u
}

func putPart(t *testing.T, s *Server, url string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequest("PUT", url, bytes.NewReader(body))
	require.NoError(t, err)
	resp, err := httpClient(t, s).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, resp.Header.Get("ETag")
}

func TestChunkedMedia(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	other := register(t, s, "bob")
	file := randomBytes(t, 2*partSize+1234)
	for _, storage := range []string{"minio", "aws", "oracle"} {
		s.SetStorage(storage)
		u := beginUpload(t, s, c.Token, 3)
		require.Equal(t, storage, u.Storage)
		etags := make([]string, 3)
		for _, i := range []int{2, 0, 1} { // in any order
			end := min((i+1)*partSize, len(file))
			var status int
			status, etags[i] = putPart(t, s, u.UploadURLs[i], file[i*partSize:end])
			require.Equal(t, 200, status)
		}
		if storage == "oracle" {
			resp, err := httpClient(t, s).Post(u.CommitURL, "", nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 200, resp.StatusCode)
		} else {
			tags := []map[string]any{}
			for i, e := range etags {
				tags = append(tags, map[string]any{"partNumber": i + 1, "etag": e})
			}
			commit := map[string]any{"fileToken": u.FileToken, "uploadId": u.UploadID, "partETags": tags}
			require.Equal(t, 404, rest(t, s, "POST", "/media/upload/commit", other.Token, commit).Status)
			tags[1]["etag"] = "wrong"
			require.Equal(t, 400, rest(t, s, "POST", "/media/upload/commit", c.Token, commit).Status)
			tags[1]["etag"] = etags[1]
			require.Equal(t, 200, rest(t, s, "POST", "/media/upload/commit", c.Token, commit).Status)
		}
		e := rest(t, s, "GET", "/media/generatePreAuthenticationUrlDownload?fileToken="+u.FileToken, c.Token, nil)
		var url string
		require.NoError(t, json.Unmarshal(e.Data, &url))
		status, body, kind := fetch(t, s, url, "", "")
		require.Equal(t, 200, status)
		require.Equal(t, "video/mp4", kind)
		require.True(t, bytes.Equal(file, body))
		status, body, _ = fetch(t, s, url, "", "bytes=5-9")
		require.Equal(t, 206, status)
		require.Equal(t, file[5:10], body)
		status, _, _ = fetch(t, s, url+"x", "", "")
		require.Equal(t, 403, status)
	}
}

func TestOnePartNeedsNoCommit(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	u := beginUpload(t, s, c.Token, 1)
	status, _ := putPart(t, s, u.UploadURLs[0], []byte("abc"))
	require.Equal(t, 200, status)
	status, body, _ := fetch(t, s, s.URL()+"/media/"+u.FileToken, c.Token, "")
	require.Equal(t, 200, status)
	require.Equal(t, "abc", string(body))
}

func TestChunkedMediaRefusals(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, parts := range []any{0, -1, "x", maxParts + 1, 1.5, nil} {
		e := rest(t, s, "POST", "/media/upload", c.Token,
			map[string]any{"parts": parts, "toUser": "bob", "type": "chat"})
		require.Equal(t, 400, e.Status, parts)
	}
	u := beginUpload(t, s, c.Token, 2)
	status, _ := putPart(t, s, u.UploadURLs[0], []byte("short"))
	require.Equal(t, 400, status, "only the last part may be short")
	status, _ = putPart(t, s, u.UploadURLs[1], make([]byte, partSize+1))
	require.Equal(t, 400, status)
	status, _ = putPart(t, s, u.UploadURLs[1]+"0", []byte("x"))
	require.Equal(t, 403, status)
	e := rest(t, s, "POST", "/media/upload/commit", c.Token, map[string]any{
		"fileToken": u.FileToken, "uploadId": u.UploadID,
		"partETags": []map[string]any{{"partNumber": 1, "etag": ""}, {"partNumber": 2, "etag": ""}},
	})
	require.Equal(t, 400, e.Status, "nothing has arrived")
	status, _, _ = fetch(t, s, s.URL()+"/media/"+u.FileToken, c.Token, "")
	require.Equal(t, 404, status)
}

func files(t *testing.T, s *Server) int {
	t.Helper()
	entries, err := os.ReadDir(s.media.dir)
	require.NoError(t, err)
	return len(entries)
}

func TestAbandonedUploadsGo(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	old, young := beginUpload(t, s, alice.Token, 1), beginUpload(t, s, alice.Token, 1)
	s.media.mu.Lock()
	s.media.uploads[old.FileToken].began = time.Now().Add(-uploadLife - time.Minute)
	s.media.uploads[young.FileToken].began = time.Now().Add(-uploadLife + time.Minute)
	s.media.mu.Unlock()
	mine := beginUpload(t, s, bob.Token, 1)
	require.Equal(t, 2, files(t, s), "those of young and mine")
	status, _ := putPart(t, s, old.UploadURLs[0], []byte("x"))
	require.Equal(t, 403, status)
	status, _ = putPart(t, s, young.UploadURLs[0], []byte("x"))
	require.Equal(t, 200, status)

	beginUpload(t, s, alice.Token, 3)
	require.Equal(t, 3, files(t, s))
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", alice.Token,
		map[string]any{"reason": "R"}).Status)
	require.Equal(t, 2, files(t, s), "finished media and other users' uploads stay")
	status, _ = putPart(t, s, mine.UploadURLs[0], []byte("x"))
	require.Equal(t, 200, status)
}

// An upload that is dropped while its last part comes does not become a medium.
func TestDroppedUploadIsNotFinished(t *testing.T) {
	s := trial(t)
	u := beginUpload(t, s, register(t, s, "alice").Token, 1)
	up := s.media.upload(u.FileToken)
	s.media.arrived(up, 0, part{size: 1, etag: "x"})
	s.media.mu.Lock()
	delete(s.media.uploads, u.FileToken) // its file goes a moment later
	s.media.mu.Unlock()
	require.Error(t, s.media.finish(u.FileToken, up))
	_, found := s.media.get(u.FileToken)
	require.False(t, found)
}

func TestFormsAreKept(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	send := func(parts ...string) (envelope, string) {
		body := ""
		for _, p := range parts {
			body += "--x\r\nContent-Disposition: form-data; " + p + "\r\n"
		}
		req, err := http.NewRequest("POST", s.URL()+"/media/", strings.NewReader(body+"--x--\r\n"))
		require.NoError(t, err)
		req.Header.Set("Authorization", c.Token)
		req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		var e envelope
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&e))
		all := s.Requests()
		return e, all[len(all)-1].Form
	}
	file := "name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nabc"
	kind, to, id := "name=\"type\"\r\n\r\nprofile", "name=\"toUser\"\r\n\r\nalice", "name=\"messageId\"\r\n\r\n"
	e, got := send(file, kind, to, id)
	require.Equal(t, 200, e.Status)
	require.Equal(t, `{"file":{"name":"a.png","contentType":"image/png","size":3},"type":"profile","toUser":"alice",`+
		`"messageId":""}`, got)
	_, got = send(to, id, kind, file)
	require.Equal(t, `{"toUser":"alice","messageId":"","type":"profile","file":{"name":"a.png",`+
		`"contentType":"image/png","size":3}}`, got)
	e, got = send(kind)
	require.Equal(t, 400, e.Status)
	require.Equal(t, `{"type":"profile"}`, got, "what is refused too")
	before := files(t, s)
	e, _ = send(append([]string{file, kind, to}, slices.Repeat([]string{id}, maxForm)...)...)
	require.Equal(t, 400, e.Status)
	e, _ = send(file, kind, to, `name="`+strings.Repeat("n", maxField+1)+"\"\r\n\r\n")
	require.Equal(t, 400, e.Status)
	require.Equal(t, before, files(t, s))
	require.Empty(t, s.Requests()[0].Form)
}

func TestFormOfADroppedEntry(t *testing.T) {
	j := journal{changes: new(changes)}
	first := j.add(Request{})
	for range maxRequests {
		j.add(Request{})
	}
	last := j.add(Request{})
	for _, entry := range []int{first, last} {
		req := httptest.NewRequest("POST", "/", nil)
		j.setForm(req.WithContext(context.WithValue(t.Context(), entryKey{}, entry)), "F")
	}
	for i, r := range j.list {
		require.Equal(t, i == len(j.list)-1, r.Form == "F", i)
	}
}

func TestSweepTouchesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "holiday"), 0o700))
	own, foreign := filepath.Join(dir, strings.Repeat("a", 32)), filepath.Join(dir, "photo.jpg")
	for _, f := range []string{own, foreign} {
		require.NoError(t, os.WriteFile(f, []byte("x"), 0o600))
	}
	New(t, Options{MediaDir: dir})
	require.NoFileExists(t, own)
	require.FileExists(t, foreign)
}
