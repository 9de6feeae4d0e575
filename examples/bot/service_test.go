package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	notPEM, missing := filepath.Join(dir, "ca.txt"), filepath.Join(dir, "none")
	require.NoError(t, os.WriteFile(notPEM, []byte("no certificate"), 0o600))
	service := []string{"MIRRORFLY_API_BASE_URL=https://x.example", "MIRRORFLY_LICENSE_KEY=k", "MIRRORFLY_TRIAL=true"}
	one := []string{"MIRRORFLY_USERNAME=weather", "MIRRORFLY_PASSWORD=hidden"}
	unencrypted := append([]string{"MIRRORFLY_API_BASE_URL=http://x.example"}, append(service[1:], one...)...)
	for name, c := range map[string]struct {
		env  []string
		args string
		says string
	}{
		"account without service": {one, "", "MIRRORFLY_API_BASE_URL"},
		"file without service":    {nil, "-accounts x.json", "MIRRORFLY_API_BASE_URL"},
		"register":                {nil, "-register weather", "MIRRORFLY_API_BASE_URL"},
		"no licence":              {service[:1], "", "MIRRORFLY_LICENSE_KEY"},
		"no trial":                {service[:2], "", "MIRRORFLY_TRIAL"},
		"no account":              {service, "", "MIRRORFLY_USERNAME"},
		"no password":             {append(service, one[0]), "", "MIRRORFLY_PASSWORD"},
		"CA missing":              {append(service, "MIRRORFLY_CA_FILE="+missing), "", "MIRRORFLY_CA_FILE"},
		"CA empty":                {append(service, "MIRRORFLY_CA_FILE="+notPEM), "", "MIRRORFLY_CA_FILE"},
		"file missing":            {service, "-accounts " + missing, "none"},
		"address in use":          {append(service, one...), "-listen 192.0.2.1:1", "-listen"},
		"unencrypted":             {unencrypted, "-listen=", "AllowInsecure"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range c.env {
				key, value, _ := strings.Cut(v, "=")
				t.Setenv(key, value)
			}
			err := run(t.Context(), strings.Fields(c.args), io.Discard, io.Discard)
			require.ErrorContains(t, err, c.says)
			require.NotErrorIs(t, err, errUsage)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestAccountsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts.json")
	for content, says := range map[string]string{
		``:                                    "not a JSON list",
		`{"username":"a","password":"hid"}`:   "not a JSON list",
		`[{"username":"a","password":12345}]`: "not a JSON list",
		`[]`:                                  "no account",
		`[{"username":"a","password":"hid"},{"username":"b"}]`:                     "account 2",
		`[{"username":"a","password":"hid"},{"password":"hid"}]`:                   "account 2",
		`[{"username":"a","password":"hid"},{"username":"a","password":"hidden"}]`: "a is there twice",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := readAccounts(file)
		require.ErrorContains(t, err, says, content)
		require.ErrorContains(t, err, file)
		require.NotContains(t, err.Error(), "hid")
		require.NotContains(t, err.Error(), "12345")
	}
}

// What -register writes is what -accounts reads. Nobody else can read it.
func TestRegister(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{Domain: "localhost", Trial: true}) // a name that resolves
	t.Setenv("MIRRORFLY_API_BASE_URL", srv.URL())
	t.Setenv("MIRRORFLY_LICENSE_KEY", srv.LicenseKey())
	t.Setenv("MIRRORFLY_TRIAL", "true")
	t.Setenv("MIRRORFLY_CA_FILE", srv.CAFile())
	var out bytes.Buffer
	file := filepath.Join(t.TempDir(), "accounts.json")
	err := run(t.Context(), []string{"-register", "Not A Name", "-accounts", file}, &out, io.Discard)
	require.ErrorContains(t, err, "Not A Name")
	require.NoFileExists(t, file)
	require.NoError(t, run(t.Context(), []string{"-register", "weather, news", "-accounts", file}, &out, io.Discard))
	require.Equal(t, []string{"news", "weather"}, srv.Users())
	require.Empty(t, out.String(), "it has the passwords")
	if runtime.GOOS != "windows" { // where a file has no such bits
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	err = run(t.Context(), []string{"-register", "storm", "-accounts", file}, &out, io.Discard)
	require.ErrorIs(t, err, os.ErrExist)
	require.ErrorContains(t, err, "name a new file")
	require.NotContains(t, srv.Users(), "storm")
	require.NoError(t, run(t.Context(), []string{"-register", "storm"}, &out, io.Discard))
	require.Contains(t, out.String(), `"username": "storm"`)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)

	log := newJournal()
	stop := startRun(t, log, "-accounts", file, "-email", "b@example.com", "-log", "json", "-listen", "127.0.0.1:0")
	log.await(t, `"msg":"profile updated"`, `"user":"`)
	log.await(t, `"msg":"profile updated"`)
	require.NoError(t, stop())
	require.Equal(t, "b@example.com", srv.Profile("news").Email)
	require.Equal(t, offDuty, srv.Profile("weather").Status)

	t.Setenv("MIRRORFLY_USERNAME", "news")
	t.Setenv("MIRRORFLY_PASSWORD", "wrong")
	err = run(t.Context(), []string{"-listen="}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "no account is left of 1; news")
}
