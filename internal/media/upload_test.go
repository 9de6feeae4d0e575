package media

import (
	"bytes"
	"context"
	"crypto/sha256"
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

	"github.com/mirrorfly-go/sdk/internal/rest"
)

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
				require.NoError(t, download(t.Context(), c, f, testIV, &back))
				require.True(t, bytes.Equal(plain, back.Bytes()))

				f.Size = 0 // a receiver has only the message, which has no such size
				back.Reset()
				require.NoError(t, download(t.Context(), c, f, testIV, &back))
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
	require.Equal(t, 500, status(t, download(t.Context(), c, File{Token: "single", Key: "k"}, "é", io.Discard)))
	require.Empty(t, s.count("POST /media/"))
	for _, large := range []bool{false, true} {
		err = download(t.Context(), c, File{Large: large}, testIV, io.Discard)
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
	require.NoError(t, download(t.Context(), s.client(t), f, testIV, &back))
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
	err := download(
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
	require.NoError(t, download(t.Context(), c, f, testIV, writerFunc(func(p []byte) (int, error) {
		if every++; every%16 == 0 {
			measure()
		}
		return got.Write(p)
	})))
	require.Equal(t, sent.Sum(nil), got.Sum(nil))
	require.Less(t, int64(most)-int64(before.HeapInuse), int64(16<<20))
	t.Logf("%d MiB moved, %d KiB more memory at most", size>>20, (int64(most)-int64(before.HeapInuse))>>10)
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

// large uploads a file in parts and returns it with its content.
func large(t *testing.T, s *service, n int) (File, []byte) {
	t.Helper()
	plain := content(n)
	f, err := Upload(t.Context(), s.client(t), Source{Reader: bytes.NewReader(plain), Size: int64(n)}, true, testIV)
	require.NoError(t, err)
	return f, plain
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// hashed passes on r and hashes it.
func hashed(r io.Reader) (io.Reader, hash.Hash) {
	h := sha256.New()
	return io.TeeReader(r, h), h
}
