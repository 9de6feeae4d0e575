package rest

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// net/http sends a GET again by itself when a connection that was used before breaks without an
// answer, and the first Logout may have taken effect: the refusal of the second is no answer to it.
func TestLogoutWhoseConnectionBreaks(t *testing.T) {
	for _, at := range []string{"GET /logout", "GET /moved"} {
		to := "/moved"
		var lost atomic.Int32
		lose := func(w http.ResponseWriter, _ *http.Request) {
			lost.Add(1)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		}
		all := handlers{"POST /login": answer(200, loginOK), "GET /logout": redirect(308, &to)}
		all[at] = lose
		s := serve(t, all)
		c := connect(t, s.URL)
		// From then on the connection counts as used.
		c.login(t)
		err := c.Logout(t.Context())
		require.Equal(t, 599, fail(t, err).Status)
		require.False(t, unsent.Is(err), "it may have taken effect")
		require.EqualValues(t, 2, lost.Load(), "once more, and not by net/http")
	}
}

// Over the wire a Logout looks like any other GET, and over HTTP/2 it arrives.
func TestLogoutHasNoBody(t *testing.T) {
	for _, proto := range []int{1, 2} {
		var length atomic.Int64
		var came atomic.Int32
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			came.Store(int32(r.ProtoMajor))
			n, _ := r.Body.Read(make([]byte, 1))
			length.Add(int64(n) + int64(len(r.TransferEncoding)) + max(r.ContentLength, 0))
			answer(200, plainOK)(w, r)
		}))
		s.EnableHTTP2 = proto == 2
		s.StartTLS()
		c := connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient = s.Client() })
		require.NoError(t, c.Logout(t.Context()))
		require.EqualValues(t, proto, came.Load())
		require.Zero(t, length.Load())
		s.Close()
	}
}
