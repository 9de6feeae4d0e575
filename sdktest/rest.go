package sdktest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"
)

const (
	apiRoot    = "/api/v1"
	lookupPath = "/license/details"

	preAuthentication = "generatePreAuthenticationUrlDownload"

	maxBody  = 1 << 20        // bytes of a JSON body
	hugeBody = int64(2 << 30) // bytes of a FaultHuge answer

	bodyTimeout = 30 * time.Second // for a JSON body
)

// reply is the envelope of every REST answer (protocol.md 1.4).
type reply struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func ok(data any) reply { return reply{Status: http.StatusOK, Message: "Success", Data: data} }

func refuse(status int, message string) reply { return reply{Status: status, Message: message} }

// call is a REST request whose body was read and whose sender is known.
type call struct {
	req   *http.Request
	token string
	// user is empty where no authorization is needed.
	user string
	body []byte
}

// decode reads the JSON body into v.
func (c *call) decode(v any) error { return json.Unmarshal(c.body, v) }

// handler is everything that the HTTPS port serves.
func (r *run) handler() http.Handler {
	s := r.srv
	mux := http.NewServeMux()
	s.routes(mux)
	mux.HandleFunc("/", notFound)
	if s.external == nil {
		mux.HandleFunc("GET /websocket", r.serveWebSocket)
	}
	s.signal.routes(mux, r)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.enter() {
			panic(http.ErrAbortHandler) // the server is closing
		}
		defer r.leave()
		s.tellTime(w)
		if !ours(req.URL.Path) {
			s.serveOther(w, req)
			return
		}
		if cors(w, req) {
			return
		}
		if op, ok := operation(req.URL.Path); ok {
			s.serveREST(mux, op, w, req)
			return
		}
		mux.ServeHTTP(w, req)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeReply(w, http.StatusNotFound, refuse(http.StatusNotFound, "Not Found"))
}

func (s *Server) routes(mux *http.ServeMux) {
	open := func(pattern string, f func(*call) reply) { mux.HandleFunc(pattern, s.answer(false, f)) }
	authorized := func(pattern string, f func(*call) reply) { mux.HandleFunc(pattern, s.answer(true, f)) }
	open("GET "+lookupPath, s.lookup)
	open("POST "+apiRoot+"/login", s.login)
	open("POST "+apiRoot+"/register", s.registerLicensed)
	open("POST "+apiRoot+"/sandbox/register", s.registerTrial)
	authorized("GET "+apiRoot+"/users/config", s.usersConfig)
	authorized("GET "+apiRoot+"/logout", s.logout)
	authorized("POST "+apiRoot+"/users/deleteMyAccount", s.deleteMyAccount)
	authorized("GET "+apiRoot+"/users/blockedby", s.usersBlockedBy)
	authorized("GET "+apiRoot+"/contacts/vcard", s.contactsVCard)
	authorized("GET "+apiRoot+"/contacts/userList", s.userList)
	authorized("GET "+apiRoot+"/chat/chat-history", s.chatHistory)
	authorized("GET "+apiRoot+"/chat/recent-chats", s.recentChats)
	authorized("GET "+apiRoot+"/chat/message", s.chatMessage)
	authorized("POST "+apiRoot+"/moderation/feedback", s.moderationFeedback)
	authorized("POST "+apiRoot+"/moderation/report", s.moderationReport)
	authorized("POST "+apiRoot+"/media/upload", s.mediaUpload)
	authorized("POST "+apiRoot+"/media/upload/commit", s.mediaCommit)
	authorized("GET "+apiRoot+"/media/"+preAuthentication, s.mediaDownloadURL)
	mux.HandleFunc("POST "+apiRoot+"/media/{$}", s.mediaPost)
	mux.HandleFunc("GET "+apiRoot+"/media/{token...}", s.mediaGet)
	mux.HandleFunc("PUT "+storageRoot+"{token}/{part}", s.storagePut)
	mux.HandleFunc("POST "+storageRoot+"{token}/commit", s.storageCommit)
	mux.HandleFunc("GET "+storageRoot+"{token}", s.storageGet)
}

// operation is the name of a REST path for FailNext.
func operation(path string) (string, bool) {
	if rest, found := strings.CutPrefix(path, apiRoot+"/"); found {
		return strings.Trim(rest, "/"), true
	}
	if path == lookupPath || strings.HasPrefix(path, storageRoot) {
		return strings.Trim(path, "/"), true
	}
	return "", false
}

// cors answers preflight requests and lets every page read every answer: in browsers
// the requests of the official SDK come from another origin.
func cors(w http.ResponseWriter, req *http.Request) (done bool) {
	origin := req.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "ETag, Content-Length, Content-Range, Retry-After")
	h.Add("Vary", "Origin")
	if req.Method != http.MethodOptions || req.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS")
	wanted := req.Header.Get("Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Headers", cmp.Or(wanted, "authorization, content-type"))
	h.Set("Access-Control-Max-Age", "600")
	if req.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// serveREST records a request, applies the faults that are set, and serves it.
func (s *Server) serveREST(mux http.Handler, op string, w http.ResponseWriter, req *http.Request) {
	body, err := readBody(w, op, req)
	if err != nil {
		status, text := http.StatusBadRequest, "Request body could not be read"
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			status, text = http.StatusRequestEntityTooLarge, "Request body is too large"
		}
		writeReply(w, status, refuse(status, text))
		return
	}
	seen := Request{
		Kind: "rest", User: s.store.userOf(req.Header.Get("Authorization")), Method: req.Method, Path: op,
		Query: req.URL.RawQuery, Header: req.Header.Clone(), Body: s.opened(body),
	}
	entry := s.journal.add(seen)
	w, answered := s.tapREST(w, seen)
	defer answered()
	about := s.restSubject(op, seen)
	if s.misbehaveREST(w, req, s.fault(StepREST, about)) {
		return
	}
	if s.pause(req.Context()) != nil {
		panic(http.ErrAbortHandler)
	}
	if f, found := s.takeFailure(op); found {
		maps.Copy(w.Header(), f.header)
		writeReply(w, failureStatus(req.Method, op, f.reply.Status), f.reply)
		return
	}
	req = req.WithContext(context.WithValue(req.Context(), entryKey{}, entry))
	switch kind := s.fault(StepRESTAfter, about); kind {
	case FaultSilent, FaultClose, FaultError, FaultMalformed, FaultHuge:
		mux.ServeHTTP(&unsent{header: http.Header{}}, req)
		s.misbehaveREST(w, req, kind)
	default:
		s.misbehaveREST(w, req, kind)
		mux.ServeHTTP(w, req)
	}
}

// unsent takes an answer that nobody gets.
type unsent struct{ header http.Header }

func (u *unsent) Header() http.Header         { return u.header }
func (u *unsent) WriteHeader(int)             {}
func (u *unsent) Write(p []byte) (int, error) { return len(p), nil }

// failureStatus is the HTTP status for FailNext. Where success is not JSON, only the
// status can tell the failure.
func failureStatus(method, op string, status int) int {
	isDownload := method == http.MethodGet && strings.HasPrefix(op, "media/") && op != "media/"+preAuthentication
	raw := strings.HasPrefix(op, "storage/") || isDownload
	if raw && status >= 400 && status < 600 {
		return status
	}
	if status == http.StatusUnauthorized || status == http.StatusTooManyRequests || (status > 500 && status < 600) {
		return status
	}
	return http.StatusOK
}

// misbehaveREST applies a fault of StepREST or StepRESTAfter. It returns true when it has answered.
func (s *Server) misbehaveREST(w http.ResponseWriter, req *http.Request, kind FaultKind) bool {
	switch kind {
	case FaultSilent:
		<-req.Context().Done()
		panic(http.ErrAbortHandler) // a return would answer 200
	case FaultClose:
		panic(http.ErrAbortHandler)
	case FaultError:
		writeReply(w, http.StatusServiceUnavailable, refuse(http.StatusServiceUnavailable, "Service Unavailable"))
		return true
	case FaultMalformed:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Login to the guest network</title>")
		return true
	case FaultHuge:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":200,"message":"`)
		chunk := bytes.Repeat([]byte("a"), 64<<10)
		for n := int64(0); n < hugeBody && req.Context().Err() == nil; n += int64(len(chunk)) {
			if _, err := w.Write(chunk); err != nil {
				return true
			}
		}
		return true
	case FaultSlow:
		if c := connOf(req); c != nil {
			c.mode.Store(FaultSlow)
		}
	}
	return false
}

// readBody reads a JSON body and puts it back for the handler. It does not read media:
// their handlers bound the size. The path decides this and not a header of the
// request, so that every body has a bound.
func readBody(w http.ResponseWriter, op string, req *http.Request) ([]byte, error) {
	if op == "media" || strings.HasPrefix(op, "storage/") || req.Body == http.NoBody {
		return nil, nil
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout)) // for a body that never comes
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		return nil, err
	}
	_ = rc.SetReadDeadline(time.Time{})
	req.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// answer is a JSON endpoint: it checks the authorization header, which is the raw token
// (protocol.md 1.4).
func (s *Server) answer(needsToken bool, f func(*call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		c := &call{req: req, token: req.Header.Get("Authorization")}
		if needsToken {
			if c.user = s.store.userOf(c.token); c.user == "" {
				expired(w)
				return
			}
		}
		var err error
		if c.body, err = io.ReadAll(req.Body); err != nil {
			writeReply(w, http.StatusBadRequest, refuse(http.StatusBadRequest, "Request body could not be read"))
			return
		}
		out := f(c)
		s.acknowledge(w, out)
	}
}

// acknowledge answers after the changes are saved.
func (s *Server) acknowledge(w http.ResponseWriter, out reply) {
	if s.commit() != nil {
		out = internalError()
	}
	writeReply(w, http.StatusOK, out)
}

func internalError() reply {
	return refuse(http.StatusInternalServerError, "Internal Server Error")
}

// expired is the only error that is sent as an HTTP status (protocol.md 1.4).
func expired(w http.ResponseWriter) {
	writeReply(w, http.StatusUnauthorized, refuse(http.StatusUnauthorized, "Token Expired"))
}

func writeReply(w http.ResponseWriter, httpStatus int, r reply) {
	raw, err := json.Marshal(r)
	if err != nil {
		httpStatus, raw = http.StatusInternalServerError, []byte(`{"status":500,"message":"Internal Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(httpStatus)
	_, _ = w.Write(raw) // the client is gone otherwise
}

// badBody is the answer to a body that the endpoint does not accept.
func badBody(err error) reply {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		return refuse(http.StatusBadRequest, kind.Field+" should be Valid data type")
	case errors.As(err, &syntax):
		return refuse(http.StatusBadRequest, "Request body is not JSON")
	}
	return refuse(http.StatusBadRequest, "Request body is not valid")
}
