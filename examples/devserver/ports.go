package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"

	"go.etcd.io/bbolt"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// ports are those at which an emulator listened. The next one with the same data takes them again,
// so that its clients find it.
type ports struct {
	Web  string `json:"web"`
	XMPP string `json:"xmpp"`
}

func portsOf(srv *sdktest.Server) (p ports) {
	if u, err := url.Parse(srv.SignalURL()); err == nil {
		p.Web = u.Port()
	}
	_, p.XMPP, _ = net.SplitHostPort(srv.XMPPAddress())
	return p
}

// The bucket and the key of the database in which ports are. No kind of the server's entries has
// that name.
var (
	emulatorBucket = []byte("emulator")
	portsKey       = []byte("ports")
)

// ports are those that were kept last. Without any they are empty.
func (d *database) ports() (p ports, err error) {
	err = guarded(func() error {
		return d.bolt.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(emulatorBucket)
			if b == nil {
				return nil
			}
			raw := b.Get(portsKey)
			if raw == nil {
				return nil
			}
			return json.Unmarshal(raw, &p)
		})
	})
	if err != nil {
		return ports{}, fmt.Errorf("data directory: %w", damaged(d.path, err))
	}
	return p, nil
}

func (d *database) keepPorts(p ports) error {
	if before, err := d.ports(); err != nil || before == p {
		return err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	err = guarded(func() error {
		return d.bolt.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(emulatorBucket)
			if err != nil {
				return err
			}
			return b.Put(portsKey, raw)
		})
	})
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// listenAgain makes the emulator listen where it did last, as far as the command line does not say
// otherwise. It returns what to tell people.
func (s *settings) listenAgain(last ports) (told string) {
	o := &s.options
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return "" // Start says so
	}
	if at := net.JoinHostPort(host, last.Web); !s.listen && last.Web != "" {
		if free(at) {
			o.Listen = at
		} else {
			told += fmt.Sprintf("Another program uses %s, where this emulator was before: clients that "+
				"know that address do not find it.\n", at)
		}
	}
	if at := net.JoinHostPort(host, last.XMPP); last.XMPP != "" {
		if free(at) {
			o.ListenXMPP = at
		} else {
			told += fmt.Sprintf("Another program uses %s, where XMPP over TCP was before: clients that "+
				"know that address do not find it.\n", at)
		}
	}
	return told
}

// free reports whether nothing listens at an address.
func free(address string) bool {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}
