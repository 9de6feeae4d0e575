package sdktest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// control is what tests have set. Only the lock of changes is taken while mu is held.
type control struct {
	changes *changes

	mu sync.Mutex
	// faults are by step, the latest last. No step has an empty list.
	faults      map[Step][]*fault
	failures    []failure
	refusals    []string
	delay       time.Duration
	features    map[string]bool
	maxSessions int
	storage     string
	mechanisms  []string
	resumeAt    string
	certificate *tls.Certificate // nil: the server's own
	ahead       time.Duration
}

// The feature flags of protocol.md 3, which the service hands out one by one.
func allFeatures() map[string]bool {
	m := make(map[string]bool)
	for _, name := range []string{
		"groupChat", "attachment", "imageAttachment", "videoAttachment", "audioAttachment", "documentAttachment",
		"contactAttachment", "locationAttachment", "one2oneCall", "groupCall", "recentchatSearch", "starMessage",
		"clearChat", "deleteChat", "translation", "block", "report", "deleteMessage", "viewAllMedias",
	} {
		m[name] = true
	}
	return m
}

// SetFeature sets one of the plan's flags, named as in protocol.md 3 ("block",
// "report", ...). Clients see it when they next register or connect. It panics when
// there is no such flag: otherwise a test with a wrong name would prove nothing.
func (s *Server) SetFeature(name string, on bool) {
	if known := allFeatures(); !known[name] {
		names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
		panic(fmt.Sprintf("sdktest: set feature: there is no %q, but %s", name, names))
	}
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.features[name] = on
	s.changes.tell()
}

// SetMaxSessions limits how many sessions (registrations that were not logged
// out) a user may have; 0 is no limit. A registration above it is refused, or
// with forceRegister ends the oldest one (protocol.md 3).
func (s *Server) SetMaxSessions(n int) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.maxSessions = n
}

// SetStorage sets the kind of storage that the service names for chunked media:
// "oracle" (default), "minio" or "aws" (protocol.md 8). With the last two the official JavaScript
// SDK never gets to the end of a file of more than 5 MiB that it sends in a message.
func (s *Server) SetStorage(name string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.storage = name
}

// SetMechanisms sets the SASL mechanisms that are offered. Trial servers start
// with SCRAM-SHA-256, SCRAM-SHA-1 and PLAIN, licensed ones with PLAIN, the only
// one that a time-stamped password works with (protocol.md 4.3).
func (s *Server) SetMechanisms(names ...string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.mechanisms = append([]string(nil), names...)
}

func (c *control) featureFlags() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.features)
}

func (c *control) sessionLimit() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.maxSessions
}

func (c *control) storageName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.storage
}

func (c *control) offered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.mechanisms...)
}

// ExpireTokens ends all REST tokens: the next request with one of them is answered
// 401 "Token Expired".
func (s *Server) ExpireTokens() { s.store.expireTokens() }

// BlockByAdmin blocks or frees a user (id or JID) as an administrator would: the
// user cannot log in any more (403), and the user and the contacts are told (protocol.md 6.4). A
// connection that is open stays open: ending it is left to the client.
func (s *Server) BlockByAdmin(user string, blocked bool) {
	id := localpart(user)
	if !s.store.setAdminBlocked(id, blocked) || s.commit() != nil {
		return
	}
	status := "0"
	if blocked {
		status = "1"
	}
	told := el("", "admin_block", "block_status", status, "chat_type", "chat", "jid", s.jid(id))
	yield(context.Background(), s.hub.announce(s.hub.audience(id), told))
}

// SetProfile gives a user (id or JID) another profile, as the user's own app
// would: the whole profile is replaced, and contacts who are connected are told
// (protocol.md 5.2, 6.2). It registers a user who is not registered. UserID, UserJID and
// IsAdminBlocked of p do not matter.
func (s *Server) SetProfile(ctx context.Context, user string, p Profile) error {
	if err := s.setProfile(ctx, localpart(user), p); err != nil {
		return fmt.Errorf("sdktest: set profile: %w", err)
	}
	return nil
}

func (s *Server) setProfile(ctx context.Context, id string, p Profile) error {
	if s.external != nil {
		return errors.New("the profiles are the external XMPP server's")
	}
	if err := s.Phone(id).ensure(ctx); err != nil {
		return err
	}
	_, iv := s.store.ivs()
	card := el(nsVCard, "vCard")
	for _, field := range []struct{ name, text string }{
		{"nickName", seal.Seal(p.NickName, id, iv)},
		{"image", p.Image},
		{"thumbImage", p.ThumbImage},
		{"email", seal.Seal(p.Email, id, iv)},
		{"mobileNumber", seal.Seal(p.MobileNumber, id, iv)},
		{"status", p.Status},
	} {
		card.add(el("", field.name).txt(field.text))
	}
	if text := s.overLimit(id, card); text != "" {
		return errors.New(text)
	}
	if len(card.String()) > maxStanza {
		return errors.New("the profile is too big for a stanza")
	}
	if !s.store.setVCard(id, card.String()) {
		return errNoUser
	}
	if err := s.store.commit(); err != nil {
		return err
	}
	yield(ctx, s.hub.pushVCard(id, card))
	return nil
}

// DropConnections cuts every connection without ending its protocol, as a broken network does.
func (s *Server) DropConnections() {
	if r := s.current(); r != nil {
		r.dropConns(false)
	}
}

// Push sends raw XML as it is to every XMPP session of a user (id or JID), and returns how many
// there were. When a lot waits for these sessions, it waits until they have read most of it, so
// that a burst of any length reaches a client that reads. What its listeners are too slow for, it
// tells by its OnMissed.
func (s *Server) Push(user, rawXML string) int {
	reached := s.hub.push(localpart(user), rawXML)
	yield(context.Background(), reached)
	return len(reached)
}
