package xmpp

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/plain"
)

// The schemes of an [Address].
const (
	schemeWS    = "ws"    // WebSocket without TLS
	schemeWSS   = "wss"   // WebSocket over TLS
	schemeXMPP  = "xmpp"  // TCP with STARTTLS
	schemeXMPPS = "xmpps" // TCP with TLS from the first byte (XEP-0368)
)

// Address is where a server is reached.
type Address struct {
	Scheme string // "ws", "wss", "xmpp" (TCP, STARTTLS) or "xmpps" (TCP, direct TLS)
	Host   string // host:port
	Path   string // WebSocket only
	Query  string // WebSocket only, without the question mark; never shown
}

// String returns the address for people and logs; it leaves the query out.
func (a Address) String() string { return a.Scheme + "://" + a.Host + a.Path }

func (a Address) url() string {
	whole := (&url.URL{Scheme: a.Scheme, Host: a.Host}).String() + a.Path // escapes the zone of an IPv6 address (RFC 6874 2)
	if a.Query != "" {
		whole += "?" + a.Query
	}
	return whole
}

func (a Address) webSocket() bool { return a.Scheme == schemeWS || a.Scheme == schemeWSS }

// ParseAddresses reads a comma separated list of addresses: ws://, wss://,
// xmpp:// (TCP, STARTTLS), xmpps:// (TCP, direct TLS) or a bare host[:port],
// which is xmpp:// when tcp is set and wss:// otherwise. Ports default to 80,
// 443, 5222 and 5223, the path of a WebSocket to /websocket (protocol.md 4.3).
// The error names the entry that is wrong.
func ParseAddresses(list string, tcp bool) ([]Address, error) {
	entries := strings.Split(list, ",")
	addrs := make([]Address, 0, len(entries))
	for i, entry := range entries {
		a, err := parseAddress(strings.TrimSpace(entry), tcp)
		if err != nil {
			return nil, fmt.Errorf("address %d of %d: %w", i+1, len(entries), err)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

func parseAddress(entry string, tcp bool) (Address, error) {
	if entry == "" {
		return Address{}, fmt.Errorf("is empty")
	}
	if !strings.Contains(entry, "://") {
		if tcp {
			entry = schemeXMPP + "://" + entry
		} else {
			entry = schemeWSS + "://" + entry
		}
	}
	shown, _, _ := strings.Cut(entry, "?") // a query may hold a secret, and so may a user
	shown = shown[strings.LastIndexByte(shown, '@')+1:]
	u, err := url.Parse(entry)
	switch {
	case err != nil:
		return Address{}, fmt.Errorf("%q is not an address", shown)
	case strings.Count(u.Host, ":") > 1 && !strings.HasPrefix(u.Host, "["):
		return Address{}, fmt.Errorf("%q is not an address", shown)
	case u.User != nil:
		return Address{}, fmt.Errorf("%q must not carry a user", shown)
	case u.Fragment != "":
		return Address{}, fmt.Errorf("%q must not carry a fragment", shown)
	}
	a := Address{Scheme: strings.ToLower(u.Scheme), Path: u.EscapedPath(), Query: u.RawQuery}
	if a.Host, err = hostPort(a.Scheme, u.Hostname(), u.Port()); err != nil {
		return Address{}, fmt.Errorf("%q: %w", shown, err)
	}
	if a.Host == u.Host {
		a.Host = u.Host // a part of entry, which is held already
	}
	if !a.webSocket() && (strings.Trim(a.Path, "/") != "" || a.Query != "") {
		return Address{}, fmt.Errorf("%q: a TCP address is host and port only", shown)
	}
	switch {
	case !a.webSocket():
		a.Path = ""
	case a.Path == "":
		a.Path = "/websocket"
	}
	return a, nil
}

func hostPort(scheme, host, port string) (string, error) {
	defaults := map[string]string{schemeWS: "80", schemeWSS: "443", schemeXMPP: "5222", schemeXMPPS: "5223"}
	byDefault, known := defaults[scheme]
	if !known {
		return "", fmt.Errorf("unknown scheme %q", scheme)
	}
	if port == "" {
		port = byDefault
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("bad port %q", port)
	}
	if host == "" {
		return "", fmt.Errorf("no host")
	}
	if strings.ContainsAny(host, "[] ") || plain.Text(host) != host {
		return "", fmt.Errorf("bad host")
	}
	return net.JoinHostPort(host, port), nil
}

// redirect is a server's wish, while the session is being set up, that we go
// elsewhere: see-other-uri of <close/> (RFC 7395 3.6.1), or the host of a
// see-other-host stream error (RFC 6120 4.9.3.19).
type redirect struct{ to string }

func (r *redirect) Error() string { return "server sends us elsewhere too often" }

// from returns where to go from here: the same kind of transport, and never one
// that is less secure than where we were.
func (r *redirect) from(here Address) (Address, error) {
	to := r.to
	if !strings.Contains(to, "://") {
		to = here.Scheme + "://" + to
	}
	next, err := parseAddress(to, !here.webSocket())
	if err != nil {
		return Address{}, fmt.Errorf("server sends us elsewhere: %w", err)
	}
	sameOrSafer := next.Scheme == here.Scheme || here.Scheme == schemeWS && next.Scheme == schemeWSS
	if !sameOrSafer {
		return Address{}, fmt.Errorf("server sends us from %s to %s: refused", here, next)
	}
	return next, nil
}
