package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// service is the service that people log in to.
type service struct {
	name      string
	cfg       sdk.Config
	signalURL string
	// phone has the built-in phones. nil: the phones are real.
	phone *sdktest.Server
	close func()
}

// findService returns the service that the environment names, or else a test server (sdktest).
func findService(ctx context.Context) (*service, error) {
	base, key := os.Getenv("MIRRORFLY_API_BASE_URL"), os.Getenv("MIRRORFLY_LICENSE_KEY")
	if base == "" && key == "" {
		return startTestServer(ctx)
	}
	if base == "" || key == "" {
		return nil, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY, or none for the test " +
			"server (sdktest)")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return nil, errors.New("set MIRRORFLY_TRIAL to true or false")
	}
	signalURL := os.Getenv("MIRRORFLY_SIGNAL_URL")
	if signalURL == "" {
		return nil, errors.New("set MIRRORFLY_SIGNAL_URL, too: the URL of the signalling server, which makes the codes")
	}
	trusted, err := trust(os.Getenv("MIRRORFLY_CA_FILE"))
	if err != nil {
		return nil, fmt.Errorf("MIRRORFLY_CA_FILE: %w", err)
	}
	cfg := sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted}
	if _, err := sdk.New(cfg); err != nil {
		return nil, err
	}
	return &service{name: "Service at " + base, cfg: cfg, signalURL: signalURL, close: func() {}}, nil
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

// startTestServer starts sdktest, with a user alice who has a profile with a picture.
func startTestServer(ctx context.Context) (*service, error) {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		return nil, err
	}
	if err := introduceAlice(ctx, srv.Config()); err != nil {
		srv.Close()
		return nil, fmt.Errorf("test server (sdktest): %w", err)
	}
	return &service{
		name: "Test server (sdktest) at " + srv.URL(),
		cfg:  srv.Config(), signalURL: srv.SignalURL(), phone: srv, close: srv.Close,
	}, nil
}

func introduceAlice(ctx context.Context, cfg sdk.Config) error {
	picture, err := encodePNG(drawAlice())
	if err != nil {
		return err
	}
	client, err := sdk.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	alice, err := client.Register(ctx, "alice")
	if err != nil {
		return err
	}
	if _, err := client.Connect(ctx, alice.Data.Username, alice.Data.Password); err != nil {
		return err
	}
	_, err = client.SetUserProfile(ctx, sdk.ProfileUpdate{
		Name: "Alice Example", Email: "alice@example.com",
		Image: sdk.ImageReader("alice.png", "image/png", bytes.NewReader(picture), int64(len(picture))),
	})
	if err != nil {
		return err
	}
	_, err = client.Logout(ctx)
	return err
}

// program is the command that runs this program again. If "go run" has built it, that is "go run"
// once more, which keeps what it has built only until the program ends.
func program() string {
	file, err := os.Executable()
	if err != nil || strings.Contains(filepath.ToSlash(file), "/go-build") {
		return "go run github.com/mirrorfly-go/sdk/examples/qrlogin"
	}
	if strings.ContainsAny(file, " '&()") {
		return `"` + file + `"`
	}
	return file
}
