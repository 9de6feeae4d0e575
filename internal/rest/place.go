package rest

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// ErrForeign is for a file at a URL that is not the service's own, see [Client.FindMedia].
var ErrForeign = errors.New("not a URL of the service")

// Place is where a file is.
type Place struct {
	// Token is what the service calls the file. It counts when URL is empty.
	Token string
	// URL is where the file is without a token.
	URL string
}

// FindMedia says where the file is that is called fileToken: a profile or a message has a token
// there, or an absolute URL. It sends nothing but, when the service's address is not known yet, the
// question for that.
//
// A URL is the service's own when it has the scheme, the host and the port of the base URL, and no
// user. Below the service's /media/ it counts as the token in it. Every other URL was chosen by
// whoever set the picture or wrote the message, and is refused with [ErrForeign] unless
// Config.FetchForeignURLs is set.
func (c *Client) FindMedia(ctx context.Context, fileToken string) (Place, error) {
	s, err := c.locate(ctx)
	if err != nil || !isURL(fileToken) {
		return Place{Token: fileToken}, err
	}
	base, err := url.Parse(s.base)
	if err != nil {
		return Place{}, &Error{Status: http.StatusBadRequest, Message: "Invalid api base url"}
	}
	own := ownURL(fileToken, base)
	switch {
	case own == nil && !c.cfg.FetchForeignURLs:
		return Place{}, unsent.Mark(foreign("the file is at a URL of somebody else"))
	case own == nil:
		return Place{URL: fileToken}, c.checkForeign(fileToken)
	}
	// What may follow the token is "?mf...", of unknown meaning.
	if token, ok := strings.CutPrefix(own.EscapedPath(), base.EscapedPath()+"/media/"); ok {
		return Place{Token: token}, nil
	}
	return Place{URL: own.String()}, nil
}

func isURL(token string) bool {
	lower := strings.ToLower(token)
	return strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://")
}

// ownURL returns raw with the host as base writes it, or nil when raw is not the service's. What
// cannot be read is not.
func ownURL(raw string, base *url.URL) *url.URL {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Hostname() == "" || !httpguard.SameOrigin(u, base) {
		return nil
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment = base.Scheme, base.Host, "", ""
	return u
}

// foreign is the error for a file that is not where the service keeps its files; where says where.
func foreign(where string) *Error {
	return &Error{
		Status: http.StatusBadRequest, Message: "URL is not the service's own",
		Err: httpguard.Opaque(where, ErrForeign), kind: KindForeign,
	}
}
