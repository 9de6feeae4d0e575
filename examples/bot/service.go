package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk"
)

// service is the service that the bots work on.
type service struct {
	cfg      sdk.Config
	accounts []account
	close    func()
}

// account is the part of sdk.Credentials that a login needs. A file of sdk.Credentials can be read
// as accounts.
type account struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

var variables = []string{
	"MIRRORFLY_API_BASE_URL", "MIRRORFLY_LICENSE_KEY", "MIRRORFLY_TRIAL", "MIRRORFLY_CA_FILE",
	"MIRRORFLY_USERNAME", "MIRRORFLY_PASSWORD",
}

// findService returns the service that the environment names. When nothing at all is set it is a
// test server (sdktest): an incomplete configuration is a mistake, which must not end up there.
func findService(ctx context.Context, s *settings, log *slog.Logger) (*service, error) {
	if s.accounts == "" && !slices.ContainsFunc(variables, func(v string) bool { return os.Getenv(v) != "" }) {
		s.email = cmp.Or(s.email, "bot@example.com")
		return startTestServer(ctx, log)
	}
	cfg, err := serviceConfig()
	if err != nil {
		return nil, err
	}
	accounts, err := readAccounts(s.accounts)
	if err != nil {
		return nil, err
	}
	return &service{cfg: cfg, accounts: accounts, close: func() {}}, nil
}

func serviceConfig() (sdk.Config, error) {
	cfg := sdk.Config{
		AppName: "bot", APIBaseURL: os.Getenv("MIRRORFLY_API_BASE_URL"), LicenseKey: os.Getenv("MIRRORFLY_LICENSE_KEY"),
	}
	if cfg.APIBaseURL == "" || cfg.LicenseKey == "" {
		return cfg, errors.New("set both MIRRORFLY_API_BASE_URL and MIRRORFLY_LICENSE_KEY; " +
			"without any setting the bot runs on a test server (sdktest)")
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

// readAccounts reads the accounts from a file, or without a file one account from the environment.
func readAccounts(file string) ([]account, error) {
	if file == "" {
		one := account{os.Getenv("MIRRORFLY_USERNAME"), os.Getenv("MIRRORFLY_PASSWORD")}
		if one.Username == "" || one.Password == "" {
			return nil, errors.New("no account: set MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD, or -accounts FILE; " +
				"-register USER -accounts FILE makes both")
		}
		return []account{one}, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var accounts []account
	if err := json.Unmarshal(raw, &accounts); err != nil {
		return nil, fmt.Errorf("%s is not a JSON list of accounts: %w", file, err)
	}
	seen := make(map[string]bool)
	for i, a := range accounts {
		if a.Username == "" || a.Password == "" {
			return nil, fmt.Errorf("%s: account %d has no username or no password", file, i+1)
		}
		if seen[a.Username] {
			return nil, fmt.Errorf("%s: %s is there twice", file, a.Username)
		}
		seen[a.Username] = true
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("%s: no account in it", file)
	}
	return accounts, nil
}

// register registers users and writes their accounts for -accounts: into a new file that only this
// user can read, or without a file to out. There are passwords in it: keep it secret.
func register(ctx context.Context, users, file string, out io.Writer) (err error) {
	if file == "" {
		return registerTo(ctx, users, out)
	}
	// Not over a file that is there: its passwords are nowhere else.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; name a new file, or leave -accounts out to print the accounts", err)
	}
	if err != nil {
		return err
	}
	if err = errors.Join(registerTo(ctx, users, f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file)) // registering again finds the same accounts
	}
	return nil
}

func registerTo(ctx context.Context, users string, out io.Writer) error {
	cfg, err := serviceConfig()
	if err != nil {
		return err
	}
	client, err := sdk.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	var accounts []account
	for user := range strings.SplitSeq(users, ",") {
		res, err := client.Register(ctx, strings.TrimSpace(user))
		if err != nil {
			return fmt.Errorf("%q: %w", user, err)
		}
		accounts = append(accounts, account{res.Data.Username, res.Data.Password})
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(accounts)
}
