package sdktest

import (
	"net/http"
	"strings"
)

// testRoot is for tools that use the server. The service has no such path.
const testRoot = "/_test/"

// ours reports whether a path belongs to the service, whether there is something at it or not.
func ours(path string) bool {
	_, isREST := operation(path)
	return isREST || path == "/websocket" || strings.HasPrefix(path, "/socket.io/") || strings.HasPrefix(path, testRoot)
}

// serveOther serves a path that does not belong to the service (Options.Handler).
func (s *Server) serveOther(w http.ResponseWriter, req *http.Request) {
	if s.opts.Handler == nil {
		notFound(w, req)
		return
	}
	if c := connOf(req); c != nil {
		c.spared.Store(true)
		defer c.spared.Store(false)
	}
	s.opts.Handler.ServeHTTP(w, req)
}
