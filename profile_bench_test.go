package sdk_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

// devserver starts the emulator, so that what a server costs is in another process, and returns how
// to reach it.
func devserver(b *testing.B) sdk.Config {
	b.Helper()
	program := filepath.Join(b.TempDir(), "devserver.exe")
	out, err := exec.Command("go", "build", "-o", program, "./examples/devserver").CombinedOutput()
	require.NoError(b, err, "%s", out)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.TempDir(), "TMP="+b.TempDir()) // for its certificate
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var at struct{ APIBaseURL, XMPPURL, LicenseKey, CAFile string }
	require.NoError(b, json.NewDecoder(stdout).Decode(&at))
	pem, err := os.ReadFile(at.CAFile)
	require.NoError(b, err)
	pool := x509.NewCertPool()
	require.True(b, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	b.Cleanup(transport.CloseIdleConnections)
	return sdk.Config{
		LicenseKey: at.LicenseKey, APIBaseURL: at.APIBaseURL, TrialLicense: true, XMPPAddress: at.XMPPURL,
		TLSConfig: transport.TLSClientConfig, HTTPClient: &http.Client{Transport: transport},
	}
}

// BenchmarkGetUserProfile holds a whole call, over TLS, against bare net/http, encoding/json and
// opening the sealed fields.
func BenchmarkGetUserProfile(b *testing.B) {
	cfg := devserver(b)
	client, err := sdk.New(cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, client.Close()) })
	me, err := client.Register(b.Context(), "alice")
	require.NoError(b, err)
	_, err = client.Connect(b.Context(), me.Data.Username, me.Data.Password)
	require.NoError(b, err)
	_, err = client.SetUserProfile(b.Context(),
		sdk.ProfileUpdate{
			Name: "Alice", Email: "alice@example.com", MobileNumber: "+15550100",
			Status: "I am in Mirror Fly",
		})
	require.NoError(b, err)
	service := bareService{cfg: cfg}
	service.login(b, me.Data)
	want, err := client.GetUserProfile(b.Context(), "alice")
	require.NoError(b, err)
	require.Equal(b, want.Data.Email, service.profile(b, "alice"))
	versus.Compare(b, 100, func() {
		if res, err := client.GetUserProfile(b.Context(), "alice"); err != nil || res.Data != want.Data {
			b.Fatal(res, err)
		}
	}, func() { service.profile(b, "alice") })
}

// bareService is what somebody would write who needs this one call.
type bareService struct {
	cfg   sdk.Config
	token string
	iv    string
}

func (s *bareService) login(b *testing.B, me sdk.Credentials) {
	b.Helper()
	var session struct{ Token string }
	body := map[string]string{"username": me.Username, "password": me.Password, "type": "web"}
	require.NoError(b, s.call(b.Context(), http.MethodPost, "/login", body, &session))
	s.token = session.Token
	var sealed string
	require.NoError(b, s.call(b.Context(), http.MethodGet, "/users/config", nil, &sealed))
	var service struct{ IVProfile string }
	require.NoError(b, json.Unmarshal([]byte(seal.Open(sealed, seal.Triple(me.Username), seal.ConstIV)), &service))
	s.iv = service.IVProfile
}

func (s *bareService) profile(b *testing.B, id string) (email string) {
	var p struct {
		UserID, UserJID, NickName, Email, MobileNumber, Status, Image, ThumbImage string
		IsAdminBlocked                                                            int
	}
	if err := s.call(b.Context(), http.MethodGet, "/contacts/vcard?userId="+id, nil, &p); err != nil {
		b.Fatal(err)
	}
	for _, sealed := range []*string{&p.NickName, &p.Email, &p.MobileNumber} {
		*sealed = seal.Open(*sealed, id, s.iv)
	}
	return p.Email
}

func (s *bareService) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.cfg.APIBaseURL+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "mirrorfly-go/"+sdk.Version+" (linux; amd64)")
	req.Header.Set("Authorization", s.token)
	resp, err := s.cfg.HTTPClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status int
		Data   any
	}{Data: out}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return errors.New(http.StatusText(answer.Status))
	}
	return nil
}
