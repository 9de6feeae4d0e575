package media

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

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
		{"no range at all", gets(func(_ int, _ *service, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(416)
			return true
		}), 1, "an empty range, and no length"},
		{"byte by byte", gets(func(_ int, s *service, w http.ResponseWriter, r *http.Request) bool {
			var from int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, from))
			w.WriteHeader(206)
			_, _ = w.Write(stored(s)[from : from+1])
			return from < 10_000
		}), 1, "too many tiny ranges"},
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
			err := download(t.Context(), s.client(t), f, testIV, &back)
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

// set changes the service while it is running.
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

func say(w http.ResponseWriter, data any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"status": 200, "data": data})
}
