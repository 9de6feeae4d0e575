package sdktest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// external is an ejabberd that has the accounts. It is used through mod_http_api.
type external struct {
	opts XMPP
	http *http.Client
	pem  []byte

	mu sync.Mutex
	// given are the passwords that the XMPP server has from here, by user id.
	given map[string]string
}

func newExternal(o XMPP) (*external, error) {
	tr := &http.Transport{DisableKeepAlives: true} // nothing is left open after Close
	x := &external{opts: o, http: &http.Client{Timeout: 20 * time.Second, Transport: tr}, given: map[string]string{}}
	if o.CAFile == "" {
		return x, nil
	}
	var err error
	if x.pem, err = os.ReadFile(o.CAFile); err != nil {
		return nil, fmt.Errorf("XMPP.CAFile: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(x.pem) {
		return nil, errors.New("XMPP.CAFile: no certificate in it, it must be PEM")
	}
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return x, nil
}

// ports are the ports of the addresses for each transport. Empty: there is no such address.
func (x *external) ports() (web, tcp string) {
	for _, addr := range strings.Split(x.opts.Address, ",") {
		u, err := url.Parse(strings.TrimSpace(addr))
		if err != nil {
			continue
		}
		switch u.Scheme {
		case "ws", "wss":
			web = cmp.Or(web, cmp.Or(u.Port(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme]))
		case "xmpp":
			tcp = cmp.Or(tcp, cmp.Or(u.Port(), "5222"))
		}
	}
	return web, tcp
}

var errExists = errors.New("XMPP server: account exists")

// register makes the account, or gives an existing one this password. It leaves a password alone
// that is from here already: Prosody ends the sessions of a user whose password is set, also to
// what it was, and the service does not end them.
func (x *external) register(ctx context.Context, id, password string) error {
	err := x.call(ctx, "register", map[string]string{"user": id, "host": x.opts.Domain, "password": password}, nil)
	if errors.Is(err, errExists) {
		if x.hasGiven(id, password) {
			return nil
		}
		args := map[string]string{"user": id, "host": x.opts.Domain, "newpass": password}
		err = x.call(ctx, "change_password", args, nil)
	}
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.given[id] = password
	return nil
}

func (x *external) hasGiven(id, password string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.given[id] == password
}

func (x *external) unregister(ctx context.Context, id string) error {
	x.mu.Lock()
	delete(x.given, id)
	x.mu.Unlock()
	return x.call(ctx, "unregister", map[string]string{"user": id, "host": x.opts.Domain}, nil)
}

// profile reads the fields of a vCard, all at once: ejabberd has no command that
// gives the whole card, and answers an absent field with an error.
func (x *external) profile(ctx context.Context, id string) map[string]string {
	out := map[string]string{}
	var mu sync.Mutex // guards out
	var fields sync.WaitGroup
	for _, name := range vCardFields {
		fields.Go(func() {
			var v struct {
				Content string `json:"content"`
			}
			if x.call(ctx, "get_vcard", map[string]string{"user": id, "host": x.opts.Domain, "name": name}, &v) == nil {
				mu.Lock()
				defer mu.Unlock()
				out[name] = v.Content
			}
		})
	}
	fields.Wait()
	return out
}

// call sends one command. Its errors never contain the arguments, which may be passwords.
func (x *external) call(ctx context.Context, command string, args map[string]string, out any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("XMPP server: %s: %w", command, err)
	}
	address := strings.TrimRight(x.opts.APIURL, "/") + "/" + command
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("XMPP server: %s: %w", command, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := x.http.Do(req)
	if err != nil {
		return fmt.Errorf("XMPP server: %s: %w", command, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch {
	case err != nil:
		return fmt.Errorf("XMPP server: %s: %w", command, err)
	case resp.StatusCode == http.StatusConflict:
		return errExists
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("XMPP server: %s: HTTP %d", command, resp.StatusCode)
	case out != nil:
		return json.Unmarshal(raw, out)
	}
	return nil
}
