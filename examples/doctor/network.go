package main

import (
	"bytes"
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
	"strconv"
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
	// badProxy is the environment variable whose proxy is not used, because it is no URL.
	badProxy string
	// answer is that of the REST API to a request without a token, and when it came.
	answer     *http.Response
	answerBody []byte
	answeredAt time.Time
	// unlike: the answer is not in the form of the service's.
	unlike bool

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
		return "", &problem{err, "correct the environment variables: " + variables}
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
	name := proxyVariable()
	switch {
	case c.proxy != nil:
		return "through " + c.proxy.Host + ", from " + name, nil
	case name == "":
		return "none", nil
	case !isProxyURL(os.Getenv(name)):
		c.badProxy = name
		return "none: " + name + " cannot be read as a URL such as http://HOST:PORT, so it is not used", nil
	}
	return "none: " + name + " is set, but the service is excepted from it, by NO_PROXY or as this machine", nil
}

// proxyVariable is the name of the environment variable that package net/http takes the proxy for
// https from; "": none is set.
func proxyVariable() string {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// isProxyURL: package net/http can read it. What it cannot read it ignores without a word.
func isProxyURL(text string) bool {
	_, err := url.Parse(text)
	_, errAsHTTP := url.Parse("http://" + text)
	return err == nil || errAsHTTP == nil
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

// ofProxy is an error of reaching the proxy, where one is used, or was meant to be.
func (c *checkup) ofProxy(err error) error {
	switch {
	case err != nil && c.proxy != nil:
		return &problem{err, "the proxy is not reached: check " + proxyVariable() +
			", or except the service from it by NO_PROXY"}
	case err != nil && c.badProxy != "":
		return &problem{err, "if a proxy is needed, set " + c.badProxy + " to http://HOST:PORT; else: " + advice(err)}
	}
	return err
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

const adviceOnPage = "check the host in MIRRORFLY_API_BASE_URL; on a guest network, open a page in a browser and " +
	"log in there first; ask whether a proxy has to be used"

func (c *checkup) restAPI(context.Context) (string, error) {
	found := fmt.Sprintf("HTTP status %d, %s", c.answer.StatusCode, c.answer.Header.Get("Content-Type"))
	isObject, isEnvelope := formOf(c.answerBody)
	switch code := c.answer.StatusCode; {
	case code == http.StatusNotFound:
		return found, &problem{
			errors.New("there is no REST API under this path"),
			"MIRRORFLY_API_BASE_URL must be the whole base URL, with a path such as /api/v1",
		}
	case code/100 == 3:
		return found, &problem{errors.New("what answers leads elsewhere"), adviceOnPage}
	case code/100 == 5:
		return found, &problem{errors.New("the service is down, or a gateway before it says so"), "try again later"}
	case code == http.StatusTooManyRequests:
		return found, &problem{errors.New("what answers wants fewer requests"), "try again later"}
	case !isObject && (code != http.StatusUnauthorized || len(c.answerBody) > 0):
		return found, &problem{errors.New("what answers is not the REST API: it has no JSON"), adviceOnPage}
	case !isEnvelope && code != http.StatusUnauthorized:
		return found, &problem{
			errors.New("what answers is not the REST API: its JSON has no status and message"), adviceOnPage,
		}
	case !isEnvelope:
		// How the service refuses a request without a token is not known (protocol.md 12.3).
		c.unlike = true
		return found + ": it answers, but not in the form of the service: another server may be there", nil
	}
	return found + ": it answers", nil
}

// formOf says whether an answer is a JSON object, and whether it has a status and a message or
// data, as every answer of the REST API (protocol.md 1.4).
func formOf(body []byte) (isObject, isEnvelope bool) {
	var object map[string]json.RawMessage
	body = bytes.TrimPrefix(body, []byte("\uFEFF")) // some servers begin every text with it
	if json.Unmarshal(body, &object) != nil || object == nil {
		return false, false
	}
	var message string
	_, errStatus := strconv.Atoi(strings.Trim(string(object["status"]), `"`))
	hasText := json.Unmarshal(object["message"], &message) == nil && message != ""
	return true, errStatus == nil && (hasText || object["data"] != nil)
}

// ofAnotherServer is an error of the first calls, where the REST API has answered in a form that is
// not the service's.
func (c *checkup) ofAnotherServer(err error) error {
	if !c.unlike || !errors.Is(err, sdk.ErrNetwork) {
		return err
	}
	return &problem{err, "it is not the service that answers, as it seems: " + adviceOnPage}
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
