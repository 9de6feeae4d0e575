package main

import (
	"context"
	"errors"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// sdkSession is a client of package sdk.
type sdkSession struct {
	*sdk.Client
	jid string
	talk
}

// dialSDK uses package sdk with its defaults.
func dialSDK(ctx context.Context, at *place, who account) (session, error) {
	client, err := sdk.New(at.sdkConfig())
	if err != nil {
		return nil, err
	}
	s := sdkSession{client, at.jid(who), at.talk}
	if s.heard != nil {
		client.OnMessage(s.hear)
	}
	if _, err := client.Connect(ctx, who.Username, who.Password); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return s, nil
}

// sdkConfig is the configuration of a user who runs the service.
func (p *place) sdkConfig() sdk.Config {
	cfg := sdk.Config{
		LicenseKey: p.LicenseKey, APIBaseURL: p.APIBaseURL, TrialLicense: true,
		XMPPHost: p.Domain, XMPPAddress: p.xmppAddress(),
		AllowInsecure: p.transport == overWS || p.transport == overTCP,
	}
	if !p.trusted {
		cfg.TLSConfig = p.tls
	}
	if !p.webSocket() {
		cfg.Transport = sdk.TransportTCP
	}
	return cfg
}

// xmppAddress is the address as package sdk wants it.
func (p *place) xmppAddress() string {
	switch p.transport {
	case overTCP:
		return "xmpp://" + p.address()
	case overTLS:
		return "xmpps://" + p.address()
	}
	return p.address()
}

func (s sdkSession) Ask(ctx context.Context) error {
	_, err := s.GetLastSeen(ctx, s.jid)
	return err
}

// Say waits for the confirmation that SendTextMessage promises.
func (s sdkSession) Say(ctx context.Context) error {
	_, err := s.SendTextMessage(ctx, s.with, text)
	return err
}

// hear is a bot's listener: the receipt goes out when it returns. What was not opened rightly is
// not heard.
func (s sdkSession) hear(m sdk.Message) {
	if m.Text != text {
		return
	}
	if s.echo {
		if _, err := s.SendTextMessage(context.Background(), m.FromUserJID, m.Text); err != nil {
			return
		}
	}
	s.heard()
}

// transportSession is internal/xmpp alone: what package sdk adds to it is the difference between
// the two.
type transportSession struct {
	*xmpp.Session
	jid string
}

func dialTransport(ctx context.Context, at *place, who account) (session, error) {
	addresses, err := xmpp.ParseAddresses(at.xmppAddress(), !at.webSocket())
	if err != nil {
		return nil, err
	}
	s, err := xmpp.Dial(ctx, xmpp.Config{
		Addresses: addresses, Domain: at.Domain, Username: who.Username, Password: who.Password, Resource: "bench",
		AllowInsecure: true, HTTPClient: at.http, TLSConfig: at.tls,
	})
	if err != nil {
		return nil, err
	}
	// Close owns it. It ends with the session.
	go serve(s)
	return transportSession{s, at.jid(who)}, nil
}

// serve serves a session, each time in a new goroutine.
func serve(s *xmpp.Session) {
	if s.Serve() == xmpp.ErrHandOver {
		go serve(s)
	}
}

func (t transportSession) Ask(ctx context.Context) error {
	_, _, err := t.LastActivity(ctx, t.jid)
	return err
}

func (t transportSession) Close() error { return t.Session.Close(context.Background()) }
