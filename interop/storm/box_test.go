package storm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What tells the test binary that it is the server.
const (
	boxAddress = "MIRRORFLY_STORM_ADDRESS"
	boxData    = "MIRRORFLY_STORM_DATA"
)

// endpoints are what the server says when it serves.
type endpoints struct{ API, Lookup, XMPP, CAFile string }

// serveBox is the server's process. It ends with its standard input, that is, with the test at the
// latest.
func serveBox(address, data string) int {
	saved, err := openState(filepath.Join(data, "state"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer saved.file.Close()
	// Everybody's presence to everybody else would be a million stanzas, and another subject.
	srv, err := sdktest.Start(sdktest.Options{Listen: address, StateStore: saved, NoContacts: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer srv.Close()
	_ = json.NewEncoder(os.Stdout).Encode(
		endpoints{API: srv.URL(), Lookup: srv.ConfigURL(), XMPP: srv.XMPPURL(), CAFile: srv.CAFile()},
	)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// state is an sdktest.StateStore that survives the end of its process: one file, of which each line
// is a list of changes.
type state struct {
	file    *os.File
	entries map[string]map[string][]byte // by kind and key, as they were when the file was opened
}

func openState(name string) (*state, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s := &state{file: file, entries: map[string]map[string][]byte{}}
	for lines := json.NewDecoder(file); ; {
		var changes []savedChange
		if err := lines.Decode(&changes); err != nil {
			// The end. A last line that is cut off was not acknowledged.
			return s, file.Truncate(lines.InputOffset())
		}
		for _, c := range changes {
			s.apply(c)
		}
	}
}

func (s *state) apply(c savedChange) {
	if c.Value == nil {
		delete(s.entries[c.Kind], string(c.Key))
		return
	}
	if s.entries[c.Kind] == nil {
		s.entries[c.Kind] = map[string][]byte{}
	}
	s.entries[c.Kind][string(c.Key)] = c.Value
}

// savedChange is an sdktest.StateChange as JSON: its key may be no text.
type savedChange struct {
	Kind       string
	Key, Value []byte
}

func (s *state) Load(kind string, each func(key string, value []byte) error) error {
	for _, key := range slices.Sorted(maps.Keys(s.entries[kind])) {
		if err := each(key, s.entries[kind][key]); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) Save(changes []sdktest.StateChange) error {
	line := make([]savedChange, len(changes))
	for i, c := range changes {
		line[i] = savedChange{Kind: c.Kind, Key: []byte(c.Key), Value: c.Value}
	}
	return json.NewEncoder(s.file).Encode(line)
}

// box is the server as the test sees it: it can be killed, and comes back at the same address with
// the same accounts.
type box struct {
	address, data, temp string
	told                endpoints
	trusted             atomic.Pointer[x509.CertPool] // each start has its own authority
	process             *exec.Cmd
	stdin               io.Closer
}

func startBox(t *testing.T) *box {
	t.Helper()
	b := &box{address: freeAddress(t), data: t.TempDir(), temp: t.TempDir()}
	b.start(t)
	t.Cleanup(func() { b.kill(t) })
	return b
}

// freeAddress is none of those that the system gives to outgoing connections: one of 1,000 clients
// that dial would have taken it when the server comes back.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		ln, err := net.Listen("tcp", address)
		if err == nil {
			require.NoError(t, ln.Close())
			return address
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// start returns when the server serves.
func (b *box) start(t *testing.T) {
	t.Helper()
	b.process = exec.Command(os.Args[0])
	b.process.Env = append(os.Environ(), boxAddress+"="+b.address, boxData+"="+b.data, "TMPDIR="+b.temp)
	b.process.Stderr = os.Stderr
	stdin, err := b.process.StdinPipe()
	require.NoError(t, err)
	stdout, err := b.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, b.process.Start())
	b.stdin = stdin
	require.NoError(t, json.NewDecoder(stdout).Decode(&b.told), "the server has not started")
	pem, err := os.ReadFile(b.told.CAFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	b.trusted.Store(pool)
}

// kill returns when the process is gone.
func (b *box) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, b.process.Process.Kill())
	_ = b.process.Wait() // "signal: killed"
	_ = b.stdin.Close()
}

// config reaches the server, whichever process it is.
func (b *box) config() sdk.Config {
	return sdk.Config{
		LicenseKey: "sdktest-license-key", APIBaseURL: b.told.API, APIConfigURL: b.told.Lookup,
		XMPPAddress: b.told.XMPP,
		// verify does it, by what is trusted now
		TLSConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: b.verify},
	}
}

func (b *box) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: b.trusted.Load(), DNSName: state.ServerName})
	return err
}

// dialer counts what it is asked for.
func (d *dials) dialer() func(context.Context, string, string) (net.Conn, error) {
	var real net.Dialer
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d.count()
		return real.DialContext(ctx, network, address)
	}
}
