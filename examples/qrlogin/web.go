package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/mirrorfly-go/sdk/examples/internal/localpage"
	"github.com/mirrorfly-go/sdk/sdktest"
)

//go:embed page
var pageFiles embed.FS

const (
	maxWatchers    = 100 // open pages
	maxForm        = 4 << 10
	heartbeat      = 15 * time.Second // finds out which pages were closed
	requestTimeout = 10 * time.Second // for reading a request and for writing one event
	shutdownWait   = 5 * time.Second
)

// web is the page.
type web struct {
	board *board
	// phone has the built-in phones. nil: there are none.
	phone *sdktest.Server
}

// serve listens, and serves until ctx ends. When serving fails it calls cancel, which ends ctx.
// stop waits for the end, and returns the failure.
func (w *web) serve(
	ctx context.Context, listen string, cancel context.CancelFunc,
) (url string, stop func() error, err error) {
	handler, err := w.handler(listen)
	if err != nil {
		return "", nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return "", nil, fmt.Errorf("%w\nEnd the program that uses %s, or choose another address: "+
			"-listen 127.0.0.1:0 takes any free port", err, listen)
	}
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: requestTimeout,
		IdleTimeout:       time.Minute,
		// Event streams end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { // ends with stop
		served <- srv.Serve(l)
		cancel()
	}()
	return "http://" + reachable(l.Addr()), func() error {
		// Not ctx, which has ended: answers that are being written may still arrive.
		last, done := context.WithTimeout(context.Background(), shutdownWait)
		defer done()
		if srv.Shutdown(last) != nil {
			_ = srv.Close() // the requests that are left had time enough
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// reachable is the address at which a browser on this machine reaches the listener.
func reachable(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err == nil && ap.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
	}
	return addr.String()
}

// handler is everything that is served.
func (w *web) handler(listen string) (http.Handler, error) {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	logo, err := encodePNG(drawLogo())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for _, name := range []string{"page.css", "page.js"} {
		mux.HandleFunc("GET /"+name, serveFile(files, name))
	}
	mux.HandleFunc("GET /{$}", serveFile(files, "page.html"))
	mux.HandleFunc("GET /logo.png", func(rw http.ResponseWriter, _ *http.Request) { write(rw, "image/png", logo) })
	mux.Handle("GET /events", localpage.Limit(maxWatchers, w.events))
	mux.HandleFunc("GET /code.svg", w.code)
	mux.HandleFunc("GET /picture.png", w.picture)
	mux.HandleFunc("POST /logout", w.logout)
	if w.phone != nil {
		mux.HandleFunc("POST "+scanPath, phoneAction(w.scan))
		mux.HandleFunc("POST "+endPath, phoneAction(w.end))
	}
	return guard(listen, mux), nil
}

func serveFile(files fs.FS, name string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) { http.ServeFileFS(rw, r, files, name) }
}

const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard keeps other web sites out. CrossOriginProtection refuses their POST requests. The check of
// Host refuses requests under a name that others have pointed here (DNS rebinding). The headers
// forbid other sites to embed what they may not read.
func guard(listen string, next http.Handler) http.Handler {
	own, _, _ := net.SplitHostPort(listen)
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h := rw.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if !localpage.HostAllowed(r.Host, own) {
			http.Error(rw, "open this page by its IP address, or as localhost", http.StatusMisdirectedRequest)
			return
		}
		if r.Method == http.MethodPost {
			// This cannot fail: the writers of net/http have deadlines.
			_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(requestTimeout))
			r.Body = http.MaxBytesReader(rw, r.Body, maxForm)
		}
		next.ServeHTTP(rw, r)
	})
}

func write(rw http.ResponseWriter, contentType string, body []byte) {
	rw.Header().Set("Content-Type", contentType)
	_, _ = rw.Write(body) // it fails when the browser has closed the connection
}

// code serves the code that is shown. Its logo is a picture inside the SVG.
func (w *web) code(rw http.ResponseWriter, r *http.Request) {
	v, _ := w.board.look()
	if v.code == nil {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Security-Policy", "default-src 'none'; img-src data:")
	write(rw, "image/svg+xml", []byte(v.code.SVG()))
}

func (w *web) picture(rw http.ResponseWriter, r *http.Request) {
	v, _ := w.board.look()
	if v.user == nil || v.user.picture == nil {
		http.NotFound(rw, r)
		return
	}
	write(rw, "image/png", v.user.picture)
}

// logout asks login.run to log out. The event stream tells the outcome.
func (w *web) logout(rw http.ResponseWriter, _ *http.Request) {
	v, _ := w.board.look()
	if v.logout == nil {
		http.Error(rw, "nobody is logged in", http.StatusConflict)
		return
	}
	select {
	case v.logout <- struct{}{}:
	default: // another tab has asked already
	}
	rw.WriteHeader(http.StatusAccepted)
}

// event is a view in the form for the page.
type event struct {
	// Version is part of the addresses of code and picture, so that the browser loads new ones.
	Version  int    `json:"version"`
	Stage    stage  `json:"stage"`
	Notice   string `json:"notice"`
	Name     string `json:"name"`
	Initials string `json:"initials"`
	Picture  bool   `json:"picture"`
	// Phone is true when there are built-in phones.
	Phone bool `json:"phone"`
}

func (w *web) event(v view) event {
	e := event{Version: v.version, Stage: v.stage, Notice: v.notice, Phone: w.phone != nil}
	if v.user != nil {
		e.Name, e.Initials, e.Picture = v.user.name, initials(v.user.name), v.user.picture != nil
	}
	return e
}

// events streams the latest view and all later ones (server-sent events).
func (w *web) events(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	out := http.NewResponseController(rw)
	for {
		v, changed := w.board.look()
		data, err := json.Marshal(w.event(v))
		if err != nil || send(rw, out, "data: %s\n\n", data) != nil {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-tick.C:
				if send(rw, out, ": still here\n\n") != nil {
					return
				}
			case <-r.Context().Done():
				return
			}
		}
	}
}

func send(rw http.ResponseWriter, out *http.ResponseController, format string, args ...any) error {
	if err := out.SetWriteDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(rw, format, args...); err != nil {
		return err
	}
	return out.Flush()
}

// initials are shown for a person without a picture.
func initials(name string) string {
	var first []rune
	for _, word := range strings.Fields(name) {
		if r := []rune(word)[0]; unicode.IsLetter(r) || unicode.IsNumber(r) {
			first = append(first, unicode.ToUpper(r))
		}
	}
	switch {
	case len(first) == 0:
		return "?"
	case len(first) > 2:
		first = []rune{first[0], first[len(first)-1]}
	}
	return string(first)
}
