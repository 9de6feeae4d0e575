package rest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMediaPath(t *testing.T) {
	for token, want := range map[string]string{
		"abc":            "/media/abc",
		"a.b/c-d_e~":     "/media/a.b/c-d_e~",
		"a b?c#d":        "/media/a%20b%3Fc%23d",
		"é\x00\"<":       "/media/%C3%A9%00%22%3C",
		"50%25":          "/media/50%25",
		"50%":            "/media/50%25",
		"a%zz":           "/media/a%25zz",
		"...":            "/media/...",
		"a..b/.hidden":   "/media/a..b/.hidden",
		"x=1&y=2;z,@:!$": "/media/x=1&y=2;z,@:!$",
	} {
		got, err := mediaPath(token)
		require.NoError(t, err, token)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{
		"", ".", "..", "../logout", "a/../../logout", "a/..", "%2e%2e/logout", "a/%2E%2E%2flogout", `..\logout`, "./x",
	} {
		_, err := mediaPath(bad)
		require.Equal(t, "File Token is not valid or required (400)", fail(t, err).Error(), bad)
		require.Equal(t, KindToken, fail(t, err).Kind())
	}
}

// getMedia fetches the whole of what a profile or a message names.
func (c testClient) getMedia(ctx context.Context, fileToken string) (*Media, error) {
	at, err := c.FindMedia(ctx, fileToken)
	if err != nil {
		return nil, err
	}
	return c.GetMedia(ctx, at, 0)
}

func fetchForeign(cfg *Config) { cfg.FetchForeignURLs = true }

func TestGetMedia(t *testing.T) {
	picture := typed("image/png", 200, png)
	stranger := serve(t, handlers{"GET /pic": picture, "GET /api/media/tok": picture})
	s := serve(t,
		handlers{"POST /api/login": answer(200, loginOK), "GET /api/media/tok": picture, "GET /other": picture},
	)
	c := connect(t, s.URL+"/api", fetchForeign)
	c.login(t)
	cases := []struct {
		name, token string
		from        *service
		call        string
		auth        string
	}{
		{"token", "tok", s, "GET /api/media/tok", "tok-1"},
		{"own URL", s.URL + "/api/media/tok", s, "GET /api/media/tok", "tok-1"},
		{"own URL with mf", s.URL + "/api/media/tok?mf=abc&x=y", s, "GET /api/media/tok", "tok-1"},
		{"own host, other path", s.URL + "/other", s, "GET /other", ""},
		{"stranger", stranger.URL + "/pic", stranger, "GET /pic", ""},
		{"stranger that looks like us", stranger.URL + "/api/media/tok", stranger, "GET /api/media/tok", ""},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			before := k.from.count(k.call)
			m, err := c.getMedia(t.Context(), k.token)
			require.NoError(t, err)
			defer m.Close()
			content, err := io.ReadAll(m)
			require.NoError(t, err)
			require.Equal(t, png, string(content))
			require.Equal(t, "image/png", m.ContentType)
			require.Equal(t, int64(len(png)), m.Total)
			require.Equal(t, before+1, k.from.count(k.call))
			require.Equal(t, k.auth, k.from.header(k.call).Get("Authorization"))
			require.Equal(t, "identity", k.from.header(k.call).Get("Accept-Encoding"))
		})
	}

	for _, own := range []string{s.URL + "/api/media/../logout", s.URL + "/api/media/", s.URL + "/api/media/?mf=1"} {
		_, err := c.getMedia(t.Context(), own)
		require.Equal(t, 400, fail(t, err).Status, own)
	}
	_, err := c.getMedia(t.Context(), "https://")
	require.Equal(t, 500, fail(t, err).Status)
	strict := connect(t, "https://127.0.0.1:1", fetchForeign, func(cfg *Config) { cfg.AllowInsecure = false })
	_, err = strict.getMedia(t.Context(), stranger.URL+"/pic")
	require.ErrorIs(t, err, ErrInsecure)
}

func TestGetMediaRefused(t *testing.T) {
	refusal := `{"status":404,"message":"no such file"}`
	long := `{"status":404,"message":"` + strings.Repeat("x", maxError) + `"}`
	packed := func(coding string) http.HandlerFunc {
		return withHeader("Content-Encoding", coding, typed("image/svg+xml", 200, "<svg/>"))
	}
	cases := []struct {
		name    string
		answer  http.HandlerFunc
		status  int // 0: the body is the file
		content string
	}{
		{"envelope with HTTP 200", answer(200, refusal), 404, ""},
		{"envelope with HTTP 404", answer(404, refusal), 404, ""},
		{"envelope as text", typed("text/plain", 200, refusal), 404, ""},
		{"envelope of no type", typed("", 200, " \n"+refusal), 404, ""},
		{"envelope as a picture", typed("image/png", 200, refusal), 404, ""},
		{
			"envelope with data and more", answer(200, `{"status":404,"message":"x","data":null,"path":"/media"}`), 404,
			"",
		},
		{"envelope with digits", answer(200, `{"status":"404","message":"x"}`), 404, ""},
		{"envelope that comes in drops", drops(refusal), 404, ""},
		{"error page", typed("text/html", 500, "<p>"), 500, ""},
		{"no content", typed("image/png", 204, ""), 500, ""},
		{"later", typed("image/png", 202, ""), 500, ""},
		{"changed by a proxy", typed("image/png", 203, png), 500, ""},
		{"an unasked part", withHeader("Content-Range", "bytes 0-4/10", typed("image/png", 206, "01234")), 500, ""},
		{
			"an unasked part that is all", withHeader("Content-Range", "bytes 0-4/5", typed("image/png", 206, "01234")),
			500, "",
		},
		{"packed", packed("gzip"), 500, ""},
		{"packed otherwise", packed("br"), 500, ""},
		{"packed in nothing", packed("Identity"), 0, "<svg/>"},
		{"JSON file", answer(200, `{"a":1}`), 0, `{"a":1}`},
		{"JSON file with a status", answer(200, `{"status":404,"more":1}`), 0, `{"status":404,"more":1}`},
		{"JSON file with status 200", answer(200, `{"status":200,"message":"x"}`), 0, `{"status":200,"message":"x"}`},
		{
			"JSON file with another message", answer(200, `{"status":404,"message":{}}`), 0,
			`{"status":404,"message":{}}`,
		},
		{"long JSON file", answer(200, long), 0, long},
		{"broken JSON file", answer(200, `{"a`), 0, `{"a`},
		{"page that somebody uploaded", typed("text/html", 200, "<p>"), 0, "<p>"},
		{"nothing", typed("image/png", 200, ""), 0, ""},
		{"white space", typed("text/plain", 200, " \n"), 0, " \n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"GET /media/tok": c.answer})
			m, err := connect(t, s.URL).getMedia(t.Context(), "tok")
			if c.status != 0 {
				require.Equal(t, c.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			defer m.Close()
			content, err := io.ReadAll(m)
			require.NoError(t, err)
			require.Equal(t, c.content, string(content))
		})
	}
}

// drops sends text one byte at a time.
func drops(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, b := range []byte(text) {
			_, _ = w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}
}

func TestGetMediaWithAnExpiredToken(t *testing.T) {
	for _, code := range []int{401, 200} {
		k := &tokens{http: code}
		s := serve(t, handlers{"POST /login": k.login, "GET /media/tok": k.guard(typed("image/png", 200, png))})
		c := connect(t, s.URL)
		c.login(t)
		k.expire()
		m, err := c.getMedia(t.Context(), "tok")
		require.NoError(t, err)
		content, err := io.ReadAll(m)
		m.Close()
		require.NoError(t, err)
		require.Equal(t, png, string(content))
	}
}

func TestGetRange(t *testing.T) {
	ranged := func(span string, code int) http.HandlerFunc {
		return withHeader("Content-Range", span, typed("x/y", code, "bytes"))
	}
	cases := []struct {
		name               string
		answer             http.HandlerFunc
		offset, end, total int64
		status             int
	}{
		{"range", ranged("bytes 10-14/100", 206), 10, 15, 100, 0},
		{"less than asked for", ranged("bytes 10-11/100", 206), 10, 12, 100, 0},
		{"length not told", ranged("bytes 10-14/*", 206), 10, 15, -1, 0},
		{"no range", typed("x/y", 200, "bytes"), 0, 0, 5, 0},
		{"no Content-Range", typed("x/y", 206, "bytes"), 0, 0, 0, 500},
		{"nonsense", ranged("items 1-2/3", 206), 0, 0, 0, 500},
		{"negative", ranged("bytes -5-1/3", 206), 0, 0, 0, 500},
		{"ends before it begins", ranged("bytes 10-9/100", 206), 0, 0, 0, 500},
		{"ends behind the file", ranged("bytes 10-14/14", 206), 0, 0, 0, 500},
		{"packed", withHeader("Content-Encoding", "gzip", ranged("bytes 10-14/100", 206)), 0, 0, 0, 500},
		{"no content", ranged("", 204), 0, 0, 0, 500},
		{"past the end", ranged("bytes */10", 416), 10, 10, 10, 0},
		{"past the end, length not told", typed("", 416, "<Error/>"), 10, 10, -1, 0},
		{"refused, before the end", ranged("bytes */100", 416), 10, 10, 100, 0},
		{"link expired", typed("application/xml", 403, "<Error/>"), 0, 0, 0, 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /login": answer(200, loginOK), "GET /f": c.answer})
			client := connect(t, s.URL)
			client.login(t)
			m, err := client.GetRange(t.Context(), s.URL+"/f?sig=1", 10, 14)
			require.Equal(t, "bytes=10-14", s.header("GET /f").Get("Range"))
			require.NotContains(t, s.header("GET /f"), "Authorization")
			if c.status != 0 {
				require.Equal(t, c.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			defer m.Close()
			require.Equal(t, c.offset, m.Offset)
			require.Equal(t, c.end, m.End)
			require.Equal(t, c.total, m.Total)
		})
	}
}

func TestPutPart(t *testing.T) {
	var got []string
	put := func(f http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, string(body))
			f(w, r)
		}
	}
	s := serve(t, handlers{"POST /login": answer(200, loginOK), "PUT /p": sequence(
		put(typed("application/xml", 500, "<Error/>")), put(answer(503, "")), put(
			withHeader("ETag", `"e1"`, typed("", 200, "")),
		),
	)})
	c := connect(t, s.URL)
	c.login(t)
	etag, err := c.PutPart(t.Context(), s.URL+"/p?sig=1", []byte("part"), "image/png")
	require.NoError(t, err)
	require.Equal(t, `"e1"`, etag)
	require.Equal(t, []string{"part", "part", "part"}, got)
	h := s.header("PUT /p")
	require.NotContains(t, h, "Authorization")
	require.Equal(t, "image/png", h.Get("Content-Type"))
	require.Equal(t, "4", h.Get("Content-Length"))

	s = serve(t, handlers{"PUT /p": answer(500, "")})
	_, err = connect(t, s.URL).PutPart(t.Context(), s.URL+"/p", []byte("part"), "")
	require.Equal(t, 500, fail(t, err).Status)
	require.Equal(t, 3, s.count("PUT /p"))

	for _, code := range []int{202, 206} {
		s = serve(t, handlers{"PUT /p": answer(code, "")})
		_, err = connect(t, s.URL).PutPart(t.Context(), s.URL+"/p", []byte("part"), "")
		require.Equal(t, 500, fail(t, err).Status, "%d does not say that it is stored", code)
	}

	s = serve(t, handlers{"PUT /p": answer(403, "")})
	_, err = connect(t, s.URL).PutPart(t.Context(), s.URL+"/p", []byte("part"), "")
	require.Equal(t, 403, fail(t, err).Status)
	require.Equal(t, 1, s.count("PUT /p"))

	for _, bad := range []string{"", "/p", "ftp://h/p", "file:///etc/passwd"} {
		_, err = c.PutPart(t.Context(), bad, []byte("part"), "")
		require.Equal(t, 500, fail(t, err).Status, bad)
	}
	strict := connect(t, "https://h", func(cfg *Config) { cfg.AllowInsecure = false })
	_, err = strict.PutPart(t.Context(), s.URL+"/p", []byte("part"), "")
	require.ErrorIs(t, err, ErrInsecure)
}

// A transport may read a request body for longer than the request takes. When PutPart has returned
// it reads nothing of the part any more: the caller has filled the buffer anew by then.
func TestPartIsNotReadAfterItsReturn(t *testing.T) {
	var body io.ReadCloser
	service := roundTrip(func(r *http.Request) (*http.Response, error) {
		body = r.Body
		stored := reply("")
		stored.Header.Set("ETag", `"e"`)
		return stored, nil
	})
	c := connect(t, "http://service.example", func(cfg *Config) { cfg.HTTPClient = &http.Client{Transport: service} })
	buffer := make([]byte, 16)
	// A single call would show it only when another goroutine is slow.
	for range 200 {
		_, err := c.PutPart(t.Context(), "http://storage.example/part", []byte("the first part"), "")
		n, late := body.Read(buffer)
		require.NoError(t, err)
		require.Zero(t, n, "%s", buffer[:n])
		require.Error(t, late)
	}
}

func TestStartUpload(t *testing.T) {
	for data, status := range map[string]int{
		`{"uploadUrls":["https://a"],"fileToken":"t"}`:             0,
		`{"uploadUrls":["https://a","https://b"],"fileToken":"t"}`: 500,
		`{"uploadUrls":[],"fileToken":"t"}`:                        500,
		`{"uploadUrls":"https://a","fileToken":"t"}`:               500,
		`{"uploadUrls":["https://a"]}`:                             500,
		`null`:                                                     500,
	} {
		s := serve(t, handlers{"POST /media/upload": answer(200, `{"status":200,"data":`+data+`}`)})
		_, err := connect(t, s.URL).StartUpload(t.Context(), UploadStart{Parts: 1})
		if status == 0 {
			require.NoError(t, err)
		} else {
			require.Equal(t, status, fail(t, err).Status, data)
		}
	}
}

func TestCommitUpload(t *testing.T) {
	s := serve(t,
		handlers{
			"POST /login": answer(200, loginOK), "POST /commit": answer(200, ""),
			"POST /media/upload/commit": answer(200, plainOK),
		},
	)
	c := connect(t, s.URL)
	c.login(t)
	require.NoError(t,
		c.CommitUpload(t.Context(), &Upload{Storage: "oracle", CommitURL: s.URL + "/commit"}, []string{"a", "b"}),
	)
	require.NotContains(t, s.header("POST /commit"), "Authorization")
	require.Zero(t, s.count("POST /media/upload/commit"))
	require.NoError(t, c.CommitUpload(t.Context(), &Upload{Storage: "minio"}, []string{"a", "b"}))
	require.Equal(t, "tok-1", s.header("POST /media/upload/commit").Get("Authorization"))
	require.Equal(t, 500, fail(t, c.CommitUpload(t.Context(), &Upload{Storage: "azure"}, nil)).Status)
	require.Equal(t, 500, fail(t, c.CommitUpload(t.Context(), &Upload{Storage: "oracle"}, nil)).Status)
}

func TestDownloadURL(t *testing.T) {
	s := serve(t, handlers{"GET /media/generatePreAuthenticationUrlDownload": func(
		w http.ResponseWriter, r *http.Request,
	) {
		require.Equal(t, "fileToken=a%2Fb%26c", r.URL.RawQuery)
		answer(200, `{"status":200,"data":"https://store/x?sig=1"}`)(w, r)
	}})
	c := connect(t, s.URL)
	url, err := c.DownloadURL(t.Context(), "a/b&c")
	require.NoError(t, err)
	require.Equal(t, "https://store/x?sig=1", url)
	_, err = c.DownloadURL(t.Context(), "")
	require.Equal(t, "File Token is not valid or required", fail(t, err).Message)
}
