package media

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// maxFruitless is how often in a row a range may fail without a single byte.
const maxFruitless = 3

// rangeReader reads a stored file in ranges of 5 MiB from its pre-signed URL. A
// connection that breaks is taken up where it broke; a URL that has run out of time
// meanwhile is asked for again.
type rangeReader struct {
	ctx    context.Context
	client *rest.Client
	token  string
	url    string

	at        int64 // next byte of the file
	total     int64 // -1: not known yet
	end       int64 // where the open range ends
	open      *rest.Media
	fruitless int
	done      bool
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

// ended closes the open range after its end or its failure.
func (r *rangeReader) ended(err error) error {
	r.open.Close()
	r.open = nil
	whole := err == io.EOF
	switch {
	case whole && r.total < 0 && r.at < r.end: // shorter than asked: the last one
		r.done = true
	case r.total >= 0 && r.at >= r.total:
		r.done = true
	case whole && r.at >= r.end:
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

// next opens the range at r.at, or finds that there is none.
func (r *rangeReader) next() error {
	r.end = r.at - r.at%partSize + partSize
	m, err := r.client.GetRange(r.ctx, r.url, r.at, r.end-1)
	var e *rest.Error
	switch {
	case err == nil:
		return r.use(m)
	case !errors.As(err, &e):
		return err
	case e.Status == http.StatusRequestedRangeNotSatisfiable && r.total < 0:
		r.done = true
		return nil
	case e.Status == http.StatusForbidden && r.at > 0 && r.fruitless < maxFruitless:
		r.fruitless++
		r.url, err = r.client.DownloadURL(r.ctx, r.token)
	}
	return err
}

func (r *rangeReader) use(m *rest.Media) error {
	switch {
	case m.Offset != r.at:
		m.Close()
		return unexpected("another range than was asked for")
	case r.total >= 0 && m.Total >= 0 && m.Total != r.total:
		m.Close()
		return unexpected("a file that changed meanwhile")
	case !m.Partial: // all of it, from a server without ranges
		r.end = math.MaxInt64
	}
	if m.Total >= 0 {
		r.total = m.Total
	}
	r.open = m
	return nil
}

func unexpected(what string) error {
	return &rest.Error{Status: http.StatusInternalServerError, Message: "Unexpected answer: " + what}
}
