package sdk_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// firstSentinels are what a first connect can run into. Each is told apart from the others.
var firstSentinels = []error{
	sdk.ErrInvalidLicense, sdk.ErrLicenseMode, sdk.ErrNotService, sdk.ErrCertificate, sdk.ErrProxy, sdk.ErrClock,
	sdk.ErrInsecure, sdk.ErrInvalidCredentials, sdk.ErrNotConnected, sdk.ErrNetwork,
}

// requireKinds: err stands for these, and for no other of firstSentinels.
func requireKinds(t *testing.T, err error, kinds ...error) {
	t.Helper()
	require.Error(t, err)
	for _, one := range firstSentinels {
		wanted := false
		for _, kind := range kinds {
			wanted = wanted || kind == one
		}
		require.Equal(t, wanted, errors.Is(err, one), "%v: %v", one, err)
	}
}

// anotherServer is another server than the service, which answers everything in this way.
func anotherServer(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	srv := httptest.NewUnstartedServer(answer)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func html(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!doctype html><title>Welcome</title>")
	}
}

// trusting reaches srv over the network, and trusts it.
func trusting(cfg *sdk.Config, srv *httptest.Server) {
	cfg.APIBaseURL, cfg.DialContext = srv.URL+"/api/v1", nil
	cfg.TLSConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
}

func closedPort(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	return ln.Addr().String()
}

// A first call that fails says what is wrong, and what to look at: each mistake in its own way.
func TestFirstCallSaysWhatIsWrong(t *testing.T) {
	const wrongKey = "wrong-licence-key"
	noName := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	noDNS := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving"}}
	failing := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	for name, tc := range map[string]struct {
		opts   sdktest.Options
		change func(t *testing.T, srv *sdktest.Server, cfg *sdk.Config)
		kinds  []error
		says   string
	}{
		"wrong key": {sdktest.Options{}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.LicenseKey = wrongKey
		}, []error{sdk.ErrInvalidLicense}, "Invalid License key (400); check Config.LicenseKey in the console"},
		"wrong key, trial": {sdktest.Options{Trial: true}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.LicenseKey = wrongKey
		}, []error{sdk.ErrInvalidLicense}, "check Config.LicenseKey"},
		"wrong key, looked up": {sdktest.Options{}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.LicenseKey, cfg.APIBaseURL = wrongKey, ""
		}, []error{sdk.ErrInvalidLicense}, "check Config.LicenseKey"},
		"not trial": {sdktest.Options{}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.TrialLicense = true
		}, []error{sdk.ErrLicenseMode}, "Config.TrialLicense must be true for a trial licence key, and false"},
		"trial": {sdktest.Options{Trial: true}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.TrialLicense = false
		}, []error{sdk.ErrLicenseMode}, "Config.TrialLicense must be true"},
		"no path": {sdktest.Options{}, func(_ *testing.T, srv *sdktest.Server, cfg *sdk.Config) {
			cfg.APIBaseURL = strings.TrimSuffix(srv.URL(), "/api/v1")
		}, nil, "(404); Config.APIBaseURL must be the whole base URL"},
		"page of another site": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			trusting(cfg, anotherServer(t, html(200)))
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "than the service answers: check Config.APIBaseURL"},
		"401 of a proxy": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			trusting(cfg, anotherServer(t, html(401)))
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "something else than the service answers"},
		"403 of a proxy": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			trusting(cfg, anotherServer(t, html(403)))
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "something else than the service answers"},
		"404 of another site": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			trusting(cfg, anotherServer(t, html(404)))
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "Config.APIBaseURL must be the whole base URL"},
		"page of a network": {sdktest.Options{}, func(_ *testing.T, srv *sdktest.Server, _ *sdk.Config) {
			srv.SetFault(sdktest.StepREST, sdktest.FaultMalformed)
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "or the login page of a network, stands in between"},
		"redirect to a page": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			trusting(cfg, anotherServer(t, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://login.example/", http.StatusFound)
			}))
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "or the login page of a network, stands in between"},
		"http": {sdktest.Options{}, func(_ *testing.T, srv *sdktest.Server, cfg *sdk.Config) {
			cfg.APIBaseURL = strings.Replace(srv.URL(), "https", "http", 1)
		}, []error{sdk.ErrInsecure}, "APIBaseURL begins with http://"},
		"http, where there is TLS": {sdktest.Options{}, func(_ *testing.T, srv *sdktest.Server, cfg *sdk.Config) {
			cfg.APIBaseURL, cfg.AllowInsecure = strings.Replace(srv.URL(), "https", "http", 1), true
		}, []error{sdk.ErrNetwork, sdk.ErrNotService}, "something else than the service answers"},
		"https, where there is none": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			plain := httptest.NewServer(html(200))
			t.Cleanup(plain.Close)
			cfg.APIBaseURL, cfg.DialContext = strings.Replace(plain.URL, "http", "https", 1), nil
		}, []error{sdk.ErrNetwork}, "does not speak TLS: check scheme and port in Config.APIBaseURL"},
		"no such name": {sdktest.Options{}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.DialContext = failing(noName)
		}, []error{sdk.ErrNetwork}, "DNS knows no such name: check the host in Config.APIBaseURL"},
		"no DNS": {sdktest.Options{}, func(_ *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.DialContext = failing(noDNS)
		}, []error{sdk.ErrNetwork}, "DNS does not answer: check the network of this machine"},
		"nothing listens": {sdktest.Options{}, func(t *testing.T, _ *sdktest.Server, cfg *sdk.Config) {
			cfg.APIBaseURL, cfg.DialContext = "https://"+closedPort(t)+"/api/v1", nil
		}, []error{sdk.ErrNetwork}, "nothing listens there: check host and port in Config.APIBaseURL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t, tc.opts)
			cfg := srv.Config()
			tc.change(t, srv, &cfg)
			c, err := sdk.New(cfg)
			if err == nil {
				defer c.Close()
				_, err = c.Register(t.Context(), "alice")
			}
			requireKinds(t, err, tc.kinds...)
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), cfg.LicenseKey)
		})
	}
}

// What is wrong with a certificate, over REST and over XMPP.
func TestCertificateErrorsSayWhatToDo(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	_, me := register(t, cfg, "alice")
	for name, tc := range map[string]struct {
		set        func()
		says, XMPP string
	}{
		"authority": {func() {
			srv.SetFault(sdktest.StepHTTPTLS, sdktest.FaultWrongSender)
			srv.SetFault(sdktest.StepTLS, sdktest.FaultWrongSender)
		}, `it is signed by "CN=stranger CA,O=sdktest"; if you trust that server, give its authority in`, ""},
		"expired": {
			func() { srv.SetCertificate(sdktest.CertificateExpired) },
			"check the clock here first; if it is right, whoever runs the server has to renew the certificate", "",
		},
		"not yet valid": {
			func() { srv.SetCertificate(sdktest.CertificateNotYetValid) },
			"the certificate is not valid yet by the clock here: check that clock first", "",
		},
		"other name": {
			func() { srv.SetCertificate(sdktest.CertificateOtherName) },
			"check the host in Config.APIBaseURL", "check the host in Config.XMPPAddress",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.set()
			defer srv.ClearFaults()
			defer srv.SetCertificate(sdktest.CertificateValid)
			_, err := newClient(t, cfg).Register(t.Context(), "alice")
			requireKinds(t, err, sdk.ErrNetwork, sdk.ErrCertificate)
			require.ErrorContains(t, err, tc.says)
			var e *sdk.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, sdk.OutcomeNotSent, e.Outcome)
			require.True(t, e.Retryable())

			// REST works, over connections of its own.
			viaTCP := cfg
			viaTCP.Transport = sdk.TransportTCP
			viaTCP.HTTPClient = httpClientOf(srv)
			_, err = newClient(t, viaTCP).Connect(t.Context(), me.Username, me.Password)
			requireKinds(t, err, sdk.ErrNetwork, sdk.ErrNotConnected, sdk.ErrCertificate)
			if tc.XMPP == "" {
				tc.XMPP = tc.says
			}
			require.ErrorContains(t, err, tc.XMPP)
		})
	}
}

// httpClientOf reaches srv, and takes any certificate.
func httpClientOf(srv *sdktest.Server) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		DialContext:     srv.Config().DialContext, DisableKeepAlives: true,
	}}
}

// A proxy that refuses, or is not there.
func TestProxyErrorsSayWhatToDo(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{Domain: "service.test"})
	answer := http.StatusProxyAuthRequired
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
	}))
	defer proxy.Close()
	there := proxy.Listener.Addr().String()
	for name, tc := range map[string]struct {
		address string
		status  int
		knows   bool // the Transport has CheckProxy, as the library's own
		says    string
	}{
		"wants a password":           {there, 407, true, "the proxy wants a user and a password"},
		"wants a password, by text":  {there, 407, false, "the proxy wants a user and a password"},
		"permits not all":            {there, 403, true, "ask those who run the proxy"},
		"is not there":               {closedPort(t), 0, true, "check the proxy in HTTPS_PROXY"},
		"is not there, another case": {closedPort(t), 0, false, "check the proxy in HTTPS_PROXY"},
	} {
		answer = tc.status
		transport := &http.Transport{
			Proxy: http.ProxyURL(&url.URL{
				Scheme: "http", Host: tc.address, User: url.UserPassword("u", "proxy-secret"),
			}),
		}
		if tc.knows {
			transport.OnProxyConnectResponse = httpguard.CheckProxy
		}
		cfg := srv.Config()
		cfg.APIBaseURL = "https://service.test/api/v1"
		cfg.HTTPClient = &http.Client{Transport: transport}
		_, err := newClient(t, cfg).Register(t.Context(), "alice")
		requireKinds(t, err, sdk.ErrNetwork, sdk.ErrProxy)
		require.ErrorContains(t, err, tc.says, name)
		require.NotContains(t, err.Error(), "secret")
	}
}

// The XMPP address leads to something else.
func TestXMPPAddressOfSomethingElse(t *testing.T) {
	srv := sdktest.New(t)
	_, me := register(t, srv.Config(), "alice")
	connecting := func(change func(*sdk.Config)) error {
		cfg := srv.Config()
		change(&cfg)
		_, err := newClient(t, cfg).Connect(t.Context(), me.Username, me.Password)
		return err
	}
	err := connecting(func(cfg *sdk.Config) { cfg.XMPPAddress = srv.XMPPURL() + "/nowhere" })
	requireKinds(t, err, sdk.ErrNetwork, sdk.ErrNotConnected, sdk.ErrNotService)
	require.ErrorContains(t, err, "something else than the service answers: check Config.XMPPAddress")
	err = connecting(func(cfg *sdk.Config) {
		cfg.Transport, cfg.XMPPAddress = sdk.TransportTCP, "xmpps://"+srv.XMPPAddress()
	})
	requireKinds(t, err, sdk.ErrNetwork, sdk.ErrNotConnected)
	require.ErrorContains(t, err, "does not speak TLS: check scheme and port in Config.XMPPAddress")
	err = connecting(func(cfg *sdk.Config) {
		cfg.Transport, cfg.XMPPAddress, cfg.DialContext = sdk.TransportTCP, closedPort(t), nil
	})
	requireKinds(t, err, sdk.ErrNetwork, sdk.ErrNotConnected)
	require.ErrorContains(t, err, "nothing listens there: check host and port in Config.XMPPAddress")
}

// The clock of the service and ours are apart, in licensed mode.
func TestClockErrorsSayWhatToDo(t *testing.T) {
	srv := sdktest.New(t)
	client, me := register(t, srv.Config(), "alice")
	srv.SetClock(48 * time.Hour)
	_, err := client.Connect(t.Context(), me.Username, me.Password)
	requireKinds(t, err, sdk.ErrNetwork, sdk.ErrClock)
	require.ErrorContains(t, err, "the clock here is off by -48h0m0s")
	require.ErrorContains(t, err, "; set the clock of this machine")
	srv.SetClock(0)
	connect(t, client, me)
}
