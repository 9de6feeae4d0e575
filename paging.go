package sdk

import (
	"context"
	"iter"
)

const (
	// maxPageSize bounds a page: an answer of the service has at most 4 MiB, and a picture that is
	// sent with its thumbnail takes some 30 KiB of them.
	maxPageSize = 100
	// maxEmptyPages is how many pages are read on that hold nothing to return.
	maxEmptyPages = 100
)

// pageSize returns the size to ask for.
func pageSize(size, standard int) (int, error) {
	switch {
	case size < 0 || size > maxPageSize:
		return 0, invalid("Size", "Size is not between 0 and %d", maxPageSize)
	case size == 0:
		return standard, nil
	}
	return size, nil
}

// part is a page of a list that the service has.
type part[T any] struct {
	items []T
	// total and pages are those of the whole list, 0: not told.
	total, pages int
	more         bool
}

// readPart reads the next page. The first one is that which the query names.
type readPart[T any] func(context.Context) (part[T], error)

// pages reads a list page by page, each as a call of its own. open checks the query.
func pages[T any](ctx context.Context, c *Client, op string, open func() (readPart[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var read readPart[T]
		for more := true; more; {
			res, err := run(ctx, c, op, success, func(ctx context.Context) (_ part[T], err error) {
				if read == nil {
					if read, err = open(); err != nil {
						return part[T]{}, err
					}
				}
				return read(ctx)
			})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range res.Data.items {
				if !yield(item, nil) {
					return
				}
			}
			more = res.Data.more
		}
	}
}

// onePage is the first page of a list.
func onePage[T any](ctx context.Context, open func() (readPart[T], error)) (part[T], error) {
	read, err := open()
	if err != nil {
		return part[T]{}, err
	}
	return read(ctx)
}
