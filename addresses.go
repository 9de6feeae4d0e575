package sdk

import (
	"fmt"
	"net"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// checkAddresses wants a port wherever XMPPAddress is not the URL of a WebSocket, whose scheme
// tells the port.
func (cfg *Config) checkAddresses() error {
	if _, err := cfg.addresses(); err != nil || cfg.XMPPAddress == "" {
		return err
	}
	for entry := range strings.SplitSeq(cfg.XMPPAddress, ",") {
		scheme, address, has := strings.Cut(strings.TrimSpace(entry), "://")
		if !has {
			address = scheme
		} else if !strings.HasPrefix(strings.ToLower(scheme), "xmpp") {
			continue
		}
		if _, port, err := net.SplitHostPort(strings.TrimRight(address, "/")); err != nil || port == "" {
			return invalid("XMPPAddress", "XMPPAddress: an entry has no port; %s", addressForms)
		}
	}
	return nil
}

// addresses are those of XMPPAddress, none where it is empty.
func (cfg *Config) addresses() ([]xmpp.Address, error) {
	if cfg.XMPPAddress == "" {
		return nil, nil
	}
	addresses, err := xmpp.ParseAddresses(cfg.XMPPAddress, cfg.Transport == TransportTCP)
	if err != nil {
		return nil, invalid("XMPPAddress", "XMPPAddress: %v; %s", err, addressForms)
	}
	for _, a := range addresses {
		if a.Scheme == "ws" && !cfg.AllowInsecure {
			return nil, insecure(fmt.Errorf("XMPPAddress has %s", a))
		}
	}
	return addresses, nil
}

const addressForms = "it is wss://host/path, xmpps://host:port, xmpp://host:port or host:port, or several with commas"

// addressesFor are those of the Config, or what the service has handed out (protocol.md 4.3).
func (cfg *Config) addressesFor(service rest.Service) ([]xmpp.Address, error) {
	if own, err := cfg.addresses(); len(own) > 0 || err != nil {
		return own, err
	}
	host, port := service.XMPPHost, service.XMPPPortWeb
	if port == "" {
		port = "443"
	}
	if cfg.Transport == TransportTCP {
		if host, port = service.XMPPDomain, service.XMPPPort; host == "" {
			host = service.XMPPHost
		}
		if port == "" {
			port = "5222" // RFC 6120 3.2.1
		}
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		// There is no port in it yet. An IPv6 address may have its brackets.
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	addresses, err := xmpp.ParseAddresses(host, cfg.Transport == TransportTCP)
	if err != nil {
		return nil, fmt.Errorf("address that the service handed out: %w", err)
	}
	return addresses, nil
}
