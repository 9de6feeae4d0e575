package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// service is what the environment says.
type service struct {
	name string
	cfg  sdk.Config
	// username and password are of an account that exists. Both are empty: a new one is registered.
	username, password string
	close              func()
}

// variables says which environment variables name the service.
const variables = "MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true or false), and where they " +
	"are needed MIRRORFLY_CA_FILE (PEM), MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD"

// findService returns the service that the environment names, or else the test server sdktest.
func findService() (*service, error) {
	base, key := os.Getenv("MIRRORFLY_API_BASE_URL"), os.Getenv("MIRRORFLY_LICENSE_KEY")
	if base == "" && key == "" {
		srv, err := sdktest.Start(sdktest.Options{})
		if err != nil {
			return nil, err
		}
		return &service{name: "test server (sdktest) at " + srv.URL(), cfg: srv.Config(), close: srv.Close}, nil
	}
	s := &service{
		name: base, username: os.Getenv("MIRRORFLY_USERNAME"), password: os.Getenv("MIRRORFLY_PASSWORD"),
		close: func() {},
	}
	if base == "" || key == "" {
		return nil, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY, as the console of " +
			"the service shows them, or none for the test server (sdktest)")
	}
	if (s.username == "") != (s.password == "") {
		return nil, errors.New("set both MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD, or none for a new user")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return nil, errors.New("set MIRRORFLY_TRIAL to true (trial licence) or false")
	}
	trusted, err := trust(os.Getenv("MIRRORFLY_CA_FILE"))
	if err != nil {
		return nil, fmt.Errorf("MIRRORFLY_CA_FILE: %w", err)
	}
	s.cfg = sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted}
	return s, nil
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
