package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

// Transport is how XMPP travels.
type Transport string

// The two transports. Both carry the same session.
const (
	// TransportWebSocket is RFC 7395, the default.
	TransportWebSocket Transport = "websocket"
	// TransportTCP is RFC 6120, with STARTTLS or direct TLS.
	TransportTCP Transport = "tcp"
)

// KeepAlivePolicy says how a silent connection is checked (XEP-0199).
type KeepAlivePolicy struct {
	// Interval is the silence after which the server is pinged. Negative: never. The default is
	// 45s: proxies and load balancers commonly cut a connection that has been idle for 60s
	// (nginx, most ingress controllers, AWS load balancers), and a ping has to arrive earlier.
	Interval time.Duration
	// Timeout is how long the silence may last after a ping before the connection counts as
	// lost; default 20s. Any byte is a sign of life, not only the answer.
	Timeout time.Duration
}

// defaultKeepAlive leaves a ping 15s to arrive where a connection is cut after a minute.
const defaultKeepAlive = 45 * time.Second

// ReconnectPolicy says how a lost connection is made again: after a random delay between 0 and
// a bound that starts at MinDelay and doubles with each failure up to MaxDelay.
type ReconnectPolicy struct {
	// Disabled: a lost connection stays lost.
	Disabled bool
	// MinDelay is the first bound of the delay; default 500ms.
	MinDelay time.Duration
	// MaxDelay is the largest bound of the delay; default 30s.
	MaxDelay time.Duration
	// MaxAttempts is the number of attempts after one loss; 0: no limit.
	MaxAttempts int
}

// Config says which service to use and how. All fields but LicenseKey may stay zero.
type Config struct {
	// LicenseKey is required.
	LicenseKey string
	// APIBaseURL is the base URL of the REST API, such as "https://api.example.com/api/v1".
	// Empty: it is looked up from the licence key on first use (protocol.md 1.3).
	APIBaseURL string
	// TrialLicense: register in trial (sandbox) mode. When APIBaseURL is looked up, the lookup
	// decides.
	TrialLicense bool

	// Transport is TransportWebSocket (the default) or TransportTCP.
	Transport Transport
	// XMPPHost overrides the XMPP domain that the service hands out (self-hosted servers).
	XMPPHost string
	// XMPPAddress overrides where to dial. It is one address, or several with commas: wss://,
	// ws://, xmpps://host:port (TCP with direct TLS), xmpp://host:port (TCP with STARTTLS), or
	// host:port, whose form goes by Transport.
	XMPPAddress string
	// AllowInsecure permits ws://, http:// and TCP without TLS. Without it they fail with
	// ErrInsecure.
	AllowInsecure bool
	// APIConfigURL is the full URL of the licence lookup, without its query. Empty: the service's
	// own.
	APIConfigURL string

	// HTTPClient is nil, or the client whose Transport carries REST, the WebSocket upgrade and
	// signalling. Give its Transport a TLSHandshakeTimeout: without one, net/http never gives up a
	// handshake. A Transport that permits TLS below 1.2 fails with ErrInsecure. With nil the
	// library uses one of its own, which clients share that have no TLSConfig, no DialContext and
	// no RequestTimeout above 30s.
	HTTPClient *http.Client
	// TLSConfig is for what the library dials itself: everything when HTTPClient is nil, else TCP.
	// A copy is used, with at least TLS 1.2, which its MaxVersion must permit.
	TLSConfig *tls.Config
	// DialContext dials what the library dials itself; it gets names unresolved. With nil, all
	// addresses of a name are tried.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// DeviceID names this installation of the program: the XMPP resource is Web-<DeviceID>, and
	// Register tells it to the service. Keep it over restarts, one for each account and place: two
	// sessions that have the same end each other. At most 64 letters, digits, "-", "_" and ".";
	// empty: a random one for the life of the Client.
	DeviceID string

	// NoDeliveryReceipts: nobody is told that a message has arrived.
	NoDeliveryReceipts bool
	// LeaveMessages: the server keeps messages for other devices and for later; for programs that
	// work on profiles only. It is a negative priority (RFC 6121 8.5.2): receipts, typing,
	// deletions and what else is addressed to the account instead of a device do not come either.
	LeaveMessages bool
	// FetchForeignURLs: DownloadMedia and OpenMedia also fetch files at URLs that are not the
	// service's; without it they fail with ErrForeignURL. Other users choose such URLs, as profile
	// pictures and in messages. Whoever does learns where this program runs, and can make it ask
	// any machine that it reaches, also inside its own network: set a DialContext that refuses what
	// must not be reached.
	FetchForeignURLs bool

	// RequestTimeout bounds a call whose context has no deadline, and each attempt to reconnect;
	// default 30s.
	RequestTimeout time.Duration
	// KeepAlive is 45s and 20s by default.
	KeepAlive KeepAlivePolicy
	// Reconnect is 500ms to 30s without a limit of attempts by default.
	Reconnect ReconnectPolicy
	// Dials spreads the logins of all clients that share it: a *DialLimit, or a limiter of your
	// own; nil: no limit.
	Dials DialLimiter
	// MaxDownload is how long a file may be, in bytes, that DownloadMedia or OpenMedia fetches;
	// default 2 GiB.
	MaxDownload int64
	// Logger is silent when nil.
	Logger *slog.Logger
	// Hooks learn what the client does; nil: nobody does, and nothing is spent on it. They are read
	// once, by New.
	Hooks *Hooks
	// AppName is appended to the User-Agent.
	AppName string
	// Now is the clock of the licensed mode's time stamp (protocol.md 4.2); nil: time.Now.
	Now func() time.Time
}

func (cfg *Config) setDefaults() error {
	if cfg.LicenseKey == "" {
		return invalid("LicenseKey", "License key cannot be null or empty")
	}
	for _, set := range []func() error{
		cfg.checkTexts, cfg.checkTransport, cfg.checkURLs, cfg.setDurations, cfg.checkTLS, cfg.checkAddresses,
	} {
		if err := set(); err != nil {
			return err
		}
	}
	if cfg.Reconnect.MaxAttempts < 0 {
		return invalid("Reconnect.MaxAttempts", "Reconnect.MaxAttempts is negative: 0 is no limit")
	}
	if cfg.MaxDownload < 0 {
		return invalid("MaxDownload", "MaxDownload is negative: 0 is the default, 2 GiB")
	}
	if cfg.MaxDownload == 0 {
		cfg.MaxDownload = 2 << 30
	}
	if cfg.DeviceID == "" {
		cfg.DeviceID = uuid.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = silent
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return nil
}

const maxDeviceID = 64

// checkTexts refuses what no service can have given, most often the line end of a file.
func (cfg *Config) checkTexts() error {
	switch {
	case strings.ContainsFunc(cfg.LicenseKey, unicode.IsControl) || !utf8.ValidString(cfg.LicenseKey):
		return invalid("LicenseKey", "LicenseKey has a line end, another control character, or is not UTF-8")
	case strings.ContainsFunc(cfg.AppName, unicode.IsControl):
		return invalid("AppName", "AppName has control characters: it is a part of the User-Agent header")
	case cfg.XMPPHost != "" && !isHost(cfg.XMPPHost):
		return invalid("XMPPHost",
			"XMPPHost %q is not a domain such as chat.example.com; where to dial is XMPPAddress",
			cfg.XMPPHost)
	case len(cfg.DeviceID) > maxDeviceID || strings.Trim(cfg.DeviceID, letters+digits+"-_.") != "":
		return invalid("DeviceID",
			"DeviceID is not made of at most %d letters, digits, \"-\", \"_\" and \".\"", maxDeviceID)
	}
	cfg.XMPPHost = strings.ToLower(cfg.XMPPHost) // servers fold the case of a domain
	return nil
}

// isHost reports whether host can be the domain of a JID.
func isHost(host string) bool {
	return isUserJID("x@"+host) || net.ParseIP(strings.Trim(host, "[]")) != nil
}

func (cfg *Config) checkTransport() error {
	if cfg.Transport == "" {
		cfg.Transport = TransportWebSocket
	}
	if cfg.Transport != TransportWebSocket && cfg.Transport != TransportTCP {
		return invalid("Transport",
			"Transport %q is neither %q nor %q", cfg.Transport, TransportWebSocket, TransportTCP)
	}
	return nil
}

func (cfg *Config) checkURLs() error {
	for _, u := range []struct{ name, raw string }{
		{"APIBaseURL", cfg.APIBaseURL}, {"APIConfigURL", cfg.APIConfigURL},
	} {
		if u.raw == "" {
			continue
		}
		err := rest.CheckBaseURL(u.raw, cfg.AllowInsecure)
		if errors.Is(err, rest.ErrInsecure) {
			return insecure(fmt.Errorf("%s begins with http://", u.name))
		}
		if err != nil {
			e := invalid(u.name, "Invalid api base url")
			const want = "must be a URL such as https://api.example.com/api/v1, without user, query and fragment"
			e.Err = fmt.Errorf("%s %s", u.name, want)
			return e
		}
	}
	return nil
}

func (cfg *Config) setDurations() error {
	if p := cfg.Reconnect; p.MaxDelay > 0 && p.MinDelay > p.MaxDelay {
		return invalid("Reconnect.MinDelay",
			"Reconnect.MinDelay, %v, is above Reconnect.MaxDelay, %v", p.MinDelay, p.MaxDelay)
	}
	defaultMin := cfg.Reconnect.MinDelay == 0
	for _, d := range []struct {
		name         string
		value        *time.Duration
		defaultValue time.Duration
	}{
		{"RequestTimeout", &cfg.RequestTimeout, 30 * time.Second},
		{"KeepAlive.Timeout", &cfg.KeepAlive.Timeout, 20 * time.Second},
		{"Reconnect.MinDelay", &cfg.Reconnect.MinDelay, 500 * time.Millisecond},
		{"Reconnect.MaxDelay", &cfg.Reconnect.MaxDelay, 30 * time.Second},
	} {
		if *d.value < 0 {
			return invalid(d.name, "%s is negative: 0 is the default, %v", d.name, d.defaultValue)
		}
		if *d.value == 0 {
			*d.value = d.defaultValue
		}
	}
	if cfg.KeepAlive.Interval == 0 {
		cfg.KeepAlive.Interval = defaultKeepAlive
	}
	if defaultMin {
		cfg.Reconnect.MinDelay = min(cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay)
	}
	cfg.Reconnect.MaxDelay = max(cfg.Reconnect.MaxDelay, cfg.Reconnect.MinDelay)
	return nil
}

// checkTLS checks the caller's HTTPClient, whose Transport may serve others too, and that TLSConfig
// permits TLS 1.2. The library's own connections raise the least version in copies of TLSConfig.
func (cfg *Config) checkTLS() error {
	if cfg.HTTPClient != nil && cfg.Transport == TransportWebSocket {
		cfg.TLSConfig = nil // the library dials nothing itself
	}
	cfg.TLSConfig = cfg.TLSConfig.Clone() // another owner may change it, as an http.Transport does
	if c := cfg.TLSConfig; c != nil && c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12 {
		return invalid("TLSConfig", "TLSConfig.MaxVersion is below TLS 1.2, the least that is used")
	}
	if cfg.HTTPClient == nil || cfg.AllowInsecure {
		return nil
	}
	t, ok := cfg.HTTPClient.Transport.(*http.Transport)
	if !ok || t.TLSClientConfig == nil {
		return nil
	}
	if least := t.TLSClientConfig.MinVersion; least != 0 && least < tls.VersionTLS12 {
		return insecure(errors.New("HTTPClient permits TLS before 1.2, set MinVersion in its TLSClientConfig"))
	}
	return nil
}

// overridden applies XMPPHost to what the service has told.
func (cfg *Config) overridden(service rest.Service) rest.Service {
	if cfg.XMPPHost != "" {
		service.XMPPHost, service.XMPPDomain = cfg.XMPPHost, cfg.XMPPHost
	}
	service.XMPPHost = strings.ToLower(service.XMPPHost) // servers fold the case of a domain
	return service
}

var silent = slog.New(slog.DiscardHandler)

func (cfg *Config) userAgent() string {
	agent := "mirrorfly-go/" + Version + " (" + runtime.GOOS + "; " + runtime.GOARCH + ")"
	if cfg.AppName != "" {
		agent += " " + cfg.AppName
	}
	return agent
}
