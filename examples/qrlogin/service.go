package main

import (
	"bytes"
	"context"
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
	base := os.Getenv("MIRRORFLY_API_BASE_URL")
	if base == "" {
		return startTestServer(ctx)
	}
	key := os.Getenv("MIRRORFLY_LICENSE_KEY")
	if key == "" {
		return nil, errors.New("MIRRORFLY_API_BASE_URL is set, but MIRRORFLY_LICENSE_KEY is not")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return nil, errors.New("set MIRRORFLY_TRIAL to true or false")
	}
	signalURL := os.Getenv("MIRRORFLY_SIGNAL_URL")
	if signalURL == "" {
		return nil, errors.New("MIRRORFLY_API_BASE_URL is set, but MIRRORFLY_SIGNAL_URL is not")
	}
	cfg := sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial}
	if _, err := sdk.New(cfg); err != nil {
		return nil, err
	}
	return &service{name: "Service at " + base, cfg: cfg, signalURL: signalURL, close: func() {}}, nil
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
