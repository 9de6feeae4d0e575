package frames

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
	// WebSocket without and with TLS.
	schemeWS  = "ws"
	schemeWSS = "wss"
	// TCP with STARTTLS, and with TLS from the first byte (XEP-0368).
	schemeXMPP  = "xmpp"
	schemeXMPPS = "xmpps"
)

// Address is where a server is reached.
type Address struct {
	// Scheme is "ws", "wss", "xmpp" (TCP, STARTTLS) or "xmpps" (TCP, direct TLS).
	Scheme string
	// Host is host:port.
	Host string
	// Path and Query, which is without its question mark and never shown, are for WebSocket only.
	Path, Query string
}

// String returns the address for people and logs; it leaves the query out.
func (a Address) String() string { return a.Scheme + "://" + a.Host + a.Path }

func (a Address) url() string {
	// This escapes the zone of an IPv6 address (RFC 6874 2).
	whole := (&url.URL{Scheme: a.Scheme, Host: a.Host}).String() + a.Path
	if a.Query != "" {
		whole += "?" + a.Query
	}
	return whole
}

// WebSocket reports whether the address is one of a WebSocket. The others are of TCP.
func (a Address) WebSocket() bool { return a.Scheme == schemeWS || a.Scheme == schemeWSS }

// Secure reports whether a connection to the address has TLS from its first byte.
func (a Address) Secure() bool { return a.Scheme == schemeWSS || a.Scheme == schemeXMPPS }

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
	// A query may hold a secret, and so may a user.
	shown, _, _ := strings.Cut(entry, "?")
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
	if !a.WebSocket() && (strings.Trim(a.Path, "/") != "" || a.Query != "") {
		return Address{}, fmt.Errorf("%q: a TCP address is host and port only", shown)
	}
	switch {
	case !a.WebSocket():
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

// Redirect returns where to go from a when the server sends us to another place: an address, or
// host[:port] with the same scheme. It is reached by the same kind of transport, and never by one
// that is less secure.
func (a Address) Redirect(to string) (Address, error) {
	if !strings.Contains(to, "://") {
		to = a.Scheme + "://" + to
	}
	next, err := parseAddress(to, !a.WebSocket())
	if err != nil {
		return Address{}, fmt.Errorf("server sends us elsewhere: %w", err)
	}
	sameOrSafer := next.Scheme == a.Scheme || a.Scheme == schemeWS && next.Scheme == schemeWSS
	if !sameOrSafer {
		return Address{}, fmt.Errorf("server sends us from %s to %s: refused", a, next)
	}
	return next, nil
}
