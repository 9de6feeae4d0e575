package sdktest

import (
	"net/http"
	"strings"
)

const testRoot = "/_test/" // what the service does not have

// SetHandler makes h serve the paths of the HTTPS port that are not the
// service's, such as a page for those who use the server as an emulator; nil,
// as it is at the beginning: they are answered 404. The service's are
// /api/v1/, /license/details, /storage/, /websocket, /socket.io/ and /_test/.
//
// No fault of a REST request, no Delay and no CORS header is applied to what h
// serves, and DropConnections spares the connections that it serves at that
// moment. The contexts of its requests end with Close and Restart, which wait
// for h: it must not call them itself.
func (s *Server) SetHandler(h http.Handler) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.handler = h
}

// ours reports whether a path is the service's, whatever there is at it.
func ours(path string) bool {
	_, isREST := operation(path)
	return isREST || path == "/websocket" || strings.HasPrefix(path, "/socket.io/") || strings.HasPrefix(path, testRoot)
}

// serveOther serves a path that is not the service's.
func (s *Server) serveOther(w http.ResponseWriter, req *http.Request) {
	s.ctl.mu.Lock()
	h := s.ctl.handler
	s.ctl.mu.Unlock()
	if h == nil {
		notFound(w, req)
		return
	}
	if c := connOf(req); c != nil {
		c.spared.Store(true)
		defer c.spared.Store(false)
	}
	h.ServeHTTP(w, req)
}
