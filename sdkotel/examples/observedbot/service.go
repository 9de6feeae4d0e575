package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// service is where the bot works.
type service struct {
	cfg   sdk.Config
	close func()
	// visit writes to the bot until ctx ends, where there is nobody else.
	visit func(ctx context.Context, bot string, every time.Duration)
}

// findService returns the service that the environment names, or else the test server sdktest.
func findService() (*service, error) {
	base, key := os.Getenv("MIRRORFLY_API_BASE_URL"), os.Getenv("MIRRORFLY_LICENSE_KEY")
	if base == "" && key == "" {
		return startTestServer()
	}
	if base == "" || key == "" {
		return nil, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY, " +
			"or none for the test server (sdktest)")
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
		cfg:   sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted},
		close: func() {},
		visit: func(context.Context, string, time.Duration) {},
	}, nil
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

// startTestServer starts sdktest, on which a visitor writes to the bot.
func startTestServer() (*service, error) {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		return nil, err
	}
	visit := func(ctx context.Context, bot string, every time.Duration) {
		for n := 1; ctx.Err() == nil; n++ {
			if _, err := srv.SendMessage(ctx, "visitor", bot, fmt.Sprintf("Hello for the %d. time.", n)); err != nil {
				return // ctx has ended, or the server
			}
			select {
			case <-time.After(every):
			case <-ctx.Done():
			}
		}
	}
	return &service{cfg: srv.Config(), close: srv.Close, visit: visit}, nil
}
