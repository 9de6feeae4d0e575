package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// endpoints is the first line of output.
type endpoints struct {
	APIBaseURL   string `json:"apiBaseUrl"`
	APIConfigURL string `json:"apiConfigUrl"`
	SignalURL    string `json:"signalUrl"`
	XMPPURL      string `json:"xmppUrl"`
	XMPPAddress  string `json:"xmppAddress"` // host:port, TCP with STARTTLS
	Domain       string `json:"domain"`
	LicenseKey   string `json:"licenseKey"`
	CAFile       string `json:"caFile"`
}

// reach is how to reach the emulator: for programs, and for people.
type reach struct {
	endpoints endpoints
	page      string // URL; empty: there is none
	kept      string // the data directory; empty: nothing is kept

	goCode  string // to be pasted
	browser string // a command that starts a browser which finds the domain here
	jsCode  string // to be pasted
}

func howToReach(srv *sdktest.Server, s settings, caFile string) reach {
	r := reach{
		endpoints: endpoints{
			APIBaseURL: srv.URL(), APIConfigURL: srv.ConfigURL(), SignalURL: srv.SignalURL(), XMPPURL: srv.XMPPURL(),
			XMPPAddress: srv.XMPPAddress(), Domain: srv.Domain(), LicenseKey: srv.LicenseKey(), CAFile: caFile,
		},
		kept: s.data,
	}
	if s.page != audienceNone {
		r.page = srv.SignalURL() + "/"
	}
	if full, err := filepath.Abs(caFile); err == nil {
		caFile = full
	}
	r.goCode = fmt.Sprintf(`pem, err := os.ReadFile(%q)
if err != nil {
	log.Fatal(err)
}
roots := x509.NewCertPool()
roots.AppendCertsFromPEM(pem)
client, err := sdk.New(sdk.Config{
	LicenseKey:   %q,
	APIBaseURL:   %q,
	XMPPAddress:  %q,
	TrialLicense: %t,
	TLSConfig:    &tls.Config{RootCAs: roots},
})
if err != nil {
	log.Fatal(err)
}
`, caFile, r.endpoints.LicenseKey, r.endpoints.APIBaseURL, r.endpoints.XMPPURL, s.options.Trial)
	r.browser = fmt.Sprintf(`chromium --user-data-dir=./devserver-browser --ignore-certificate-errors --host-resolver-rules="MAP %s:443 %s"`,
		srv.Domain(), hostOf(srv.SignalURL()))
	r.jsCode = fmt.Sprintf(`await MirrorFly.initializeSDK({
  licenseKey: %q,
  apiBaseUrl: %q,
  isTrialLicenseKey: %t,
  callbackListeners: { connectionListener: console.log, userProfileListener: console.log },
});
`, r.endpoints.LicenseKey, "https://"+srv.Domain()+"/api/v1", s.options.Trial)
	return r
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// text is what somebody reads who has just started the program.
func (r reach) text() string {
	var b strings.Builder
	b.WriteString("\nThe emulator is running. Ctrl+C ends it.\n")
	if r.page != "" {
		fmt.Fprintf(&b, "\nWhat happens in it, and buttons for faults: %s\n(The certificate is its own: the browser warns, and can be told to go on.)\n", r.page)
	}
	if r.kept != "" {
		fmt.Fprintf(&b, "\nAccounts are kept in %s.\n", r.kept)
	} else {
		b.WriteString("\nNothing is kept when it ends; -data DIR keeps accounts.\n")
	}
	fmt.Fprintf(&b, "\nGo:\n\n%s\n", indent(r.goCode))
	fmt.Fprintf(&b, `JavaScript: the official SDK takes addresses without a port only. This starts a browser that finds them here; use its
window for nothing else, as it accepts any certificate.

%s
%s
`, indent(r.browser), indent(r.jsCode))
	return b.String()
}

func indent(code string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(code, "\n"), "\n", "\n    ") + "\n"
}
