package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// errNoToken is the text of protocol.md 9.
const errNoToken = "File Token is not valid or required"

// UploadStart announces an upload in parts (protocol.md 8).
type UploadStart struct {
	ContentType string `json:"contentType"`
	// Extension is that of the file's name, without the dot.
	Extension string `json:"extension"`
	Parts     int    `json:"parts"`
	MessageID string `json:"messageId"`
	ToUser    string `json:"toUser"`
	Type      string `json:"type"`
}

// Upload says where to put the parts of a file.
type Upload struct {
	// URLs are pre-signed, one for each part.
	URLs      []string
	CommitURL string
	FileToken string
	// Storage is "oracle", "aws" or "minio".
	Storage  string
	UploadID string
}

// StartUpload asks where to put the parts of a file (POST /media/upload).
func (c *Client) StartUpload(ctx context.Context, start UploadStart) (*Upload, error) {
	var data struct {
		UploadURLs []string `json:"uploadUrls"`
		CommitURL  text     `json:"commitUrl"`
		FileToken  text     `json:"fileToken"`
		Storage    text     `json:"storage"`
		UploadID   text     `json:"uploadId"`
	}
	if err := c.post(ctx, &request{op: "start upload", path: "/media/upload", auth: true}, start, &data); err != nil {
		return nil, err
	}
	switch {
	case len(data.UploadURLs) != start.Parts:
		return nil, unexpected("%d upload URLs for %d parts", len(data.UploadURLs), start.Parts)
	case data.FileToken == "":
		return nil, unexpected("no file token")
	}
	return &Upload{
		URLs: data.UploadURLs, CommitURL: string(data.CommitURL), FileToken: string(data.FileToken),
		Storage: strings.ToLower(string(data.Storage)), UploadID: string(data.UploadID),
	}, nil
}

// partBody is a part in memory, which the caller uses again afterwards.
type partBody struct {
	data        []byte
	contentType string
	guard       sourceGuard
}

func (b *partBody) open(ctx context.Context) (io.ReadCloser, int64, string, error) {
	return b.guard.acquire(ctx, bytes.NewReader(b.data)), int64(len(b.data)), b.contentType, nil
}
func (b *partBody) repeatable() bool                   { return true }
func (b *partBody) waitIdle(ctx context.Context) error { return b.guard.waitIdle(ctx) }
func (b *partBody) sourceError() error                 { return nil }

// PutPart sends one part to its pre-signed URL, without the token, and returns its ETag as the
// storage wrote it. It makes up to three attempts. After an error data may still be in use; after
// success it is not.
func (c *Client) PutPart(ctx context.Context, url string, data []byte, contentType string) (string, error) {
	if err := c.checkForeign(url); err != nil {
		return "", err
	}
	body := &partBody{data: data, contentType: contentType}
	r := &request{
		op: "put part", method: http.MethodPut, url: url, body: body, idempotent: true, storage: true, transfer: true,
	}
	m, err := c.fetch(ctx, r)
	if err != nil {
		return "", err
	}
	m.discard()
	return m.ETag, body.waitIdle(ctx)
}

// CommitUpload completes an upload of more than one part: at the storage itself
// (oracle) or through the service (aws, minio), as protocol.md 8 says. Another
// storage is an error; call [Upload.CheckStorage] before the parts are sent.
func (c *Client) CommitUpload(ctx context.Context, up *Upload, etags []string) error {
	if err := up.CheckStorage(); err != nil {
		return err
	}
	if up.Storage == "oracle" {
		if err := c.checkForeign(up.CommitURL); err != nil {
			return err
		}
		m, err := c.fetch(
			ctx, &request{op: "commit upload", method: http.MethodPost, url: up.CommitURL, transfer: true},
		)
		if err != nil {
			return err
		}
		m.discard()
		return nil
	}
	type part struct {
		PartNumber int    `json:"partNumber"`
		ETag       string `json:"etag"`
	}
	parts := make([]part, len(etags))
	for i, etag := range etags {
		parts[i] = part{PartNumber: i + 1, ETag: etag}
	}
	return c.post(ctx, &request{op: "commit upload", path: "/media/upload/commit", auth: true}, struct {
		FileToken string `json:"fileToken"`
		PartETags []part `json:"partETags"`
		UploadID  string `json:"uploadId"`
	}{up.FileToken, parts, up.UploadID}, nil)
}

// CheckStorage reports whether an upload of several parts can be committed.
func (u *Upload) CheckStorage() error {
	switch u.Storage {
	case "oracle", "aws", "minio":
		return nil
	}
	return unexpected("unknown storage %q", u.Storage)
}

// DownloadURL asks for the pre-signed URL of a file that was uploaded in parts.
func (c *Client) DownloadURL(ctx context.Context, fileToken string) (string, error) {
	if fileToken == "" {
		return "", unsent.Mark(&Error{Status: http.StatusBadRequest, Message: errNoToken, kind: KindToken})
	}
	r := &request{
		op: "download url", method: http.MethodGet, auth: true, idempotent: true,
		path: "/media/generatePreAuthenticationUrlDownload?fileToken=" + seal.EncodeURIComponent(fileToken),
	}
	var data text
	if err := c.json(ctx, r, &data); err != nil {
		return "", err
	}
	return string(data), c.checkForeign(string(data))
}

// GetMedia fetches the bytes of a file (protocol.md 9), those from an offset on when that is not 0.
// A server that does not know ranges sends everything, see [Media.Offset]. Only a token goes with
// the authorization header.
func (c *Client) GetMedia(ctx context.Context, at Place, from int64) (*Media, error) {
	r := &request{
		op: "media", method: http.MethodGet, url: at.URL, idempotent: true, transfer: true,
		atHome: at.URL != "" && !c.cfg.FetchForeignURLs,
	}
	if from > 0 {
		r.span = &span{from: from, to: toTheEnd}
	}
	if at.URL == "" {
		var err error
		if r.path, err = mediaPath(at.Token); err != nil {
			return nil, unsent.Mark(err)
		}
		r.auth, r.route = true, "/media/{token}"
	}
	r.foreign = !r.auth
	return c.fetch(ctx, r)
}

// GetRange fetches a range of a pre-signed URL, both ends included. A server that does not know
// ranges sends everything, and one that does may send less than was asked for: see [Media.Offset]
// and [Media.End]. A range behind the end of the file is empty.
func (c *Client) GetRange(ctx context.Context, url string, from, to int64) (*Media, error) {
	if err := c.checkForeign(url); err != nil {
		return nil, err
	}
	return c.fetch(ctx, &request{
		op: "media range", method: http.MethodGet, url: url, idempotent: true, storage: true, transfer: true,
		span: &span{from: from, to: to},
	})
}

// checkForeign checks a URL that we did not choose.
func (c *Client) checkForeign(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https":
		return unexpected("not an absolute http(s) URL without a user")
	case u.Scheme == "http" && !c.cfg.AllowInsecure:
		return insecure("the file is at http://")
	}
	return nil
}

// mediaPath is the path of a token. Only what is illegal in a path is escaped. Dot
// segments are refused: a hostile profile could name "../logout" as its picture.
func mediaPath(token string) (string, error) {
	bad := &Error{Status: http.StatusBadRequest, Message: errNoToken, kind: KindToken}
	decoded, err := url.PathUnescape(token)
	if err != nil {
		decoded = token
	}
	if token == "" {
		return "", bad
	}
	for segment := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		if segment == "." || segment == ".." {
			return "", bad
		}
	}
	const legal = "-._~!$&'()*+,;=:@/%"
	var path strings.Builder
	path.WriteString("/media/")
	for i := range len(token) {
		b := token[i]
		alphanumeric := 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9'
		if alphanumeric || strings.IndexByte(legal, b) >= 0 && (b != '%' || err == nil) {
			path.WriteByte(b)
		} else {
			path.WriteString(seal.EncodeURIComponent(token[i : i+1]))
		}
	}
	return path.String(), nil
}

// Media is the open answer to a fetch. Close it.
type Media struct {
	ContentType string
	// ETag is as the server wrote it; empty: there is none.
	ETag string
	// Offset is where the body begins in the file.
	Offset int64
	// End is where the range ends in the file. Only a part has one.
	End int64
	// Total is the length of the whole file; -1: the server did not say.
	Total int64
	// Partial: the body is a range of the file.
	Partial bool

	// ctx is the context of the attempt. It ends when nothing moves.
	ctx   context.Context
	watch *watch
	close io.Closer
	body  io.Reader
	// failed is why it was not read to its end.
	failed error
}

// Read reads the body. It fails with an [*Error], as a call does, or with io.EOF at the end.
func (m *Media) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	if err != nil && err != io.EOF {
		err = networkError(m.ctx, err)
		m.failed = err
	}
	return n, err
}

// Close ends the transfer.
func (m *Media) Close() error {
	m.watch.stop(m.failed)
	return m.close.Close()
}

// discard closes an answer whose body does not matter. It reads a short body to its end, so that
// the connection can be used again.
func (m *Media) discard() {
	_, _ = io.CopyN(io.Discard, m.body, maxError)
	m.Close()
}

// fetch makes a call whose answer is not JSON.
func (c *Client) fetch(ctx context.Context, r *request) (*Media, error) {
	// We want the file as it is stored, not packed on its way.
	r.header = http.Header{"Accept-Encoding": {"identity"}}
	if r.span != nil {
		r.header.Set("Range", r.span.header())
	}
	var m *Media
	err := c.call(ctx, r, func(ctx context.Context, token string) (err error) {
		m, err = c.open(ctx, r, token)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// open sends r once. It succeeds when the file comes that r asks for, or when a write is done.
func (c *Client) open(ctx context.Context, r *request, token string) (m *Media, err error) {
	ctx, watch := c.watch(ctx, r)
	defer func() {
		if m == nil { // else its Close does that
			watch.stop(err)
		}
	}()
	resp, err := c.send(ctx, r, token, watch)
	if err != nil {
		return nil, err
	}
	m = &Media{
		ContentType: resp.Header.Get("Content-Type"), ETag: resp.Header.Get("ETag"), Total: resp.ContentLength,
		ctx: ctx, watch: watch, close: resp.Body, body: watch.answer(resp.Body),
	}
	if err := c.accept(r, resp, m); err != nil {
		m.failed = err
		m.Close()
		return nil, err
	}
	return m, nil
}

// accept reports whether resp is what r asked for. Less than that, or something else, must not be
// taken for the file.
func (c *Client) accept(r *request, resp *http.Response, m *Media) error {
	switch code := resp.StatusCode; {
	case r.method != http.MethodGet &&
		(code == http.StatusOK || code == http.StatusCreated || code == http.StatusNoContent):
		return nil
	case r.span != nil && code == http.StatusRequestedRangeNotSatisfiable:
		m.nothingFrom(r.span.from, resp)
		return nil
	case r.span != nil && code == http.StatusPartialContent:
		if err := m.part(resp); err != nil {
			return err
		}
	case code/100 != 2:
		return c.refused(resp, m)
	case code != http.StatusOK:
		// It has no content, is a part that we did not ask for, or says that the file comes later.
		return unexpected("HTTP status %d instead of a file", code)
	}
	if coding := packed(resp.Header); coding != "" {
		return unexpected("a file that is packed, with %s", coding)
	}
	if r.auth && !m.Partial {
		return c.acceptOwn(resp, m)
	}
	return nil
}

// refused returns the error for an answer other than 2xx.
func (c *Client) refused(resp *http.Response, m *Media) error {
	raw, err := io.ReadAll(io.LimitReader(m.body, maxError+1))
	if err != nil && m.ctx.Err() != nil {
		return networkError(m.ctx, err)
	}
	_, err = c.readAnswer(resp, raw, len(raw) > maxError)
	return err
}

// acceptOwn tells a file on the service itself from a refusal, which may come with HTTP status 200
// and any Content-Type: it is an envelope with another status and a message. A file that looks like
// one is taken for a refusal.
func (c *Client) acceptOwn(resp *http.Response, m *Media) error {
	raw := make([]byte, 512)
	n, err := io.ReadAtLeast(m.body, raw, 1)
	raw = raw[:n]
	if err == nil && mayBeObject(raw) {
		var more []byte
		more, err = io.ReadAll(io.LimitReader(m.body, maxError+1-int64(n)))
		raw = append(raw, more...)
	}
	switch {
	case err != nil && err != io.EOF:
		return networkError(m.ctx, err)
	case isRefusal(raw):
		_, err := c.readAnswer(resp, raw, false)
		return err
	}
	m.body = io.MultiReader(bytes.NewReader(raw), m.body)
	return nil
}

// mayBeObject reports whether what begins with head may be a JSON object.
func mayBeObject(head []byte) bool {
	head = bytes.TrimSpace(bytes.TrimPrefix(head, byteOrderMark))
	return len(head) == 0 || head[0] == '{'
}

func isRefusal(raw []byte) bool {
	var told struct {
		Status  status  `json:"status"`
		Message *string `json:"message"`
	}
	return len(raw) <= maxError && json.Unmarshal(bytes.TrimPrefix(raw, byteOrderMark), &told) == nil &&
		told.Status.present && told.Status.code != http.StatusOK && told.Message != nil
}

// packed returns the content coding of an answer (RFC 9110 8.4); empty: there is none.
func packed(h http.Header) string {
	for _, coding := range h.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return coding
		}
	}
	return ""
}

// toTheEnd is where a span ends that takes all that is left.
const toTheEnd = math.MaxInt64

// span is a range of a file, both ends included.
type span struct{ from, to int64 }

func (s *span) header() string {
	header := "bytes=" + strconv.FormatInt(s.from, 10) + "-"
	if s.to != toTheEnd {
		header += strconv.FormatInt(s.to, 10)
	}
	return header
}

// part sets m to the part of the file that resp has.
func (m *Media) part(resp *http.Response) (err error) {
	m.Partial = true
	m.Offset, m.End, m.Total, err = contentRange(resp.Header.Get("Content-Range"))
	return err
}

// nothingFrom makes m the empty range at from, behind the end of the file. What comes with it is
// the page of an error.
func (m *Media) nothingFrom(from int64, resp *http.Response) {
	m.Partial, m.Offset, m.End, m.Total, m.body = true, from, from, -1, http.NoBody
	m.ContentType, m.ETag = "", ""
	_, length, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	if total, err := strconv.ParseInt(length, 10, 64); err == nil && total >= 0 {
		m.Total = total
	}
}

// contentRange reads "bytes 0-99/1234" (RFC 9110 14.4); end is behind the last byte.
func contentRange(value string) (from, end, total int64, err error) {
	ends, length, _ := strings.Cut(strings.TrimPrefix(value, "bytes "), "/")
	first, last, _ := strings.Cut(ends, "-")
	if total, err = strconv.ParseInt(length, 10, 64); err != nil || total < 0 {
		// "*" means that the length is not known.
		total = -1
	}
	from, err = strconv.ParseInt(first, 10, 64)
	to, bad := strconv.ParseInt(last, 10, 64)
	if err != nil || bad != nil || from < 0 || to < from || to == math.MaxInt64 || total >= 0 && to >= total {
		return 0, 0, 0, unexpected("a part without a readable Content-Range")
	}
	return from, to + 1, total, nil
}
