package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

func TestMain(m *testing.M) {
	versus.Main(sink())
	goleak.VerifyTestMain(m)
}

// service keeps one file: in parts on disk, or from a form.
type service struct {
	*httptest.Server
	storage string
	disk    *os.File
	fault   func(w http.ResponseWriter, r *http.Request) bool // answers instead when true

	mu      sync.Mutex
	calls   []string // method and path, without the number of a part
	start   map[string]any
	commits []string // bodies
	form    map[string]string
	kind    string
	posted  []byte
	links   int
}

func newService(t *testing.T) *service {
	t.Helper()
	disk, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	s := &service{storage: "minio", disk: disk, fault: func(http.ResponseWriter, *http.Request) bool { return false }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /media/{$}", s.post)
	mux.HandleFunc("POST /media/upload", s.begin)
	mux.HandleFunc("PUT /store/{part}", s.put)
	mux.HandleFunc("POST /store/commit", s.commit)
	mux.HandleFunc("POST /media/upload/commit", s.commit)
	mux.HandleFunc("GET /media/generatePreAuthenticationUrlDownload", s.link)
	mux.HandleFunc("GET /media/{token}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.file()) })
	mux.HandleFunc("GET /store/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(disk, 0, s.size()))
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+strings.TrimRight(r.URL.Path, "0123456789"))
		fault := s.fault
		s.mu.Unlock()
		if !fault(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { s.Close(); disk.Close() })
	return s
}

// set changes the service while it runs.
func (s *service) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *service) file() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posted
}

func (s *service) size() int64 {
	info, err := s.disk.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *service) count(call string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == call {
			n++
		}
	}
	return n
}

func say(w http.ResponseWriter, data any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"status": 200, "data": data})
}

func (s *service) post(w http.ResponseWriter, r *http.Request) {
	reader, err := r.MultipartReader()
	if err != nil {
		return
	}
	form := map[string]string{}
	for {
		p, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return // cut short: no form
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return
		}
		if p.FormName() == "file" {
			s.set(func() { s.posted, s.kind = body, p.Header.Get("Content-Type") })
			continue
		}
		form[p.FormName()] = string(body)
	}
	s.set(func() { s.form = form })
	say(w, map[string]string{"fileToken": "single"})
}

func (s *service) begin(w http.ResponseWriter, r *http.Request) {
	s.start = map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&s.start)
	urls := make([]string, int(s.start["parts"].(float64)))
	for i := range urls {
		urls[i] = fmt.Sprintf("%s/store/%d?sig=x", s.URL, i)
	}
	say(w,
		map[string]any{
			"uploadUrls": urls, "commitUrl": s.URL + "/store/commit", "fileToken": "parts", "storage": s.storage,
			"uploadId": "u1",
		},
	)
}

func (s *service) put(w http.ResponseWriter, r *http.Request) {
	part, _ := strconv.ParseInt(r.PathValue("part"), 10, 64)
	_, err := io.Copy(io.NewOffsetWriter(s.disk, part*partSize), r.Body)
	if err != nil || r.Header.Get("Authorization") != "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"e%d"`, part))
}

func (s *service) commit(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.commits = append(s.commits, r.URL.Path+" "+string(body))
	s.mu.Unlock()
	say(w, nil)
}

func (s *service) link(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.links++
	s.mu.Unlock()
	say(w, s.URL+"/store/file?sig="+r.URL.Query().Get("fileToken"))
}

func (s *service) client(t *testing.T) *rest.Client {
	t.Helper()
	transport := &http.Transport{}
	c := rest.New(
		rest.Config{
			LicenseKey: "k", BaseURL: s.URL, Trial: true, AllowInsecure: true,
			HTTPClient: &http.Client{Transport: transport},
		},
	)
	t.Cleanup(func() { c.Close(); transport.CloseIdleConnections() })
	return c
}

func status(t *testing.T, err error) int {
	t.Helper()
	var e *rest.Error
	require.ErrorAs(t, err, &e)
	return e.Status
}

// content returns n bytes that do not repeat.
func content(n int) []byte { return noise()[:n:n] }

var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 4*partSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

func TestThereAndBack(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		for _, size := range []int{
			0, 1, 15, 16, 17, 100_000, partSize - 1, partSize, partSize + 1, partSize + 16, 2*partSize - 1,
			2 * partSize, 3*partSize + 5,
		} {
			t.Run(fmt.Sprintf("%t/%d", encrypt, size), func(t *testing.T) {
				s := newService(t)
				c := s.client(t)
				plain := content(size)
				f, err := Upload(
					t.Context(), c,
					Source{
						To: "bob", Type: "chat", MessageID: "m1", Name: "a.b.bin", Reader: bytes.NewReader(plain),
						Size: int64(size),
					},
					encrypt, testIV,
				)
				require.NoError(t, err)
				require.Equal(t, size > partSize, f.Large)
				require.Equal(t, encrypt, f.Key != "")
				require.Equal(t, int64(size), f.Size)
				require.Equal(t, http.DetectContentType(plain), f.ContentType)
				stored := s.file()
				if f.Large {
					stored, err = os.ReadFile(s.disk.Name())
					require.NoError(t, err)
				}
				require.Equal(t, f.StoredSize(), int64(len(stored)))
				require.Equal(t, !encrypt, bytes.Equal(plain, stored))

				var back bytes.Buffer
				require.NoError(t, Download(t.Context(), c, f, testIV, &back))
				require.True(t, bytes.Equal(plain, back.Bytes()))

				f.Size = 0 // as somebody who only has the message
				back.Reset()
				require.NoError(t, Download(t.Context(), c, f, testIV, &back))
				require.True(t, bytes.Equal(plain, back.Bytes()))
			})
		}
	}
}

func TestSingleForm(t *testing.T) {
	s := newService(t)
	var told []int64
	f, err := Upload(t.Context(), s.client(t), Source{
		To: "bob", Type: "groupchat", MessageID: "m1", Name: "a.png", ContentType: "image/png",
		Reader: strings.NewReader("hello"), Size: 5, Progress: func(sent, total int64) {
			told = append(told, sent, total)
		},
	}, false, testIV)
	require.NoError(t, err)
	require.Equal(t, File{Token: "single", Name: "a.png", ContentType: "image/png", Size: 5}, f)
	require.Equal(t, map[string]string{"type": "groupchat", "toUser": "bob", "messageId": "m1"}, s.form)
	require.Equal(t, "image/png", s.kind)
	require.Equal(t, []int64{5, 5}, told)
}

func TestChunkedForm(t *testing.T) {
	for storage, commit := range map[string]string{
		"oracle": "/store/commit ",
		"aws": `/media/upload/commit {"fileToken":"parts","partETags":[{"partNumber":1,"etag":"\"e0\""},` +
			`{"partNumber":2,"etag":"\"e1\""}],"uploadId":"u1"}`,
		"MinIO": `/media/upload/commit {"fileToken":"parts","partETags":[{"partNumber":1,"etag":"\"e0\""},` +
			`{"partNumber":2,"etag":"\"e1\""}],"uploadId":"u1"}`,
	} {
		t.Run(storage, func(t *testing.T) {
			s := newService(t)
			s.storage = storage
			var told []int64
			f, err := Upload(t.Context(), s.client(t), Source{
				To: "bob", Type: "chat", MessageID: "m1", Name: "film.MP4", ContentType: "video/mp4",
				Reader: bytes.NewReader(content(partSize + 1)), Size: partSize + 1,
				Progress: func(sent, total int64) { told = append(told, sent, total) },
			}, true, testIV)
			require.NoError(t, err)
			require.Equal(t, "parts", f.Token)
			require.Equal(t,
				map[string]any{
					"contentType": "video/mp4", "extension": "MP4", "parts": 2.0, "messageId": "m1", "toUser": "bob",
					"type": "chat",
				},
				s.start,
			)
			require.Equal(t, []string{commit}, s.commits)
			require.Equal(t,
				[]int64{partSize, partSize + 1, partSize + 1, partSize + 1}, told, "never more than the total",
			)
		})
	}
}

func TestUnknownStorage(t *testing.T) {
	s := newService(t)
	s.storage = "floppy"
	_, err := Upload(
		t.Context(), s.client(t), Source{Reader: bytes.NewReader(content(partSize + 1)), Size: partSize + 1}, true,
		testIV,
	)
	require.ErrorContains(t, err, `unknown storage "floppy"`)
	require.Zero(t, s.count("PUT /store/"), "before anything is sent")
}

func TestWrongSize(t *testing.T) {
	boom := &wrapped{io.ErrUnexpectedEOF}
	for _, size := range []int64{100, partSize, partSize + 100, 2 * partSize, 2*partSize + 16} {
		for name, r := range map[string]io.Reader{
			"shorter": bytes.NewReader(content(int(size - 1))),
			"longer":  bytes.NewReader(content(int(size + 1))),
			"pipe":    iotest.HalfReader(bytes.NewReader(content(int(size - 16)))),
			"broken":  io.MultiReader(bytes.NewReader(content(int(size-16))), iotest.ErrReader(boom)),
		} {
			for _, encrypt := range []bool{false, true} {
				t.Run(fmt.Sprint(size, name, encrypt), func(t *testing.T) {
					if s, ok := r.(io.Seeker); ok {
						_, _ = s.Seek(0, io.SeekStart)
					}
					s := newService(t)
					_, err := Upload(
						t.Context(), s.client(t), Source{Reader: r, Size: size, ContentType: "x/y"}, encrypt, testIV,
					)
					require.ErrorIs(t, err, rest.ErrSource)
					require.Equal(t, 400, status(t, err))
					require.Empty(t, s.commits)
					s.Close()
					require.Nil(t, s.form, "no complete form may arrive")
				})
			}
		}
	}
}

func TestBadArguments(t *testing.T) {
	s := newService(t)
	c := s.client(t)
	_, err := Upload(t.Context(), c, Source{Size: 1}, false, testIV)
	require.Equal(t, 400, status(t, err))
	_, err = Upload(t.Context(), c, Source{Reader: strings.NewReader(""), Size: -1}, false, testIV)
	require.Equal(t, 400, status(t, err))
	for _, size := range []int64{1, partSize + 1} {
		_, err = Upload(t.Context(), c, Source{Reader: bytes.NewReader(content(int(size))), Size: size}, true, "é")
		require.Equal(t, 500, status(t, err))
	}
	require.Equal(t, 500, status(t, Download(t.Context(), c, File{Token: "single", Key: "k"}, "é", io.Discard)))
	require.Empty(t, s.count("POST /media/"))
	for _, large := range []bool{false, true} {
		err = Download(t.Context(), c, File{Large: large}, testIV, io.Discard)
		require.Equal(t, "File Token is not valid or required (400)", err.Error())
	}
}

func TestFailedPartIsSentAloneAgain(t *testing.T) {
	s := newService(t)
	failed := 0
	s.set(func() {
		s.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/1") && failed < 2 {
				failed++
				if failed == 1 {
					w.WriteHeader(http.StatusInternalServerError) // without reading the part
					return true
				}
				panic(http.ErrAbortHandler)
			}
			return false
		}
	})
	plain := content(2*partSize + 7)
	f, err := Upload(
		t.Context(), s.client(t), Source{Reader: iotest.HalfReader(bytes.NewReader(plain)), Size: int64(len(plain))},
		true, testIV,
	)
	require.NoError(t, err)
	require.Equal(t, 5, s.count("PUT /store/"))
	require.Equal(t, 1, s.count("POST /media/upload"))
	var back bytes.Buffer
	require.NoError(t, Download(t.Context(), s.client(t), f, testIV, &back))
	require.True(t, bytes.Equal(plain, back.Bytes()))

	s.set(func() {
		s.fault = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "PUT" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return r.Method == "PUT"
		}
	})
	before := len(s.commits)
	_, err = Upload(
		t.Context(), s.client(t), Source{Reader: bytes.NewReader(plain), Size: int64(len(plain))}, true, testIV,
	)
	require.Equal(t, 503, status(t, err))
	require.Equal(t, 5+3, s.count("PUT /store/"), "bounded")
	require.Len(t, s.commits, before)
}

// large uploads a file in parts and returns it with its content.
func large(t *testing.T, s *service, n int) (File, []byte) {
	t.Helper()
	plain := content(n)
	f, err := Upload(t.Context(), s.client(t), Source{Reader: bytes.NewReader(plain), Size: int64(n)}, true, testIV)
	require.NoError(t, err)
	return f, plain
}

func TestDownloadFaults(t *testing.T) {
	stored := func(s *service) []byte { b, _ := os.ReadFile(s.disk.Name()); return b }
	gets := func(
		fault func(n int, s *service, w http.ResponseWriter, r *http.Request) bool,
	) func(*service) func(http.ResponseWriter, *http.Request) bool {
		return func(s *service) func(http.ResponseWriter, *http.Request) bool {
			n := 0
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/store/file" {
					return false
				}
				n++
				return fault(n, s, w, r)
			}
		}
	}
	cases := []struct {
		name  string
		fault func(*service) func(http.ResponseWriter, *http.Request) bool
		links int
		err   string // empty: it works
	}{
		{"cut in the middle", gets(func(n int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			if n != 2 {
				return false
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", partSize, 2*partSize-1, s.size()))
			w.Header().Set("Content-Length", strconv.Itoa(partSize))
			w.WriteHeader(206)
			_, _ = w.Write(stored(s)[partSize : partSize+12345])
			panic(http.ErrAbortHandler)
		}), 1, ""},
		{"link runs out", gets(func(n int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			if n == 2 {
				w.WriteHeader(403)
			}
			return n == 2
		}), 2, ""},
		{"no ranges", gets(func(_ int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(stored(s))
			return true
		}), 1, ""},
		{"length not told", gets(func(_ int, s *service, w http.ResponseWriter, r *http.Request) bool {
			var from, to int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
			all := stored(s)
			if from >= len(all) {
				w.WriteHeader(416)
				return true
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, min(to, len(all)-1)))
			w.WriteHeader(206)
			_, _ = w.Write(all[from:min(to+1, len(all))])
			return true
		}), 1, ""},
		{"length not told, and short ranges", gets(func(
			_ int, s *service, w http.ResponseWriter, r *http.Request,
		) bool {
			var from int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			all := stored(s)
			if from >= len(all) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(all)))
				w.WriteHeader(416)
				return true
			}
			to := min(from+1<<20, len(all), from/partSize*partSize+partSize)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, to-1))
			w.WriteHeader(206)
			_, _ = w.Write(all[from:to])
			return true
		}), 1, ""},
		{"ends before its end", gets(func(n int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			if n > 1 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.size()))
				w.WriteHeader(416)
				return true
			}
			w.Header().Set("Content-Range", "bytes 0-4095/*")
			w.WriteHeader(206)
			_, _ = w.Write(stored(s)[:4096])
			return true
		}), 1, "ranges without bytes"},
		{"a range longer than it says", gets(func(_ int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-15/%d", s.size()))
			w.WriteHeader(206)
			_, _ = w.Write(make([]byte, 32))
			return true
		}), 1, "more than was asked for"},
		{"another file of the same length", gets(func(n int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
			return false
		}), 1, "changed"},
		{"refused", gets(func(_ int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(404)
			return true
		}), 1, "Request failed with status code 404 (500)"},
		{"link is refused for ever", gets(func(n int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			if n > 1 {
				w.WriteHeader(403)
			}
			return n > 1
		}), 4, "Request failed with status code 403 (500)"},
		{"another range", gets(func(_ int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", "bytes 16-31/1000")
			w.WriteHeader(206)
			return true
		}), 1, "another range"},
		{"changes meanwhile", gets(func(n int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			if n == 2 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", partSize, s.size(), s.size()+16))
				w.WriteHeader(206)
			}
			return n == 2
		}), 1, "changed"},
		{"more than asked for", gets(func(n int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", s.size()-1, s.size()))
			w.WriteHeader(206)
			_, _ = w.Write(make([]byte, partSize+100_000))
			return true
		}), 1, "another range"},
		{"empty ranges", gets(func(n int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-0/%d", s.size()))
			w.WriteHeader(206)
			return true
		}), 1, "ranges without bytes"},
		{"shorter than it was", gets(func(_ int, s *service, w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write(stored(s)[:partSize])
			return true
		}), 1, "wrong key, or the file is damaged"},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			s := newService(t)
			f, plain := large(t, s, 2*partSize+100)
			s.set(func() { s.fault = k.fault(s) })
			var back bytes.Buffer
			err := Download(t.Context(), s.client(t), f, testIV, &back)
			if k.err == "" {
				require.NoError(t, err)
				require.True(t, bytes.Equal(plain, back.Bytes()))
			} else {
				require.ErrorContains(t, err, k.err)
				require.Equal(t, 500, status(t, err))
			}
			require.Equal(t, k.links, s.links)
		})
	}
}

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
			err := Download(t.Context(), c, k.file, testIV, io.Discard)
			require.ErrorContains(t, err, k.text)
			require.Equal(t, 500, status(t, err))
		})
	}
	s.set(func() { s.posted = good })
	full := errors.New("disk full")
	err = Download(t.Context(), c, f, testIV, failingWriter{full})
	require.ErrorIs(t, err, full)

	s.set(func() {
		s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write(good)
			panic(http.ErrAbortHandler)
		}
	})
	err = Download(t.Context(), c, f, testIV, io.Discard)
	require.Equal(t, 599, status(t, err), "a broken connection is no end of file")
	s.set(func() {
		s.fault = func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(404)
			_, _ = io.WriteString(w, `{"status":404,"message":"gone"}`)
			return true
		}
	})
	err = Download(t.Context(), c, File{Token: "x"}, testIV, io.Discard)
	require.ErrorContains(t, err, "gone (500)")
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestCancel(t *testing.T) {
	for _, size := range []int64{100, 3 * partSize} {
		s := newService(t)
		c := s.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		stuck, feed := io.Pipe()
		time.AfterFunc(20*time.Millisecond, cancel)
		for _, kind := range []string{"", "x/y"} { // stuck in the sniffing, stuck in the transfer
			_, err := Upload(ctx, c, Source{Reader: stuck, Size: size, ContentType: kind}, true, testIV)
			require.Equal(t, 499, status(t, err))
		}
		feed.Close() // lets go of the reads that are stuck
	}
	s := newService(t)
	f, _ := large(t, s, 3*partSize)
	ctx, cancel := context.WithCancel(t.Context())
	err := Download(
		ctx, s.client(t), f, testIV, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }),
	)
	require.Equal(t, 499, status(t, err))

	ctx, cancel = context.WithCancel(t.Context())
	_, err = Upload(ctx, s.client(t), Source{
		Reader: bytes.NewReader(content(3 * partSize)), Size: 3 * partSize,
		Progress: func(int64, int64) { cancel() },
	}, true, testIV)
	require.Equal(t, 499, status(t, err))
	require.Len(t, s.commits, 1, "that of the first upload")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// hashed passes on r and hashes it.
func hashed(r io.Reader) (io.Reader, hash.Hash) {
	h := sha256.New()
	return io.TeeReader(r, h), h
}

// TestMemory sends and fetches a large file, encrypted; the memory in use must not
// depend on its size. MEDIA_TEST_MIB sets the size.
func TestMemory(t *testing.T) {
	size := int64(96 << 20)
	if mib, err := strconv.ParseInt(os.Getenv("MEDIA_TEST_MIB"), 10, 64); err == nil {
		size = mib << 20
	}
	size += 3
	s := newService(t)
	c := s.client(t)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most uint64
	measure := func() {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapInuse)
	}
	src, sent := hashed(io.LimitReader(rand.NewChaCha8([32]byte{2}), size))
	f, err := Upload(
		t.Context(), c, Source{Reader: src, Size: size, Progress: func(int64, int64) { measure() }}, true, testIV,
	)
	require.NoError(t, err)
	got := sha256.New()
	every := 0
	require.NoError(t, Download(t.Context(), c, f, testIV, writerFunc(func(p []byte) (int, error) {
		if every++; every%16 == 0 {
			measure()
		}
		return got.Write(p)
	})))
	require.Equal(t, sent.Sum(nil), got.Sum(nil))
	require.Less(t, int64(most)-int64(before.HeapInuse), int64(16<<20))
	t.Logf("%d MiB moved, %d KiB more memory at most", size>>20, (int64(most)-int64(before.HeapInuse))>>10)
}
