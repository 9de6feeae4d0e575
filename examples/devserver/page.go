package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/examples/internal/localpage"
	"github.com/mirrorfly-go/sdk/sdktest"
)

//go:embed page
var pageFiles embed.FS

const (
	maxPages       = 20        // that are open
	maxOrder       = 300 << 10 // bytes: a stanza fits in
	requestTimeout = 10 * time.Second
)

// audience is who may open the page.
type audience string

const (
	audienceLocal audience = "local"
	audienceAll   audience = "all"
	audienceNone  audience = "none"
)

// MarshalText and UnmarshalText are for package flag.
func (a audience) MarshalText() ([]byte, error) { return []byte(a), nil }

func (a *audience) UnmarshalText(text []byte) error {
	*a = audience(text)
	if !slices.Contains([]audience{audienceLocal, audienceAll, audienceNone}, *a) {
		return errors.New("want local, all or none")
	}
	return nil
}

// page shows what the emulator holds and what clients and the emulator send each other, and it takes
// orders. It is made before the server, which needs its handler, and opened when the server runs.
type page struct {
	settings settings
	history  *history
	restart  chan struct{} // capacity 1: the wish for a restart

	opened chan struct{} // closed by open
	// The rest is set by open.
	srv   *sdktest.Server
	reach reach
	locks lockOuts
}

func newPage(s settings) *page {
	return &page{settings: s, history: newHistory(), restart: make(chan struct{}, 1), opened: make(chan struct{})}
}

// open lets the page be served.
func (p *page) open(srv *sdktest.Server, how reach) {
	p.srv, p.reach = srv, how
	p.locks.srv = srv
	close(p.opened)
}

func (p *page) close() { p.locks.close() }

// handler is everything that the page consists of.
func (p *page) handler() http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]string{
		"/{$}": "page.html", "/_dev/page.css": "page.css", "/_dev/page.js": "page.js", "/_dev/icon.svg": "icon.svg",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, req *http.Request) { http.ServeFileFS(w, req, pageFiles, "page/"+file) })
	}
	mux.Handle("GET /_dev/events", localpage.Limit(maxPages, p.events))
	mux.HandleFunc("GET /_dev/picture/{token}", p.picture)
	mux.HandleFunc("POST /_dev/do/{order}", p.order)
	return p.guard(mux)
}

// guard lets nobody drive the page but the page: other machines only when they are meant to, no name that a stranger's
// DNS can point here, and no request from another web site.
func (p *page) guard(next http.Handler) http.Handler {
	own, _, _ := net.SplitHostPort(p.settings.options.Listen)
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-p.opened:
		case <-req.Context().Done():
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		switch {
		case p.settings.page != audienceAll && !loopback(req.RemoteAddr):
			http.Error(w, "the page is for the machine that the emulator runs on; start it with -page all to show it to others", http.StatusForbidden)
		case !localpage.HostAllowed(req.Host, own):
			http.Error(w, "open this page by its IP address, or as localhost", http.StatusMisdirectedRequest)
		case req.URL.Path != "/" && !slices.Contains([]string{"", "same-origin", "none"}, req.Header.Get("Sec-Fetch-Site")):
			http.Error(w, "this is for the emulator's own page", http.StatusForbidden)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

func loopback(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// pictures are what a browser shows without running anything in it.
var pictures = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// picture is a profile's. Whoever uploaded it chose content and type.
func (p *page) picture(w http.ResponseWriter, req *http.Request) {
	content, contentType, err := p.srv.Media(req.PathValue("token"))
	if errors.Is(err, fs.ErrNotExist) {
		http.NotFound(w, req)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer content.Close()
	if !slices.Contains(pictures, contentType) {
		http.Error(w, fmt.Sprintf("%q is not shown", contentType), http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable") // a token never stands for another
	http.ServeContent(w, req, "", time.Time{}, content)
}
