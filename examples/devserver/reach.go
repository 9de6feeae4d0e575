package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// endpoints is the first line of the output.
type endpoints struct {
	APIBaseURL   string `json:"apiBaseUrl"`
	APIConfigURL string `json:"apiConfigUrl"`
	SignalURL    string `json:"signalUrl"`
	XMPPURL      string `json:"xmppUrl"`
	// XMPPAddress is host:port, for TCP with STARTTLS.
	XMPPAddress string `json:"xmppAddress"`
	Domain      string `json:"domain"`
	LicenseKey  string `json:"licenseKey"`
	CAFile      string `json:"caFile"`
}

// reach tells programs and people how to reach the emulator.
type reach struct {
	endpoints endpoints
	// page is the URL of the page. Empty: there is none.
	page string
	// kept is the data directory. Empty: nothing is kept.
	kept string
	// own: the certificate is one's own. hosts are those that it is for, when the domain is none.
	own   bool
	hosts string

	// goCode and jsCode are for pasting into a program.
	goCode, jsCode string
	// browser is a command that starts a browser in which the domain leads here.
	browser string
}

func howToReach(srv *sdktest.Server, s settings, caFile string) reach {
	r := reach{
		endpoints: endpoints{
			APIBaseURL: srv.URL(), APIConfigURL: srv.ConfigURL(), SignalURL: srv.SignalURL(), XMPPURL: srv.XMPPURL(),
			XMPPAddress: srv.XMPPAddress(), Domain: srv.Domain(), LicenseKey: srv.LicenseKey(), CAFile: caFile,
		},
		kept: s.data, own: s.options.Certificate != nil,
	}
	if r.own && s.options.Certificate.Leaf.VerifyHostname(srv.Domain()) != nil {
		r.hosts = hostsOf(s.options.Certificate.Leaf)
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
	r.browser = fmt.Sprintf(`chromium --user-data-dir=./devserver-browser --ignore-certificate-errors `+
		`--host-resolver-rules="MAP %s:443 %s"`, srv.Domain(), hostOf(srv.SignalURL()))
	if !strings.Contains(srv.Domain(), ".") {
		r.jsCode = "// The official SDK takes only names with a dot: start the emulator with another -domain.\n"
	}
	r.jsCode += fmt.Sprintf(`await MirrorFly.initializeSDK({
  licenseKey: %q,
  apiBaseUrl: %q,
  isTrialLicenseKey: %t,
  callbackListeners: {
    connectionListener: console.log, userProfileListener: console.log, messageListener: console.log,
  },
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

// text is what the program prints for people when it has started.
func (r reach) text() string {
	var b strings.Builder
	b.WriteString("\nThe emulator is running. Ctrl+C ends it.\n")
	if r.page != "" {
		b.WriteString("\nIts page shows what happens in it, and has buttons for faults and a chat window: ")
		b.WriteString(r.page + "\n")
		if !r.own {
			b.WriteString("(The browser warns of the emulator's own certificate; tell it to go on.)\n")
		}
	}
	if r.hosts != "" {
		fmt.Fprintf(&b, "\nThe certificate is for %s, not for the domain %s, at which many clients\n"+
			"expect XMPP: choose a -domain that it is for.\n", r.hosts, r.endpoints.Domain)
	}
	if r.kept != "" {
		fmt.Fprintf(&b, "\nAccounts, messages and the certificate authority are kept in %s.\n", r.kept)
	} else {
		b.WriteString("\nNothing is kept when it ends; -data DIR keeps accounts, messages and the certificate, " +
			"so that\nclients come back after a restart.\n")
	}
	fmt.Fprintf(&b, "\nGo:\n\n%s\n", indent(r.goCode))
	fmt.Fprintf(&b, `JavaScript: the official SDK only takes addresses without a port. This starts a browser in
which they lead here. Use it for nothing else: it accepts any certificate.

%s
%s
`, indent(r.browser), indent(r.jsCode))
	return b.String()
}

func indent(code string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(code, "\n"), "\n", "\n    ") + "\n"
}
