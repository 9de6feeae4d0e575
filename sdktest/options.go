package sdktest

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TB is the part of [testing.TB] that New needs.
type TB interface {
	// Helper marks New as a function in which no test fails.
	Helper()
	// Cleanup gets the function that closes the server.
	Cleanup(func())
	// Fatalf is called when the server cannot start.
	Fatalf(format string, args ...any)
}

// Options says how the server is set up. The zero value is a licensed service
// on free loopback ports that keeps everything in memory.
type Options struct {
	// Listen is the address for REST, /websocket and /socket.io/, all over TLS. Default
	// "127.0.0.1:0".
	Listen string
	// ListenXMPP is the address for XMPP over TCP with STARTTLS. Default: a free port of Listen's
	// host.
	ListenXMPP string
	// ListenXMPPS is the address for XMPP over TCP with direct TLS. Default: likewise.
	ListenXMPPS string

	// Domain is the domain of all JIDs. Default "xmpp.mirrorfly.test", or the first name of
	// Certificate.
	Domain string
	// LicenseKey is the only key that is accepted. Default "sdktest-license-key".
	LicenseKey string
	// Trial makes it the service of a trial (sandbox) licence: passwords are sent as they are
	// (protocol.md 4.2).
	Trial bool

	// NoContacts: no user is a contact of another one. So there is no presence and no profile push
	// between users, and only the user hears of a deletion or of the administrator. Without it and
	// ContactsByMessage every user is a contact of every other one.
	NoContacts bool
	// ContactsByMessage: only users who have exchanged a message are contacts, as the service
	// documents it for presence and profile pushes (protocol.md 6.1, 6.2). One message that the
	// server has taken, in either direction and with a body, makes them contacts for good; see
	// MakeContacts.
	ContactsByMessage bool

	// XMPP is a real XMPP server to use: the REST half then keeps its accounts there, and this
	// server serves no XMPP. It needs Trial.
	XMPP *XMPP

	// ResumeTimeout is how long a lost stream can be resumed (stream management, XEP-0198), in
	// whole seconds. Messages that a client has not acknowledged when its stream ends for good come
	// again, to this client or another one of the user. Default 0: stream management is not
	// offered, and messages that were on their way to a lost connection are lost.
	ResumeTimeout time.Duration
	// PingInterval is how often clients are pinged over XMPP (protocol.md 4.7). Default 60s;
	// negative: never.
	PingInterval time.Duration
	// Logger gets what goes wrong in the server. Default: nothing is logged.
	Logger *slog.Logger

	// What follows is for programs that run the server for people, such as the emulator in
	// examples/devserver. A test needs none of it.

	// Handler serves the paths of the HTTPS port that do not belong to the service. Default: they
	// are answered 404. The service's paths are /api/v1/, /license/details, /storage/, /websocket,
	// /socket.io/ and /_test/.
	//
	// No fault of a REST request, no Delay and no CORS header applies to what Handler serves, and
	// DropConnections leaves the connections alone that it serves at that moment. The contexts of
	// its requests end with Close and Restart, which wait for it: it must not call them itself.
	Handler http.Handler
	// OnTraffic is called with everything that clients and the server send each other, the login
	// among it. Calls come from many goroutines at once, but for one connection they come in order,
	// before the next thing is read or written there. So it must return quickly. It may call
	// methods of Server, but not Restart and Close; and not those that wait for clients to read
	// (Push, SendMessage, SetProfile, BlockByAdmin) when it does so for every stanza.
	OnTraffic func(Traffic)
	// StateStore keeps accounts and everything else that the server remembers, its certificate
	// authority among it: clients that trust it trust the next server, too. What an answer has
	// acknowledged is saved. A StateStore belongs to one server at a time. Default: nothing is
	// kept.
	StateStore StateStore
	// MediaDir is the directory for uploaded files, for a StateStore that remembers them. It is
	// made when it does not exist. Files in it whose names look like the server's own (32 hex
	// digits) are removed when StateStore does not know them. Default: a temporary directory, which
	// Close removes.
	MediaDir string

	// Certificate is what the server shows in TLS, with its key. The certificates of those who
	// signed it may follow. CAFile then has all of them, and Config trusts them. It should be valid
	// for Domain, at which clients expect XMPP. Where it is not valid for the address at which the
	// server listens, URL and the other URLs have the first name for which it is. Default: one that
	// an authority of the server's own signs.
	Certificate *tls.Certificate

	// handshake is how long a client may take to bind a resource. Default handshakeTimeout.
	handshake time.Duration
	// signalPing is how long a signalling client may be silent. Default pingInterval + pingTimeout.
	signalPing time.Duration
	// tick says when clients are pinged where PingInterval is negative. nil: never.
	tick <-chan time.Time
}

// XMPP is an ejabberd that the REST half works with through ejabberd's HTTP API
// (mod_http_api: register, change_password, get_vcard, unregister).
type XMPP struct {
	// Domain is a host that it serves. It replaces Options.Domain.
	Domain string
	// APIURL is the base of the API, for example "http://127.0.0.1:5280/api".
	APIURL string
	// Address is for sdk.Config.XMPPAddress, for example "wss://127.0.0.1:5443/websocket".
	Address string
	// CAFile is a PEM file with the authority that signed its certificates, that of the API too.
	// Default: only the authorities of the system are trusted.
	CAFile string
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
	o.Domain = cmp.Or(o.Domain, domainOf(o.Certificate), defaultDomain)
	o.LicenseKey = cmp.Or(o.LicenseKey, defaultLicenseKey)
	o.Listen = cmp.Or(o.Listen, defaultListen)
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
	o.ListenXMPP = cmp.Or(o.ListenXMPP, net.JoinHostPort(host, "0"))
	o.ListenXMPPS = cmp.Or(o.ListenXMPPS, net.JoinHostPort(host, "0"))
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

// validDomain accepts what protocol.md 1.7 accepts behind the @ of a user JID, as far as it is a
// host name.
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
