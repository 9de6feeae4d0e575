package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ownFiles are a certificate for names and its key, as files for -cert and -key.
func ownFiles(t *testing.T, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &private.PublicKey, private)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pemFile(t, "CERTIFICATE", der), pemFile(t, "PRIVATE KEY", raw)
}

func pemFile(t *testing.T, kind string, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	return name
}

// With one's own certificate everything that is printed leads there, and the page is served under
// its name, the chat window with it.
func TestOwnCertificate(t *testing.T) {
	cert, key := ownFiles(t, "localhost", "chat.example.test")
	for _, data := range [][]string{nil, {"-data", t.TempDir()}} {
		e := launch(t, append([]string{"-cert", cert, "-key", key}, data...)...)
		require.Contains(t, e.base, "https://localhost:")
		require.Equal(t, "localhost", e.at.Domain)
		require.NotContains(t, e.stderr.String(), "browser warns")
		require.NotContains(t, e.stderr.String(), "not for the domain")
		status, _, _ := e.do("GET", "/", "", "Host", "chat.example.test")
		require.Equal(t, http.StatusOK, status)
		status, _, _ = e.do("GET", "/", "", "Host", "evil.example.test")
		require.Equal(t, http.StatusMisdirectedRequest, status)
		login(t, newUser(t, e.at), "bot")
		until(e.open("bot"), "chat", func(c conversation) bool { return c.State == "CONNECTED" && c.Online })
		e.stop()
	}
	e := launch(t, "-cert", cert, "-key", key, "-domain", "other.example.test")
	require.Contains(t, e.stderr.String(), "for localhost, chat.example.test, not for the domain other.example.test")
	until(e.open("bot"), "chat", func(c conversation) bool { return c.State == "CONNECTED" })
}

func TestOwnCertificateRefused(t *testing.T) {
	cert, key := ownFiles(t, "localhost")
	otherCert, otherKey := ownFiles(t, "localhost")
	text := filepath.Join(t.TempDir(), "text.pem")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	missing := filepath.Join(t.TempDir(), "missing.pem")
	both := filepath.Join(t.TempDir(), "both.pem")
	var file []byte
	for _, name := range []string{otherCert, cert} {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		file = append(file, raw...)
	}
	require.NoError(t, os.WriteFile(both, file, 0o600))
	nowhere, itsKey := ownFiles(t)
	for _, c := range []struct{ cert, key, want string }{
		{nowhere, itsKey, "-cert: " + nowhere + " is for no host"},
		{missing, key, "-cert: open " + missing},
		{cert, missing, "-key: open " + missing},
		{t.TempDir(), key, "-cert: read "},
		{text, key, "-cert: " + text + " has no certificate"},
		{key, key, "-cert: " + key + " has no certificate"},
		{cert, text, "-key: " + text + " has no private key"},
		{cert, cert, "-key: " + cert + " has no private key"},
		{cert, otherKey, "-key: " + otherKey + " is not the key of the first certificate in " + cert},
		{both, key, "is not the key of the first certificate"},
		{cert, pemFile(t, "ENCRYPTED PRIVATE KEY", []byte{1}), "is encrypted; openssl pkey -in "},
		{cert, pemFile(t, "PRIVATE KEY", []byte{1}), "failed to parse private key"},
		{pemFile(t, "CERTIFICATE", []byte{1}), key, "malformed certificate"},
	} {
		err := run(t.Context(), []string{"-cert", c.cert, "-key", c.key}, io.Discard, io.Discard)
		require.ErrorContains(t, err, c.want)
	}
	for want, args := range map[string][]string{
		"-cert needs -key": {"-cert", cert}, "-key needs -cert": {"-key", key},
	} {
		var stderr bytes.Buffer
		require.ErrorIs(t, run(t.Context(), args, io.Discard, &stderr), errUsage)
		require.Contains(t, stderr.String(), want)
	}
}

// requireModes checks that nobody else can read passwords and keys.
func requireModes(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // which has no such modes
	}
	info, err := os.Stat(filepath.Join(dir, databaseFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// certificateAt is the certificate at an address.
func certificateAt(t *testing.T, at endpoints) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", hostOf(at.SignalURL), &tls.Config{RootCAs: roots(t, at.CAFile)})
	require.NoError(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// The authority, the certificate and the ports stay, whatever a program that was killed has left of
// the copy that clients read.
func TestCertificateIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	e := launch(t, "-data", dir)
	require.Equal(t, filepath.Join(dir, caFile), e.at.CAFile)
	requireModes(t, dir)
	ca, err := os.ReadFile(e.at.CAFile)
	require.NoError(t, err)
	first := e.at
	cert := certificateAt(t, first)
	for _, leave := range []func(){
		func() {},
		func() { require.NoError(t, os.Remove(first.CAFile)) },
		func() { require.NoError(t, os.WriteFile(first.CAFile, ca[:len(ca)/2], 0o644)) },
		func() { require.NoError(t, os.WriteFile(first.CAFile+".new", ca[:len(ca)/2], 0o644)) },
		func() { require.NoError(t, os.WriteFile(first.CAFile, nil, 0o600)) },
		func() { require.NoError(t, os.Chmod(filepath.Join(dir, databaseFile), 0o644)) },
	} {
		e.stop()
		leave()
		e = launch(t, "-data", dir)
		require.Equal(t, first, e.at)
		again, err := os.ReadFile(first.CAFile)
		require.NoError(t, err)
		require.Equal(t, ca, again)
		require.Equal(t, cert.Raw, certificateAt(t, e.at).Raw)
		requireModes(t, dir)
	}
	e.stop()
	e = launch(t, "-data", dir, "-listen", "127.0.0.1:0")
	require.NotEqual(t, first.SignalURL, e.at.SignalURL, "another address was asked for")
	require.Equal(t, first.XMPPAddress, e.at.XMPPAddress)
}

// What has taken the old ports does not keep the emulator from starting.
func TestPortsThatAreTaken(t *testing.T) {
	dir, found := t.TempDir(), t.TempDir()
	first := launch(t, "-data", dir)
	require.NoError(t, os.CopyFS(found, os.DirFS(dir)))
	second := launch(t, "-data", found)
	require.NotEqual(t, first.at.SignalURL, second.at.SignalURL)
	require.Contains(t, second.stderr.String(), "Another program uses "+hostOf(first.at.SignalURL))
	require.Contains(t, second.stderr.String(), "Another program uses "+first.at.XMPPAddress)
}

// Programs that are killed while they make their data: whatever one has shown to a client stays.
func TestKilledWhileItBegins(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // a killed program cannot clean up
	for _, until := range []string{databaseFile, caFile + ".new", caFile} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-data", dir)
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool {
			_, err := os.Stat(filepath.Join(dir, until))
			_, last := os.Stat(filepath.Join(dir, caFile)) // the .new one is there only briefly
			return err == nil || last == nil
		}, patience, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		before, _ := os.ReadFile(filepath.Join(dir, caFile)) // nobody has seen what is not there
		e := launch(t, "-data", dir)
		after, err := os.ReadFile(e.at.CAFile)
		require.NoError(t, err)
		if before != nil {
			require.Equal(t, before, after)
		}
		login(t, newUser(t, e.at), "alice")
		e.stop()
	}
}
