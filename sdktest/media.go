package sdktest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	storageRoot = "/storage/"
	maxMedia    = 128 << 20 // bytes of a single-part upload
	maxField    = 1 << 10   // bytes of another form field
	partSize    = 5 << 20   // bytes of every part but the last (protocol.md 8)
	maxParts    = 2048
	maxFiles    = 10_000
	maxForm     = 32        // parts of a single-part upload's form
	uploadLife  = time.Hour // of a chunked upload that nobody finishes
)

// fileName is what randomHex(16) gives.
var fileName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// medium is an uploaded file. Its key is the token.
type medium struct {
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
	// File is the name in the media directory.
	File  string `json:"file"`
	Owner string `json:"owner"`
}

// mediaStore keeps files in a directory, and in memory the uploads that are not finished.
type mediaStore struct {
	store *store
	dir   string

	mu      sync.Mutex
	uploads map[string]*upload
}

// upload is a chunked upload before its commit. All parts are in one file, each in its place.
type upload struct {
	medium
	id    string
	began time.Time
	// parts are by their numbers, from 0.
	parts []part
}

type part struct {
	// size is 0 while the part is missing.
	size int64
	etag string
}

func newMediaStore(st *store, dir string) (*mediaStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("media directory: %w", err)
	}
	m := &mediaStore{store: st, dir: dir, uploads: map[string]*upload{}}
	return m, m.sweep()
}

// sweep removes files of uploads that were never finished, which an earlier server may
// have left. It only removes files whose names look like the server's own.
func (m *mediaStore) sweep() error {
	keep := map[string]bool{}
	for _, f := range m.store.state.Media { // nothing else uses the store yet
		keep[f.File] = true
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("media directory: %w", err)
	}
	for _, e := range entries {
		if !keep[e.Name()] && fileName.MatchString(e.Name()) {
			if err := os.Remove(m.path(e.Name())); err != nil {
				return fmt.Errorf("media directory: %w", err)
			}
		}
	}
	return nil
}

func (m *mediaStore) path(file string) string { return filepath.Join(m.dir, file) }

func (m *mediaStore) get(token string) (medium, bool) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	f, found := m.store.state.Media[token]
	return f, found
}

func (m *mediaStore) put(token string, f medium) error {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	if len(m.store.state.Media) >= maxFiles {
		return errFull
	}
	m.store.state.Media[token] = f
	m.store.keepLocked(kindMedia, token, f)
	return nil
}

// mediaPost is the single-part upload (protocol.md 5.2): parts file, type, toUser, messageId.
func (s *Server) mediaPost(w http.ResponseWriter, req *http.Request) {
	user := s.store.userOf(req.Header.Get("Authorization"))
	if user == "" {
		expired(w)
		return
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxMedia)
	s.acknowledge(w, s.receive(user, req))
}

func (s *Server) receive(user string, req *http.Request) reply {
	mr, err := req.MultipartReader()
	if err != nil {
		return refuse(http.StatusBadRequest, "Request is not multipart/form-data")
	}
	f := &mediaForm{fields: map[string]string{}}
	err = f.read(mr, s.media)
	s.journal.setForm(req, f.seen.json())
	if err != nil {
		s.media.discard(f.file)
		return refuse(http.StatusBadRequest, "Media Upload Failed")
	}
	if f.file == nil || f.fields["type"] == "" || f.fields["toUser"] == "" {
		s.media.discard(f.file)
		return refuse(http.StatusBadRequest, "file, type and toUser are required")
	}
	return s.publish(*f.file, user, f.name)
}

// publish gives a file its tokens. The thumbnail of an image is the image itself.
func (s *Server) publish(f medium, user, name string) reply {
	f.Owner = user
	token := randomHex(16) + extension(name)
	data := map[string]any{"fileToken": token}
	err := s.media.put(token, f)
	if err == nil && strings.HasPrefix(f.ContentType, "image/") {
		thumb := randomHex(16) + extension(name)
		data["fileTokenThumb"] = thumb
		err = s.media.put(thumb, f)
	}
	if err != nil {
		s.media.discard(&f)
		return refuse(http.StatusServiceUnavailable, "Too many files")
	}
	return ok(data)
}

// extension is the extension of a file name, or "" if it is unusual.
func extension(name string) string {
	ext := strings.ToLower(path.Ext(name))
	if len(ext) < 2 || len(ext) > 8 || strings.Trim(ext[1:], "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return ext
}

func (m *mediaStore) write(r io.Reader, contentType string) (*medium, error) {
	f := &medium{File: randomHex(16), ContentType: cleanType(contentType)}
	w, err := os.OpenFile(m.path(f.File), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.Size, err = io.Copy(w, r)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		m.discard(f)
		return nil, err
	}
	return f, nil
}

func (m *mediaStore) discard(f *medium) {
	if f != nil {
		_ = os.Remove(m.path(f.File))
	}
}

func cleanType(t string) string {
	if _, _, err := mime.ParseMediaType(t); err != nil {
		return "application/octet-stream"
	}
	return t
}

// mediaGet is the media fetch (protocol.md 9): the bytes, no envelope.
func (s *Server) mediaGet(w http.ResponseWriter, req *http.Request) {
	if s.store.userOf(req.Header.Get("Authorization")) == "" {
		expired(w)
		return
	}
	s.serveFile(w, req, req.PathValue("token"))
}

// storageGet serves the URLs of generatePreAuthenticationUrlDownload: without authorization, with
// ranges.
func (s *Server) storageGet(w http.ResponseWriter, req *http.Request) {
	if req.URL.Query().Get("sig") != s.signature(req.PathValue("token")) {
		writeReply(w, http.StatusForbidden, refuse(http.StatusForbidden, "Signature does not match"))
		return
	}
	s.serveFile(w, req, req.PathValue("token"))
}

func (s *Server) serveFile(w http.ResponseWriter, req *http.Request, token string) {
	f, found := s.media.get(token)
	if !found {
		writeReply(w, http.StatusNotFound, refuse(http.StatusNotFound, "File not found"))
		return
	}
	r, err := os.Open(s.media.path(f.File))
	if err != nil {
		writeReply(w, http.StatusNotFound, refuse(http.StatusNotFound, "File not found"))
		return
	}
	defer r.Close()
	w.Header().Set("Content-Type", f.ContentType)
	// Each upload has a file of its own, which never changes. Who goes on from an offset sees by
	// this that it is still the same (RFC 9110 8.8.3).
	w.Header().Set("ETag", `"`+f.File+`"`)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// An uploaded page must not run code on this origin.
	w.Header().Set("Content-Security-Policy", "sandbox")
	http.ServeContent(w, req, "", time.Time{}, r)
}

// signature makes a URL for a token valid without authorization.
func (s *Server) signature(token string) string {
	chat, profile := s.store.ivs()
	sum := md5.Sum([]byte(chat + profile + token))
	return hex.EncodeToString(sum[:])
}

// storageURL is a pre-signed URL on the host to which the client has sent its request, so that it
// also works where host names are mapped.
func (s *Server) storageURL(req *http.Request, token, rest string) string {
	return "https://" + req.Host + storageRoot + token + rest + "?sig=" + s.signature(token)
}

func (s *Server) mediaDownloadURL(c *call) reply {
	token := c.req.URL.Query().Get("fileToken")
	if _, found := s.media.get(token); !found {
		return refuse(http.StatusNotFound, "File not found")
	}
	return ok(s.storageURL(c.req, token, ""))
}

// mediaUpload opens a chunked upload (protocol.md 8).
func (s *Server) mediaUpload(c *call) reply {
	var b struct {
		ContentType string      `json:"contentType"`
		Extension   string      `json:"extension"`
		Parts       json.Number `json:"parts"`
		ToUser      string      `json:"toUser"`
		Type        string      `json:"type"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	n, err := strconv.Atoi(b.Parts.String())
	if err != nil || n < 1 || n > maxParts {
		return refuse(http.StatusBadRequest, "parts is not valid or required")
	}
	if b.Type == "" || b.ToUser == "" {
		return refuse(http.StatusBadRequest, "type and toUser are required")
	}
	token := randomHex(16) + extension("."+strings.TrimPrefix(b.Extension, "."))
	u := &upload{
		medium: medium{ContentType: cleanType(b.ContentType), File: randomHex(16), Owner: c.user},
		id:     randomHex(8), began: time.Now(), parts: make([]part, n),
	}
	if err := s.media.begin(token, u); err != nil {
		return refuse(http.StatusServiceUnavailable, "Too many uploads")
	}
	urls := make([]string, n)
	for i := range urls {
		urls[i] = s.storageURL(c.req, token, "/"+strconv.Itoa(i))
	}
	storage := s.ctl.storageName()
	data := map[string]any{
		"uploadUrls": urls, "fileToken": token, "storage": storage, "uploadId": u.id, "commitUrl": "",
	}
	if storage == "oracle" {
		data["commitUrl"] = s.storageURL(c.req, token, "/commit")
	}
	return ok(data)
}

func (m *mediaStore) begin(token string, u *upload) error {
	m.drop(func(old *upload) bool { return u.began.Sub(old.began) > uploadLife })
	f, err := os.OpenFile(m.path(u.File), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	m.mu.Lock()
	full := len(m.uploads) >= maxFiles
	if !full {
		m.uploads[token] = u
	}
	m.mu.Unlock()
	if full {
		m.discard(&u.medium)
		return errFull
	}
	return nil
}

// drop ends uploads and removes their files.
func (m *mediaStore) drop(which func(*upload) bool) {
	var gone []*upload
	m.mu.Lock()
	for token, u := range m.uploads {
		if which(u) {
			delete(m.uploads, token)
			gone = append(gone, u)
		}
	}
	m.mu.Unlock()
	for _, u := range gone {
		m.discard(&u.medium)
	}
}

// storagePut takes one part. A part may be put again. The part of a one-part upload
// also finishes it, because no commit follows (protocol.md 8).
func (s *Server) storagePut(w http.ResponseWriter, req *http.Request) {
	token := req.PathValue("token")
	i, err := strconv.Atoi(req.PathValue("part"))
	u := s.media.upload(token)
	if err != nil || u == nil || i < 0 || i >= len(u.parts) || req.URL.Query().Get("sig") != s.signature(token) {
		writeReply(w, http.StatusForbidden, refuse(http.StatusForbidden, "Signature does not match"))
		return
	}
	s.media.arrived(u, i, part{}) // the part is overwritten now, so it is missing
	size, sum, err := s.media.writePart(u, i, http.MaxBytesReader(w, req.Body, partSize))
	if err != nil || size == 0 || (i < len(u.parts)-1 && size != partSize) {
		writeReply(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "Part has the wrong size"))
		return
	}
	etag := hex.EncodeToString(sum.Sum(nil))
	s.media.arrived(u, i, part{size: size, etag: etag})
	if len(u.parts) == 1 {
		if err := errors.Join(s.media.finish(token, u), s.commit()); err != nil {
			writeReply(w, http.StatusServiceUnavailable, refuse(http.StatusServiceUnavailable, "Too many files"))
			return
		}
	}
	w.Header().Set("ETag", `"`+etag+`"`)
	w.WriteHeader(http.StatusOK)
}

func (m *mediaStore) upload(token string) *upload {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.uploads[token]
}

// writePart writes a part in its place. u.File and the number of parts never change.
func (m *mediaStore) writePart(u *upload, i int, r io.Reader) (int64, hash.Hash, error) {
	f, err := os.OpenFile(m.path(u.File), os.O_WRONLY, 0o600)
	if err != nil {
		return 0, nil, err
	}
	sum := md5.New()
	n, err := io.Copy(io.NewOffsetWriter(f, int64(i)*partSize), io.TeeReader(r, sum))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return n, sum, err
}

func (m *mediaStore) arrived(u *upload, i int, p part) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u.parts[i] = p
}

// finish makes a medium of an upload, when all parts are there.
func (m *mediaStore) finish(token string, u *upload) error {
	m.mu.Lock()
	if m.uploads[token] != u {
		m.mu.Unlock()
		return errors.New("the upload has ended")
	}
	f := u.medium
	for _, p := range u.parts {
		f.Size += p.size
		if p.size == 0 {
			m.mu.Unlock()
			return errors.New("a part is missing")
		}
	}
	delete(m.uploads, token)
	m.mu.Unlock()
	err := os.Truncate(m.path(f.File), f.Size)
	if err == nil {
		err = m.put(token, f)
	}
	if err != nil {
		m.discard(&f)
	}
	return err
}

// mediaCommit is the commit of storages "aws" and "minio".
func (s *Server) mediaCommit(c *call) reply {
	var b struct {
		FileToken string `json:"fileToken"`
		UploadID  string `json:"uploadId"`
		PartETags []struct {
			PartNumber int    `json:"partNumber"`
			ETag       string `json:"etag"`
		} `json:"partETags"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	u := s.media.upload(b.FileToken)
	if u == nil || u.id != b.UploadID || u.Owner != c.user {
		return refuse(http.StatusNotFound, "Upload not found")
	}
	if len(b.PartETags) != len(u.parts) {
		return refuse(http.StatusBadRequest, "partETags is not complete")
	}
	for i, p := range b.PartETags {
		if p.PartNumber != i+1 || strings.Trim(p.ETag, `"`) != s.media.etag(u, i) {
			return refuse(http.StatusBadRequest, fmt.Sprintf("part %d does not match", i+1))
		}
	}
	if err := s.media.finish(b.FileToken, u); err != nil {
		return refuse(http.StatusBadRequest, "Upload is not complete")
	}
	return ok(map[string]any{"fileToken": b.FileToken})
}

func (m *mediaStore) etag(u *upload, i int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return u.parts[i].etag
}

// storageCommit is the commit of storage "oracle": a POST without a body.
func (s *Server) storageCommit(w http.ResponseWriter, req *http.Request) {
	token := req.PathValue("token")
	u := s.media.upload(token)
	if u == nil || req.URL.Query().Get("sig") != s.signature(token) {
		writeReply(w, http.StatusForbidden, refuse(http.StatusForbidden, "Signature does not match"))
		return
	}
	if err := s.media.finish(token, u); err != nil {
		writeReply(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "Upload is not complete"))
		return
	}
	if s.commit() != nil {
		writeReply(w, http.StatusInternalServerError, internalError())
		return
	}
	w.WriteHeader(http.StatusOK)
}
