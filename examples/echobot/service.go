package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// service is where the bot works.
type service struct {
	cfg   sdk.Config
	greet func(ctx context.Context, bot string)
	close func()
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
	cfg := sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted}
	return &service{cfg: cfg, greet: func(context.Context, string) {}, close: func() {}}, nil
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

// startTestServer starts sdktest, on which a visitor greets the bot.
func startTestServer() (*service, error) {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		return nil, err
	}
	log.Println("no settings: this runs on a test server (sdktest); MIRRORFLY_API_BASE_URL names another")
	return &service{cfg: srv.Config(), close: srv.Close, greet: func(ctx context.Context, bot string) {
		if _, err := srv.SendMessage(ctx, "visitor", bot, "Hello, bot."); err != nil {
			log.Println("the visitor:", err)
		}
	}}, nil
}
