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
	maxPages       = 20        // open pages
	maxOrder       = 300 << 10 // bytes: enough for a stanza
	requestTimeout = 10 * time.Second
)

// audience says who may open the page.
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

// page shows what the emulator holds and what clients and the emulator send each other, and it
// takes orders. It is made before the server, which needs its handler, and opened when the server
// runs.
type page struct {
	settings settings
	history  *history
	// capacity 1: the wish for a restart
	restart chan struct{}

	// closed by open
	opened chan struct{}
	// The rest is set by open.
	srv   *sdktest.Server
	reach reach
	locks lockOuts
	chats chats
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

// handler serves the page and everything that it needs.
func (p *page) handler() http.Handler {
	mux := http.NewServeMux()
	for path, file := range map[string]string{
		"/{$}": "page.html", "/_dev/page.css": "page.css", "/_dev/page.js": "page.js", "/_dev/chat.js": "chat.js",
		"/_dev/icon.svg": "icon.svg",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, req *http.Request) {
			http.ServeFileFS(w, req, pageFiles, "page/"+file)
		})
	}
	mux.Handle("GET /_dev/events", localpage.Limit(maxPages, p.events))
	mux.HandleFunc("GET /_dev/state", p.state)
	mux.HandleFunc("GET /_dev/picture/{token}", p.picture)
	mux.HandleFunc("POST /_dev/do/{order}", p.order)
	mux.Handle("GET /_dev/chat", localpage.Limit(maxChats, p.chat))
	mux.HandleFunc("GET /_dev/chat/file", p.download)
	mux.HandleFunc("PUT /_dev/chat/file", p.upload)
	return p.guard(mux)
}

const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ownPage are the values of Sec-Fetch-Site for requests that no other site has caused.
var ownPage = []string{"", "same-origin", "none"}

// guard keeps everybody out but the page: other machines, unless they are allowed; requests under a
// name that others have pointed here (DNS rebinding); and requests from other web sites.
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
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		switch {
		case p.settings.page != audienceAll && !loopback(req.RemoteAddr):
			http.Error(w, "the page is for the machine that the emulator runs on; "+
				"start it with -page all to show it to others", http.StatusForbidden)
		case !localpage.HostAllowed(req.Host, own) && !p.certified(req.Host):
			http.Error(w, "open this page by its IP address, as localhost, or by a name in the certificate of -cert",
				http.StatusMisdirectedRequest)
		case req.URL.Path != "/" && !slices.Contains(ownPage, req.Header.Get("Sec-Fetch-Site")):
			http.Error(w, "this is for the emulator's own page", http.StatusForbidden)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

// certified reports whether one's own certificate is for a host: then its name is nobody else's.
func (p *page) certified(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	own := p.settings.options.Certificate
	return own != nil && own.Leaf.VerifyHostname(host) == nil
}

func loopback(address string) bool {
	ap, err := netip.ParseAddrPort(address)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// pictures are the types in which a browser runs no code.
var pictures = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// picture serves the picture of a profile. Its content and type are what the user has uploaded, and
// may be anything.
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
	// A token names one file for ever.
	w.Header().Set("Cache-Control", "private, max-age=86400, immutable")
	http.ServeContent(w, req, "", time.Time{}, content)
}
