package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// service is where the tour takes place.
type service struct {
	name string
	cfg  sdk.Config
	// suffix makes user names unique.
	suffix string
	// isTest is true for sdktest, where all users hear of each other.
	isTest bool
	close  func()
}

// findService returns the service that the environment names, or else the test server sdktest.
func findService() (*service, error) {
	base, key := os.Getenv("MIRRORFLY_API_BASE_URL"), os.Getenv("MIRRORFLY_LICENSE_KEY")
	if base == "" && key == "" {
		srv, err := sdktest.Start(sdktest.Options{})
		if err != nil {
			return nil, err
		}
		return &service{
			name: "Test server (sdktest) at " + srv.URL(), cfg: srv.Config(), isTest: true, close: srv.Close,
		}, nil
	}
	if base == "" || key == "" {
		return nil, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY, or none for the test " +
			"server (sdktest)")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return nil, errors.New("set MIRRORFLY_TRIAL to true (trial licence) or false")
	}
	trusted, err := trust(os.Getenv("MIRRORFLY_CA_FILE"))
	if err != nil {
		return nil, fmt.Errorf("MIRRORFLY_CA_FILE: %w", err)
	}
	return &service{
		name:   "Service" + at(base),
		cfg:    sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted},
		suffix: "-" + strings.ToLower(rand.Text()[:8]),
		close:  func() {},
	}, nil
}

// at names the host of a base URL, and not the rest of it: by mistake there may be a password.
func at(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return ""
	}
	return " at " + u.Scheme + "://" + u.Host
}

// trust reads the certificate authorities in a file. Without a file the system's are trusted.
func trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s, it must be PEM", file)
	}
	return cfg, nil
}
