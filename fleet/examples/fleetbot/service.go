package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
)

func serviceConfig() (sdk.Config, error) {
	cfg := sdk.Config{
		AppName: "fleetbot", APIBaseURL: os.Getenv("MIRRORFLY_API_BASE_URL"),
		LicenseKey: os.Getenv("MIRRORFLY_LICENSE_KEY"),
	}
	if cfg.APIBaseURL == "" || cfg.LicenseKey == "" {
		return cfg, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return cfg, errors.New("set MIRRORFLY_TRIAL to true (trial licence) or false")
	}
	cfg.TrialLicense = trial
	if file := os.Getenv("MIRRORFLY_CA_FILE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return cfg, fmt.Errorf("MIRRORFLY_CA_FILE: %w", err)
		}
		cfg.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !cfg.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("MIRRORFLY_CA_FILE: no certificate in %s, it must be PEM", file)
		}
	}
	return cfg, nil
}

// readAccounts reads the file again each time: a line that is added to it is an account that is
// added to the fleet.
func readAccounts(file string) ([]fleet.Account, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var accounts []fleet.Account // its fields are found whatever their case is
	if err := json.Unmarshal(raw, &accounts); err != nil {
		return nil, fmt.Errorf("%s is not a JSON list of accounts: %w", file, err)
	}
	return accounts, nil
}

// mark tells the messages of a bot from those of people: two bots that answer each other never end.
const mark = "fleetbot"

// answer is the work of the bot: whoever writes hears which member has read it.
func (s settings) answer(ctx context.Context, c *sdk.Client, log *slog.Logger) {
	c.OnMessage(func(m sdk.Message) {
		if m.Metadata[mark] != "" {
			return
		}
		marked := sdk.WithMetadata(map[string]string{mark: "yes"})
		if _, err := c.SendTextMessage(ctx, m.Peer(), "read by "+s.name, marked); err != nil {
			log.WarnContext(ctx, "no answer", "err", err)
		}
	})
}
