package sdktest

import (
	"context"
	"crypto/tls"
	"net"
	"strings"

	sdk "github.com/mirrorfly-go/sdk"
)

// Config reaches the server and trusts its certificate. Transport is WebSocket;
// set it to [sdk.TransportTCP] for TCP with STARTTLS: the service hands out the
// addresses of both (protocol.md 3: xmppHost and xmppPortWeb, xmppDomain and
// xmppPort), and DialContext connects the domain, its parent, all names below that
// parent and the name in the server's URLs to this server.
func (s *Server) Config() sdk.Config {
	cfg := sdk.Config{
		LicenseKey:   s.opts.LicenseKey,
		APIBaseURL:   s.URL(),
		APIConfigURL: s.ConfigURL(),
		TrialLicense: s.opts.Trial,
		TLSConfig:    &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.certs.pool},
		DialContext:  s.dial,
	}
	if !s.certs.forDomain {
		cfg.XMPPAddress = s.XMPPURL()
	}
	if s.external != nil {
		cfg.XMPPHost, cfg.XMPPAddress = s.domain, s.opts.XMPP.Address
		if strings.HasPrefix(cfg.XMPPAddress, "xmpp://") || strings.HasPrefix(cfg.XMPPAddress, "xmpps://") {
			cfg.Transport = sdk.TransportTCP
		}
	}
	return cfg
}

// URL is the API base URL, for [sdk.Config.APIBaseURL]. It has no slash at the end.
func (s *Server) URL() string { return "https://" + s.webAddr() + apiRoot }

// ConfigURL is the licence lookup, for [sdk.Config.APIConfigURL] (protocol.md 1.3).
func (s *Server) ConfigURL() string { return "https://" + s.webAddr() + lookupPath }

// SignalURL is the signalling server of QR logins (protocol.md 7.1).
func (s *Server) SignalURL() string { return "https://" + s.webAddr() }

// XMPPURL is the WebSocket address, or the external server's address.
func (s *Server) XMPPURL() string {
	if s.external != nil {
		return s.opts.XMPP.Address
	}
	return "wss://" + s.webAddr() + "/websocket"
}

// XMPPAddress is host:port of XMPP over TCP with STARTTLS, or the external server's address.
func (s *Server) XMPPAddress() string {
	if s.external != nil {
		return s.opts.XMPP.Address
	}
	return s.dialable(s.addresses().xmpp)
}

// XMPPSAddress is host:port of XMPP over TCP with direct TLS; empty with an external server.
func (s *Server) XMPPSAddress() string {
	if s.external != nil {
		return ""
	}
	return s.dialable(s.addresses().xmpps)
}

// Domain is the domain of all JIDs.
func (s *Server) Domain() string { return s.domain }

// LicenseKey is the key that the service accepts.
func (s *Server) LicenseKey() string { return s.opts.LicenseKey }

func (s *Server) addresses() addresses {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addrs
}

func (s *Server) httpAddr() string { return s.dialable(s.addresses().http) }

// webAddr is httpAddr under a name for which the certificate is valid, as far as it has one.
func (s *Server) webAddr() string {
	address := s.httpAddr()
	if _, port, err := net.SplitHostPort(address); err == nil && s.certs.name != "" {
		return net.JoinHostPort(s.certs.name, port)
	}
	return address
}

// dialable replaces the address that means all addresses by the loopback address.
func (s *Server) dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// dial connects names of this server to the address at which it listens, and other names as usual.
func (s *Server) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && s.names(host) && s.external == nil {
		mine, _, err := net.SplitHostPort(s.httpAddr())
		if err == nil {
			address = net.JoinHostPort(mine, port)
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// names reports whether the certificate is for a host name, except localhost.
func (s *Server) names(host string) bool {
	host = strings.ToLower(host)
	if host == s.domain || s.certs.name != "" && host == strings.ToLower(s.certs.name) {
		return true
	}
	_, parent, ok := strings.Cut(s.domain, ".")
	if !strings.Contains(parent, ".") {
		ok = false // never connect a whole top-level domain to this server
	}
	return ok && (host == parent || strings.HasSuffix(host, "."+parent))
}

func (s *Server) jid(id string) string { return id + "@" + s.domain }

// localpart is the user id of an id or a JID, in lowercase: as on XMPP servers, the case does not
// matter (RFC 7622 3.3).
func localpart(user string) string {
	id, _, _ := strings.Cut(user, "@")
	return strings.ToLower(id)
}
