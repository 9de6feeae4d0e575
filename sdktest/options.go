package sdktest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

// TB is the part of [testing.TB] that New needs.
type TB interface {
	Helper()                           // New is not where a test fails
	Cleanup(func())                    // closes the server
	Fatalf(format string, args ...any) // the server can't start
}

// Options says how the server is set up. The zero value is a licensed service
// on free loopback ports that keeps everything in memory.
type Options struct {
	Listen      string // REST, /websocket and /socket.io/, all over TLS; default "127.0.0.1:0"
	ListenXMPP  string // XMPP over TCP with STARTTLS; default a free port of Listen's host
	ListenXMPPS string // XMPP over TCP with direct TLS; default a free port of Listen's host

	Domain     string // domain of all JIDs; default "xmpp.mirrorfly.test"
	LicenseKey string // the one key that is accepted; default "sdktest-license-key"
	Trial      bool   // trial (sandbox) licence: passwords travel as they are (protocol.md 4.2)

	// NoContacts: nobody is anybody's contact, and so there is no presence and no profile push
	// between users, and only the user hears of a deletion or of the administrator. Without it and
	// ContactsByMessage everybody is everybody's contact.
	NoContacts bool
	// ContactsByMessage: only those who have exchanged a message are contacts, as the service
	// documents it for presence and profile pushes (protocol.md 6.1, 6.2). One message that was
	// delivered, in either direction and with a body, makes them contacts for good; see
	// MakeContacts.
	ContactsByMessage bool

	// XMPP is a real XMPP server to front: the REST half then keeps its accounts
	// there and no XMPP is served from here. Needs Trial.
	XMPP *XMPP

	// DataDir keeps accounts, profiles, blocks, media, feedback, reports and
	// deletions across restarts, in a bbolt database. What a client was told is
	// done is on disk. It belongs to one server at a time. Default: nothing is kept.
	DataDir string

	ResumeTimeout time.Duration // stream management (XEP-0198): how long a lost stream can be resumed, whole seconds; default 0: not offered
	PingInterval  time.Duration // how often clients are pinged over XMPP (protocol.md 4.7); default 60s, negative: never
	Logger        *slog.Logger  // nil: silent

	handshake  time.Duration // how long clients may take to bind a resource; default handshakeTimeout
	signalPing time.Duration // how long signalling clients may be silent; default pingInterval + pingTimeout

	tick <-chan time.Time // when clients are pinged, where PingInterval is negative; nil: never
}

// XMPP is an ejabberd that the REST half works with through ejabberd's HTTP API
// (mod_http_api: register, change_password, get_vcard, unregister).
type XMPP struct {
	Domain  string // a host that it serves; wins over Options.Domain
	APIURL  string // e.g. "http://127.0.0.1:5280/api"
	Address string // for sdk.Config.XMPPAddress, e.g. "wss://127.0.0.1:5443/websocket"
	CAFile  string // PEM; what its certificates are signed with, those of the API too; empty: nothing to add
}

const (
	defaultDomain     = "xmpp.mirrorfly.test"
	defaultLicenseKey = "sdktest-license-key"
	defaultListen     = "127.0.0.1:0"
	defaultPing       = time.Minute
)

// withDefaults returns o completed, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if o.NoContacts && o.ContactsByMessage {
		return o, errors.New("NoContacts and ContactsByMessage exclude each other")
	}
	if o.XMPP != nil {
		if err := o.XMPP.validate(); err != nil {
			return o, err
		}
		if !o.Trial {
			return o, errors.New("an external XMPP server needs Trial: it cannot open sealed passwords")
		}
		o.Domain = o.XMPP.Domain
	}
	o.Domain = or(o.Domain, defaultDomain)
	o.LicenseKey = or(o.LicenseKey, defaultLicenseKey)
	o.Listen = or(o.Listen, defaultListen)
	if o.PingInterval == 0 {
		o.PingInterval = defaultPing
	}
	if o.handshake == 0 {
		o.handshake = handshakeTimeout
	}
	if o.signalPing == 0 {
		o.signalPing = pingInterval + pingTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if !validDomain(o.Domain) {
		return o, fmt.Errorf("domain %q is not a host name", o.Domain)
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return o, fmt.Errorf("listen address: %w; give host:port, port 0 takes any free one", err)
	}
	o.ListenXMPP = or(o.ListenXMPP, net.JoinHostPort(host, "0"))
	o.ListenXMPPS = or(o.ListenXMPPS, net.JoinHostPort(host, "0"))
	return o, nil
}

func (x *XMPP) validate() error {
	u, err := url.Parse(x.APIURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("XMPP.APIURL is not an http(s) URL, such as http://127.0.0.1:5281/api")
	}
	if x.Domain == "" || x.Address == "" {
		return errors.New("XMPP.Domain and XMPP.Address are required")
	}
	return nil
}

// validDomain accepts what protocol.md 1.7 accepts behind the @ of a user JID, as far as it is a host name.
func validDomain(d string) bool {
	if len(d) < 2 || len(d) > 253 || strings.HasPrefix(d, "mix.") {
		return false
	}
	for _, label := range strings.Split(d, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
