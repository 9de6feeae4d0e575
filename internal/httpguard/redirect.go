// Package httpguard says which redirects the library's HTTP clients follow, and takes out of their
// errors what may be secret or may do harm when it is printed.
package httpguard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ErrRedirect is in the error of a redirect that is not followed.
var ErrRedirect = errors.New("redirect refused")

// MaxRedirects is how many redirects in a row are followed.
const MaxRedirects = 10

// Check is what http.Client calls in its field CheckRedirect.
type Check = func(next *http.Request, via []*http.Request) error

// Redirects returns a Check that follows at most 10 redirects, and none that changes the method.
// It asks theirs, the check of the client's owner, first, so that nothing which that adds to the
// request gets past the others, and rule last. Both may be nil.
func Redirects(theirs, rule Check) Check {
	return func(next *http.Request, via []*http.Request) error {
		for _, check := range []Check{theirs, bounded, sameMethod, rule} {
			if check == nil {
				continue
			}
			if err := check(next, via); err != nil {
				return err
			}
		}
		return nil
	}
}

// None is a Check that follows no redirect: the redirect is the answer.
func None(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func bounded(_ *http.Request, via []*http.Request) error {
	if len(via) >= MaxRedirects {
		return fmt.Errorf("%w: more than %d redirects", ErrRedirect, MaxRedirects)
	}
	return nil
}

// sameMethod refuses what 301, 302 and 303 do to a POST: they make a GET of it (RFC 9110 15.4.2 to
// 15.4.4). Who answers that GET has written nothing.
func sameMethod(next *http.Request, via []*http.Request) error {
	if sent := via[0].Method; next.Method != sent {
		return fmt.Errorf("%w: it makes a %s of a %s", ErrRedirect, next.Method, sent)
	}
	return nil
}

// LeavesTLS reports whether next is not encrypted although a request before it was.
func LeavesTLS(next *http.Request, via []*http.Request) bool {
	for _, before := range via {
		if before.URL.Scheme == "https" && next.URL.Scheme != "https" {
			return true
		}
	}
	return false
}

// LeavesOrigin reports whether next goes to another scheme, host or port than a request before it.
func LeavesOrigin(next *http.Request, via []*http.Request) bool {
	for _, before := range via {
		if origin(before.URL) != origin(next.URL) {
			return true
		}
	}
	return false
}

// SameOrigin reports whether two URLs have the same scheme, host and port (RFC 6454 5). The case of
// ASCII letters and a default port make no difference. Everything else does, also where it might
// lead to the same machine: a dot behind the name, a name in Unicode beside the same one in
// Punycode, another notation of an IP address.
func SameOrigin(a, b *url.URL) bool { return origin(a) == origin(b) }

// origin is scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + asciiLower(u.Hostname()) + ":" + port
}

// asciiLower leaves letters beyond ASCII as they are: strings.ToLower makes a k of the Kelvin sign.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
