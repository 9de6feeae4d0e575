package httpguard

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	return req
}

func TestRedirects(t *testing.T) {
	get, post := request(t, "GET", "https://a/"), request(t, "POST", "https://a/")
	repeated := func(n int) (via []*http.Request) {
		for range n {
			via = append(via, get)
		}
		return via
	}
	follow := Redirects(nil, nil)
	require.NoError(t, follow(get, repeated(9)))
	require.ErrorIs(t, follow(get, repeated(10)), ErrRedirect)
	require.ErrorIs(t, follow(get, []*http.Request{post}), ErrRedirect)
	require.NoError(t, follow(post, []*http.Request{post}))
	require.ErrorIs(t, None(get, repeated(1)), http.ErrUseLastResponse)
}

// Each check can refuse, the owner's before all others and the package's own rule after them.
func TestOrderOfChecks(t *testing.T) {
	get, post := request(t, "GET", "https://a/"), request(t, "POST", "https://a/")
	var asked []string
	refuse := map[string]error{}
	check := func(name string) Check {
		return func(*http.Request, []*http.Request) error {
			asked = append(asked, name)
			return refuse[name]
		}
	}
	follow := Redirects(check("theirs"), check("rule"))
	require.NoError(t, follow(get, []*http.Request{get}))
	require.Equal(t, []string{"theirs", "rule"}, asked)

	asked = nil
	require.ErrorIs(t, follow(get, []*http.Request{post}), ErrRedirect)
	require.Equal(t, []string{"theirs"}, asked)

	for _, name := range []string{"rule", "theirs"} {
		refuse[name] = errors.New(name)
		require.ErrorIs(t, follow(get, []*http.Request{get}), refuse[name])
	}
}

func TestLeaves(t *testing.T) {
	for _, c := range []struct {
		from, to    string
		tls, origin bool
	}{
		{"https://a/x", "https://a/y", false, false},
		{"https://a/x", "https://A:443/y", false, false},
		{"https://a/x", "https://a:444/y", false, true},
		{"https://a/x", "https://b/y", false, true},
		{"https://a/x", "http://a/y", true, true},
		{"http://a/x", "http://a:80/y", false, false},
		{"http://a/x", "https://a/y", false, true},
	} {
		next, via := request(t, "GET", c.to), []*http.Request{request(t, "GET", c.from)}
		require.Equal(t, c.tls, LeavesTLS(next, via), c)
		require.Equal(t, c.origin, LeavesOrigin(next, via), c)
		via = append(via, next) // what was left stays left
		require.Equal(t, c.tls, LeavesTLS(next, via), c)
		require.Equal(t, c.origin, LeavesOrigin(next, via), c)
	}
}
