package sdk_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

func TestNewChecksConfig(t *testing.T) {
	good := sdk.Config{LicenseKey: "key", APIBaseURL: "https://api.example.com/api/v1"}
	for name, c := range map[string]struct {
		change func(*sdk.Config)
		kind   error
		text   string
	}{
		"no licence": {func(c *sdk.Config) {
			c.LicenseKey = ""
		}, sdk.ErrInvalidArgument, "License key cannot be null or empty"},
		"URL without scheme": {func(c *sdk.Config) {
			c.APIBaseURL = "api.example.com"
		}, sdk.ErrInvalidArgument, "APIBaseURL"},
		"URL of another kind": {func(c *sdk.Config) {
			c.APIBaseURL = "ftp://api.example.com"
		}, sdk.ErrInvalidArgument, "APIBaseURL"},
		"http": {func(c *sdk.Config) {
			c.APIBaseURL = "http://api.example.com"
		}, sdk.ErrInsecure, "AllowInsecure"},
		"http lookup": {func(c *sdk.Config) {
			c.APIConfigURL = "http://api.example.com"
		}, sdk.ErrInsecure, "AllowInsecure"},
		"ws": {func(c *sdk.Config) {
			c.XMPPAddress = "wss://a.example,ws://b.example"
		}, sdk.ErrInsecure, "AllowInsecure"},
		"XMPP address": {func(c *sdk.Config) {
			c.XMPPAddress = "smtp://a.example"
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"XMPP port": {func(c *sdk.Config) {
			c.XMPPAddress = "a.example:99999"
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"transport": {func(c *sdk.Config) {
			c.Transport = "carrier pigeon"
		}, sdk.ErrInvalidArgument, "Transport"},
		"negative timeout": {func(c *sdk.Config) {
			c.RequestTimeout = -1
		}, sdk.ErrInvalidArgument, "RequestTimeout"},
		"negative delay": {func(c *sdk.Config) { c.Reconnect.MinDelay = -1 }, sdk.ErrInvalidArgument, "MinDelay"},
		"negative attempts": {func(c *sdk.Config) {
			c.Reconnect.MaxAttempts = -1
		}, sdk.ErrInvalidArgument, "MaxAttempts"},
		"negative pong":       {func(c *sdk.Config) { c.KeepAlive.Timeout = -1 }, sdk.ErrInvalidArgument, "KeepAlive"},
		"line end in the key": {func(c *sdk.Config) { c.LicenseKey = "key\n" }, sdk.ErrInvalidArgument, "LicenseKey"},
		"key of bytes":        {func(c *sdk.Config) { c.LicenseKey = "\xff" }, sdk.ErrInvalidArgument, "LicenseKey"},
		"line end in a URL": {func(c *sdk.Config) {
			c.APIBaseURL = "https://api.example.com/api/v1\n"
		}, sdk.ErrInvalidArgument, "APIBaseURL"},
		"line end in a lookup": {func(c *sdk.Config) {
			c.APIConfigURL = "https://api.example.com/\r"
		}, sdk.ErrInvalidArgument, "APIConfigURL"},
		"line end in a host": {func(c *sdk.Config) {
			c.XMPPHost = "chat.example.com\n"
		}, sdk.ErrInvalidArgument, "XMPPHost"},
		"space in a host": {func(c *sdk.Config) { c.XMPPHost = "a b" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"port in a host": {func(c *sdk.Config) {
			c.XMPPHost = "chat.example.com:5222"
		}, sdk.ErrInvalidArgument, "XMPPHost"},
		"URL for a host": {func(c *sdk.Config) {
			c.XMPPHost = "wss://chat.example.com"
		}, sdk.ErrInvalidArgument, "XMPPHost"},
		"JID for a host": {func(c *sdk.Config) {
			c.XMPPHost = "bob@chat.example.com"
		}, sdk.ErrInvalidArgument, "XMPPHost"},
		"host of groups": {func(c *sdk.Config) {
			c.XMPPHost = "mix.example.com"
		}, sdk.ErrInvalidArgument, "XMPPHost"},
		"no port": {func(c *sdk.Config) { c.XMPPAddress = "foo" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, TCP": {func(c *sdk.Config) {
			c.XMPPAddress, c.Transport = "foo", sdk.TransportTCP
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, xmpp": {func(c *sdk.Config) {
			c.XMPPAddress = "a.example:5222, xmpp://foo/"
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, xmpps": {func(c *sdk.Config) {
			c.XMPPAddress = "XMPPS://[::1]"
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"line end, address": {func(c *sdk.Config) {
			c.XMPPAddress = "foo\n:5222"
		}, sdk.ErrInvalidArgument, "XMPPAddress"},
		"delays out of order": {func(c *sdk.Config) {
			c.Reconnect.MinDelay, c.Reconnect.MaxDelay = 10*time.Second, time.Second
		}, sdk.ErrInvalidArgument, "MinDelay"},
		"TLS before 1.2": {func(c *sdk.Config) {
			c.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS11}
		}, sdk.ErrInvalidArgument, "TLSConfig.MaxVersion"},
		"device with a slash": {func(c *sdk.Config) { c.DeviceID = "a/b" }, sdk.ErrInvalidArgument, "DeviceID"},
		"device with a comma": {func(c *sdk.Config) { c.DeviceID = "a,b" }, sdk.ErrInvalidArgument, "DeviceID"},
		"long device": {func(c *sdk.Config) {
			c.DeviceID = strings.Repeat("a", 65)
		}, sdk.ErrInvalidArgument, "DeviceID"},
		"header in agent name": {func(c *sdk.Config) {
			c.AppName = "a\r\nX-Evil: 1"
		}, sdk.ErrInvalidArgument, "AppName"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			client, err := sdk.New(cfg)
			require.Nil(t, client)
			var e *sdk.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, 400, e.StatusCode)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.text)
			if errors.Is(err, sdk.ErrInvalidArgument) {
				require.Equal(t, sdk.OutcomeNotSent, e.Outcome)
			}
		})
	}
	for _, change := range []func(*sdk.Config){
		func(*sdk.Config) {},
		func(c *sdk.Config) { c.XMPPHost, c.XMPPAddress = "Chat.example.com", "chat.example.com:5222" },
		func(c *sdk.Config) { c.XMPPHost, c.XMPPAddress = "localhost", "wss://localhost/x,xmpps://[::1]:1/" },
		func(c *sdk.Config) { c.XMPPHost = "[::1]" },
		func(c *sdk.Config) { c.Reconnect.MinDelay, c.Reconnect.MaxDelay = time.Second, time.Second },
		func(c *sdk.Config) { c.Reconnect.MinDelay = time.Hour },
		func(c *sdk.Config) { c.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS12} },
		func(c *sdk.Config) { c.DeviceID = "Host-1_a." + strings.Repeat("a", 55) },
	} {
		cfg := good
		change(&cfg)
		client, err := sdk.New(cfg)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}
}

func TestMaxDelayBelowTheDefaultMinDelay(t *testing.T) {
	_, _, _, connection := whileReconnecting(t, func(c *sdk.Config) {
		c.Reconnect = sdk.ReconnectPolicy{MaxDelay: 5 * time.Millisecond}
	})
	connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Attempt == 5 })
	for _, e := range connection.list() {
		require.LessOrEqual(t, e.RetryIn, 5*time.Millisecond)
	}
}

func TestAddressErrorsShowNoPassword(t *testing.T) {
	for _, address := range []string{
		"wss://bot:MARKED@host:99x", "xmpp://MARKED@host", "wss://bot:MARKED@host",
		"wss://host/?MARKED#x",
	} {
		_, err := sdk.New(sdk.Config{LicenseKey: "key", XMPPAddress: address})
		require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		require.NotContains(t, err.Error(), "MARKED")
	}
}
