package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// serveJob runs sdktest: as the whole service, or with XMPP as the REST half in front of an
// ejabberd.
type serveJob struct {
	XMPP *sdktest.XMPP
	// Ping is how often sdktest pings its clients.
	Ping time.Duration
}

// resumeTimeout is how long both servers let a client resume a lost stream (XEP-0198).
const resumeTimeout = 10 * time.Second

// run tells the addresses of the server and serves until ctx ends.
func (j *serveJob) run(ctx context.Context, tell func(service) error) error {
	srv, err := sdktest.Start(
		sdktest.Options{
			Trial: true, NoContacts: true, XMPP: j.XMPP, PingInterval: j.Ping, ResumeTimeout: resumeTimeout,
		},
	)
	if err != nil {
		return err
	}
	defer srv.Close()
	s, err := inTheBox(srv)
	if err != nil {
		return err
	}
	if err := tell(s); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// inTheBox describes an sdktest server.
func inTheBox(srv *sdktest.Server) (service, error) {
	roots, err := os.ReadFile(srv.CAFile())
	return service{
		Name: "sdktest", Domain: srv.Domain(), APIBaseURL: srv.URL(), LicenseKey: srv.LicenseKey(),
		Roots:     string(roots),
		Addresses: map[string]string{overWSS: srv.XMPPURL(), overTLS: srv.XMPPSAddress()},
	}, err
}

// running is a service in other processes.
type running struct {
	service
	stop func() error
}

// startSDKTest starts sdktest in another process.
func startSDKTest(ctx context.Context, j serveJob) (*running, error) {
	w, err := hire(ctx, job{Serve: &j})
	if err != nil {
		return nil, err
	}
	r := &running{stop: w.end}
	if err := w.out.Decode(&r.service); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return r, nil
}

// What start-ejabberd.sh adds to PORT_BASE.
const (
	portTCP, portTLS, portHTTPS, portDist, portHTTP = 22, 23, 43, 10, 80
)

// startEjabberd starts a private ejabberd by the scripts, and sdktest as the REST half in front of
// it.
func startEjabberd(ctx context.Context, scripts string, ping time.Duration) (_ *running, err error) {
	ports, base, err := reservePorts()
	if err != nil {
		return nil, err
	}
	// The node is killed when alive closes, also because this process has ended.
	guard, alive, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, ports.Close())
	}
	dir, err := os.MkdirTemp("", "bench-ejabberd-")
	if err != nil {
		return nil, errors.Join(err, ports.Close(), alive.Close(), guard.Close())
	}
	r := &running{stop: func() error {
		stopped := exec.Command(filepath.Join(scripts, "stop-ejabberd.sh"), dir, "0").Run()
		return errors.Join(stopped, alive.Close(), guard.Close(), ports.Close(), os.RemoveAll(dir))
	}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	cmd := exec.CommandContext(ctx, filepath.Join(scripts, "start-ejabberd.sh"), dir)
	cmd.Env = append(os.Environ(), "XMPP_GUARD_FD=3", "PORT_BASE="+strconv.Itoa(base), "STARTTLS=off",
		"PASSWORDS=plain",
		"MAX_SESSIONS=100", "RESUME="+strconv.Itoa(int(resumeTimeout.Seconds())), "BACKLOG=1024",
		"PING=true", "PING_INTERVAL="+strconv.Itoa(int(ping.Seconds())))
	cmd.ExtraFiles = []*os.File{guard}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return r, r.frontEjabberd(ctx, dir, base)
}

func (r *running) frontEjabberd(ctx context.Context, dir string, base int) error {
	// This is the script's own domain.
	const domain = "xmpp.mirrorfly.test"
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(base+port)) }
	caFile := filepath.Join(dir, "tls", "cert.pem")
	addresses := map[string]string{
		overWS: "ws://" + at(portHTTP) + "/websocket", overWSS: "wss://" + at(portHTTPS) + "/websocket",
		overTCP: at(portTCP), overTLS: at(portTLS),
	}
	rest, err := startSDKTest(ctx, serveJob{XMPP: &sdktest.XMPP{
		Domain: domain, APIURL: "http://" + at(portHTTP) + "/api", Address: addresses[overWSS], CAFile: caFile,
	}})
	if err != nil {
		return err
	}
	stopNode := r.stop
	r.stop = func() error { return errors.Join(rest.stop(), stopNode()) }
	roots, err := os.ReadFile(caFile)
	r.service = rest.service
	r.Name, r.Domain, r.Addresses = "ejabberd", domain, addresses
	r.Roots += string(roots)
	return err
}

// reservePorts finds a hundred ports below those that systems take for outgoing connections. No
// other caller gets them until lock is closed, and neither do the tests in interop/: lock listens
// on the first of them, which no server uses.
func reservePorts() (lock net.Listener, base int, err error) {
	for range 100 {
		base := 10000 + 100*rand.IntN(220)
		if lock, err = listen(base); err != nil {
			continue
		}
		if free(base) {
			return lock, base, nil
		}
		_ = lock.Close()
	}
	return nil, 0, errors.New("no free ports for ejabberd")
}

func free(base int) bool {
	for _, offset := range []int{portTCP, portTLS, portHTTPS, portDist, portHTTP} {
		l, err := listen(base + offset)
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// register makes accounts by the REST half, which adds them to the XMPP server.
func (s service) register(ctx context.Context, n int) ([]account, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(s.Roots))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: registrars}
	defer transport.CloseIdleConnections()
	cfg := sdk.Config{
		LicenseKey: s.LicenseKey, APIBaseURL: s.APIBaseURL, TrialLicense: true,
		HTTPClient: &http.Client{Transport: transport},
	}
	accounts := make([]account, n)
	return accounts, each(ctx, n, registrars, func(ctx context.Context, i int) error {
		client, err := sdk.New(cfg)
		if err != nil {
			return err
		}
		res, err := client.Register(ctx, fmt.Sprintf("bench-%d", i))
		accounts[i] = account{res.Data.Username, res.Data.Password}
		return errors.Join(err, client.Close())
	})
}

// registrars is how many accounts are made at a time.
const registrars = 8

// each calls f for 0 to n-1, atATime of them at once, until one fails.
func each(ctx context.Context, n, atATime int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(chan int)
	var group sync.WaitGroup
	for range atATime {
		// each owns it. It ends with the turns.
		group.Go(func() {
			for i := range turns {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		turns <- i
	}
	close(turns)
	group.Wait()
	return context.Cause(ctx)
}
