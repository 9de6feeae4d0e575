package media

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// maxFruitless is how often in a row a range may fail before a single byte comes.
const maxFruitless = 3

// A range may be shorter than asked for, but only maxTiny of them below tinyRange bytes: a file
// that comes byte by byte would keep us busy for ever.
const (
	maxTiny   = 100
	tinyRange = 64 << 10
)

// rangeReader reads a stored file in ranges of 5 MiB from its pre-signed URL. When a connection
// breaks, it goes on from there with another. When the URL has expired meanwhile, it asks for
// another.
type rangeReader struct {
	ctx    context.Context
	client *rest.Client
	token  string
	url    string

	// from is the byte of the file that was read first, at is the next one.
	from, at int64
	// total is the length of the file; -1: not known yet.
	total int64
	// etag is the ETag of the file; empty: not known.
	etag string
	// end is where the open range ends.
	end       int64
	open      *rest.Media
	fruitless int
	// tiny counts the ranges below tinyRange that were cut short.
	tiny int
	done bool
}

// openRanges opens a file that was uploaded in parts.
func openRanges(ctx context.Context, c *rest.Client, token string, start Start) (*Content, error) {
	url, err := c.DownloadURL(ctx, token)
	if err != nil {
		return nil, err
	}
	r := &rangeReader{
		ctx: ctx, client: c, token: token, url: url, from: start.Offset, at: start.Offset, total: -1, etag: start.ETag,
	}
	for r.open == nil {
		if err := r.next(); err != nil {
			return nil, err
		}
	}
	return &Content{ContentType: r.open.ContentType, Size: r.total, ETag: r.etag, src: r}, nil
}

func (r *rangeReader) Read(p []byte) (int, error) {
	for !r.done {
		if r.open == nil {
			if err := r.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := r.open.Read(p)
		if r.at += int64(n); n > 0 {
			r.fruitless = 0
		}
		if r.at > r.end || r.total >= 0 && r.at > r.total {
			return 0, unexpected("more than was asked for")
		}
		if err != nil {
			if err := r.ended(err); err != nil {
				return n, err
			}
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// Close ends the transfer.
func (r *rangeReader) Close() error {
	r.done = true
	if r.open != nil {
		return r.open.Close()
	}
	return nil
}

// ended closes the open range after its end or its failure. When the length of the file is not
// known, only an empty range behind the last byte shows that the file ends there.
func (r *rangeReader) ended(err error) error {
	last := r.open
	last.Close()
	r.open = nil
	whole := err == io.EOF
	switch {
	case whole && r.total < 0 && !last.Partial, r.total >= 0 && r.at >= r.total:
		r.done = true
	case whole && r.at >= r.end && r.at > last.Offset:
	case r.ctx.Err() != nil || r.fruitless >= maxFruitless:
		if whole {
			err = unexpected("ranges without bytes")
		}
		return err
	default:
		r.fruitless++
	}
	return nil
}

// next opens the range at r.at. It is empty when the file ends there.
func (r *rangeReader) next() error {
	r.end = r.at - r.at%partSize + partSize
	m, err := r.client.GetRange(r.ctx, r.url, r.at, r.end-1)
	var e *rest.Error
	switch {
	case err == nil:
		return r.use(m)
	case !errors.As(err, &e):
		return err
	case e.Status == http.StatusForbidden && r.at > 0 && r.fruitless < maxFruitless:
		r.fruitless++
		r.url, err = r.client.DownloadURL(r.ctx, r.token)
	}
	return err
}

func (r *rangeReader) use(m *rest.Media) (err error) {
	empty := m.Partial && m.End == m.Offset
	switch {
	case r.total >= 0 && m.Total >= 0 && m.Total != r.total, r.etag != "" && m.ETag != "" && m.ETag != r.etag:
		err = unexpected("a file that changed meanwhile")
	case empty && m.Total < 0 && r.at == r.from && r.from > 0, m.Total >= 0 && m.Total < r.at:
		// In the first case the file may as well end far before.
		err = errBehindEnd()
	case empty && m.Total < 0 && r.at == r.from:
		// Nothing says that the file is empty: it may be that the server refuses every range.
		err = unexpected("an empty range, and no length")
	case empty && m.Total < 0:
		// All before it has come, so the file ends here.
		r.total = r.at
	case !m.Partial && r.at == r.from:
		// A server that does not know ranges sends everything. Once: who does so again and again
		// could keep us busy for ever.
		r.end = math.MaxInt64
		err = skip(m, r.at)
	case m.Offset != r.at, m.Partial && m.End > r.end:
		err = unexpected("another range than was asked for")
	case r.isTiny(m) && r.tiny >= maxTiny:
		err = unexpected("too many tiny ranges")
	default:
		if r.isTiny(m) {
			r.tiny++
		}
		// It may be less than we asked for.
		r.end = m.End
	}
	if err != nil {
		m.Close()
		return err
	}
	if m.Total >= 0 {
		r.total = m.Total
	}
	r.etag = cmp.Or(r.etag, m.ETag)
	r.open = m
	return nil
}

// isTiny reports whether m is a part that was cut far below what was asked for.
func (r *rangeReader) isTiny(m *rest.Media) bool {
	return m.Partial && m.End < r.end && m.End != m.Total && m.End-m.Offset < tinyRange
}

func unexpected(what string) error {
	return &rest.Error{Status: http.StatusInternalServerError, Message: "Unexpected answer: " + what}
}
