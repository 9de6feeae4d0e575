package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// checkup is what the steps have found so far.
type checkup struct {
	*service
	transport sdk.Transport
	lookup    func(ctx context.Context, host string) ([]string, error)

	base  *url.URL
	proxy *url.URL // nil: none is used
	// answer is that of the REST API to a request without a token, and when it came.
	answer     *http.Response
	answerBody []byte
	answeredAt time.Time

	client *sdk.Client
	me     sdk.Credentials
	// registered: the account is ours, and is deleted at the end.
	registered            bool
	registration, connect error
}

func (c *checkup) steps() []step {
	return []step{
		{"settings", c.settings},
		{"proxy", c.findProxy},
		{"DNS", c.resolve},
		{"TCP", c.dial},
		{"TLS", c.handshake},
		{"REST API", c.restAPI},
		{"clock", c.clock},
		{"licence key", c.licenseKey},
		{"register", c.register},
		{"log in", c.logIn},
		{"XMPP", c.xmpp},
		{"bind", c.bind},
		{"profile", c.profile},
	}
}

func (c *checkup) close() {
	if c.client != nil {
		_ = c.client.Close() // the examination is over
	}
	if c.service != nil {
		c.service.close()
	}
}

func (c *checkup) settings(context.Context) (string, error) {
	found, err := findService()
	if err != nil {
		return "", &problem{err, "correct the environment variables; -help names them all"}
	}
	c.service = found
	c.cfg.Transport, c.cfg.AppName = c.transport, "doctor"
	if c.client, err = sdk.New(c.cfg); err != nil {
		return "", err // without the name: there may be a password in that URL
	}
	// As package sdk does.
	c.cfg.APIBaseURL = strings.TrimRight(c.cfg.APIBaseURL, "/")
	if c.base, err = url.Parse(c.cfg.APIBaseURL); err != nil {
		return "", errors.New("MIRRORFLY_API_BASE_URL is not a URL")
	}
	mode := "licensed"
	if c.cfg.TrialLicense {
		mode = "trial"
	}
	return fmt.Sprintf("%s, %s mode, XMPP over %s", c.name, mode, c.transport), nil
}

// findProxy finds the proxy that REST and the WebSocket go through. XMPP over TCP uses none.
func (c *checkup) findProxy(context.Context) (string, error) {
	if c.cfg.DialContext != nil {
		return "", skipped("the test server needs none")
	}
	var err error
	if c.proxy, err = http.ProxyFromEnvironment(&http.Request{URL: c.base}); err != nil {
		// Without err, which may show a password.
		return "", errors.New("the proxy in the environment cannot be used")
	}
	switch set := cmp.Or(os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy")); {
	case c.proxy == nil && set != "":
		return "none: HTTPS_PROXY is set, but it is not http://HOST:PORT, or NO_PROXY excepts the service", nil
	case c.proxy == nil:
		return "none", nil
	}
	return "through " + c.proxy.Host + ", from HTTPS_PROXY", nil
}

// target is what is dialled: the proxy or the REST API.
func (c *checkup) target() (host, port string) {
	to := c.base
	if c.proxy != nil {
		to = c.proxy
	}
	port = to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[to.Scheme]
	}
	return to.Hostname(), port
}

func (c *checkup) resolve(ctx context.Context) (string, error) {
	host, _ := c.target()
	if net.ParseIP(host) != nil {
		return "", skipped(host + " is an address")
	}
	addresses, err := c.lookup(ctx, host)
	return host + ": " + strings.Join(addresses, ", "), c.ofProxy(err)
}

// ofProxy is an error of reaching the proxy, where one is used.
func (c *checkup) ofProxy(err error) error {
	if err == nil || c.proxy == nil {
		return err
	}
	return &problem{err, "the proxy is not reached: check HTTPS_PROXY, or except the service from it by NO_PROXY"}
}

func (c *checkup) dial(ctx context.Context) (string, error) {
	host, port := c.target()
	dial := c.cfg.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	address := net.JoinHostPort(host, port)
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return address, c.ofProxy(err)
	}
	return "connected to " + address, conn.Close()
}

// handshake sends a request without a token. That its connection has TLS is what counts here; the
// next step looks at the answer.
func (c *checkup) handshake(ctx context.Context) (string, error) {
	transport := &http.Transport{
		DialContext: c.cfg.DialContext, TLSClientConfig: c.cfg.TLSConfig.Clone(), DisableKeepAlives: true,
		ForceAttemptHTTP2: true,
	}
	if c.cfg.DialContext == nil {
		transport.Proxy = http.ProxyURL(c.proxy)
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.APIBaseURL+"/users/config", nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return c.base.Host, err
	}
	defer answer.Body.Close()
	const enough = 64 << 10
	c.answer, c.answeredAt = answer, time.Now()
	c.answerBody, err = io.ReadAll(io.LimitReader(answer.Body, enough))
	if answer.TLS == nil {
		return "", skipped("none, the base URL begins with http://")
	}
	own := answer.TLS.PeerCertificates[0]
	return fmt.Sprintf("%s, certificate %s of %s, valid from %s to %s", tls.VersionName(answer.TLS.Version),
		own.Subject, own.Issuer, own.NotBefore.Format(time.DateOnly), own.NotAfter.Format(time.DateOnly)), err
}

func (c *checkup) restAPI(context.Context) (string, error) {
	found := fmt.Sprintf("HTTP status %d, %s", c.answer.StatusCode, c.answer.Header.Get("Content-Type"))
	var object map[string]json.RawMessage
	isObject := json.Unmarshal(c.answerBody, &object) == nil && object != nil
	const page = "check the host in MIRRORFLY_API_BASE_URL; on a guest network, open a page in a browser and log in " +
		"there first; ask whether a proxy has to be used"
	switch code := c.answer.StatusCode; {
	case code == http.StatusNotFound:
		return found, &problem{
			errors.New("there is no REST API under this path"),
			"MIRRORFLY_API_BASE_URL must be the whole base URL, with a path such as /api/v1",
		}
	case code/100 == 3:
		return found, &problem{errors.New("what answers leads elsewhere"), page}
	case code/100 == 5:
		return found, &problem{errors.New("the service is down, or a gateway before it says so"), "try again later"}
	case !isObject:
		return found, &problem{errors.New("what answers is not the REST API: it has no JSON"), page}
	}
	return found + ": it answers", nil
}

// farOff is from where a licensed password may be refused (protocol.md 4.2).
const farOff = time.Minute

func (c *checkup) clock(context.Context) (string, error) {
	told, err := http.ParseTime(c.answer.Header.Get("Date"))
	if err != nil {
		return "", skipped("the service does not tell the time")
	}
	off := c.answeredAt.Sub(told).Round(time.Second)
	found := fmt.Sprintf("%v off, as the service tells the time", off)
	switch {
	case off.Abs() < farOff:
		return found, nil
	case c.cfg.TrialLicense:
		return found + "; in trial mode that does not matter", nil
	}
	return found, &problem{
		fmt.Errorf("the clock here is off by %v, and the password of a licensed login carries the time", off),
		"set the clock of this machine, best by NTP",
	}
}
