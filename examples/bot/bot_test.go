package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestStatus(t *testing.T) {
	srv := sdktest.New(t)
	owner := user(t, srv, "weather")
	_, err := owner.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Name: "Weather", Email: "w@example.com", MobileNumber: "15550100", Status: "old",
		Image: sdk.ImageReader("w.png", "image/png", bytes.NewReader([]byte("\x89PNG\r\n\x1a\n")), 8),
	})
	require.NoError(t, err)
	before := srv.Profile("weather")
	s := testSettings()
	s.interval = 5 * time.Millisecond
	p := start(t, srv, s, "weather")
	p.await(t, "profile updated", "user=weather", "blocked by nobody")

	after := srv.Profile("weather")
	require.Contains(t, after.Status, "On duty since ")
	require.NotEmpty(t, before.Image)
	require.NotEqual(t, before.Image, before.ThumbImage)
	after.Status = before.Status
	require.Equal(t, before, after, "the rest stays as it was")

	for range 5 {
		p.await(t, "up to date", "user=weather")
	}
	require.Equal(t, 2, writes(srv, "weather"), "the owner's and the bot's: nothing is written that is so already")

	byHand := sdk.ProfileUpdate{Name: "Rain", Email: "w@example.com", Status: "changed by hand"}
	_, err = owner.SetUserProfile(t.Context(), byHand)
	require.NoError(t, err)
	p.await(t, "profile updated", "user=weather")
	require.Equal(t, "Rain", srv.Profile("weather").NickName)
	p.requireReady(t)
}

func TestNoEmail(t *testing.T) {
	srv := sdktest.New(t)
	s := testSettings()
	s.email = ""
	p := start(t, srv, s, "weather")
	p.await(t, "profile not updated", "give -email")
	require.Zero(t, writes(srv, "weather"))
}

func TestOthersActions(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "profile updated")
	require.Equal(t, "weather", srv.Profile("weather").NickName, "the name of an account that has none")
	carol := user(t, srv, "carol")
	me := srv.Profile("weather").UserJID
	p.await(t, "presence", "jid=carol@", "status=online")

	_, err := carol.BlockUser(t.Context(), me)
	require.NoError(t, err)
	p.await(t, "a user blocked or unblocked the bot", "jid=carol@", "blocked=true")
	p.await(t, "profile updated", "blocked by 1 user")
	require.Contains(t, srv.Profile("weather").Status, "blocked by 1 user")

	_, err = user(t, srv, "dave").BlockUser(t.Context(), me)
	require.NoError(t, err)
	p.await(t, "profile updated", "blocked by 2 users")
	_, err = carol.UnblockUser(t.Context(), me)
	require.NoError(t, err)
	p.await(t, "profile updated", "blocked by 1 user")
	_, err = carol.DeleteMyAccount(t.Context(), "enough", "")
	require.NoError(t, err)
	p.await(t, "a user is gone", "jid=carol@")
	p.await(t, "profile is up to date")

	_, err = user(t, srv, "weather").BlockUser(t.Context(), srv.Profile("dave").UserJID)
	require.NoError(t, err)
	p.await(t, "own block list changed", "jid=dave@", "blocked=true")
	srv.BlockByAdmin("dave", true)
	p.await(t, "blocked or unblocked somebody", "jid=dave@", "blocked=true")
	p.requireReady(t)
}

func TestMissed(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "profile updated")
	p.bots[0].onMissed(sdk.MissedEvent{Dropped: 3})
	p.await(t, "events missed", "dropped=3")
	p.await(t, "profile is up to date")
}

func TestDisconnect(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather", "news")
	p.await(t, "profile updated")
	p.await(t, "profile updated")
	p.requireReady(t)

	srv.SetFault(sdktest.StepUpgrade, sdktest.FaultClose)
	require.NoError(t, srv.Restart()) // no session is resumed after that
	p.await(t, "status=CONNECTIONFAILED", "user=weather")
	p.requireNotReady(t, "weather")
	carol := user(t, srv, "carol") // nobody is told what she does now
	_, err := carol.BlockUser(t.Context(), srv.Profile("weather").UserJID)
	require.NoError(t, err)

	srv.ClearFaults()
	p.await(t, "profile updated", "user=weather", "blocked by 1 user")
	p.end(t)
}

func TestReadyAgain(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "status=CONNECTED")
	for range 3 {
		require.NoError(t, srv.Restart())
		p.await(t, "status=DISCONNECTED")
		p.await(t, "status=CONNECTED")
		p.requireReady(t)
	}
}

// Another session has replaced the bot's: the client gives up, and the bot logs in again later.
func TestReplaced(t *testing.T) {
	srv := sdktest.New(t)
	s := testSettings()
	s.interval = 50 * time.Millisecond
	p := start(t, srv, s, "weather")
	p.await(t, "profile updated")
	srv.Push("weather", `<error xmlns="http://etherx.jabber.org/streams">`+
		`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></error>`)
	p.await(t, "status=DISCONNECTED", "conflict")
	p.await(t, "status=CONNECTED")
	p.requireReady(t)
	require.NotContains(t, p.text(), "RECONNECTING")
}

func TestAdminBlock(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "profile updated")
	carol := user(t, srv, "carol")

	srv.BlockByAdmin("weather", true)
	p.await(t, "blocked or unblocked this account", "blocked=true")
	p.requireNotReady(t, "weather")
	_, err := carol.BlockUser(t.Context(), srv.Profile("weather").UserJID)
	require.NoError(t, err)
	p.await(t, "a user blocked or unblocked the bot")
	p.await(t, "profile left alone")
	require.Equal(t, 1, writes(srv, "weather"))

	srv.BlockByAdmin("weather", false)
	p.await(t, "blocked or unblocked this account", "blocked=false")
	p.await(t, "profile updated", "blocked by 1 user")
	p.requireReady(t)
}

// While the account is blocked the bot cannot log in. It does as soon as the block has ended.
func TestAdminBlockAndDisconnect(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "profile updated")
	srv.BlockByAdmin("weather", true)
	p.await(t, "blocked or unblocked this account")
	srv.DropConnections()
	p.await(t, "status=AUTHFAIL")
	p.await(t, "login failed", "attempt=3", "403")
	p.requireNotReady(t, "weather")
	srv.BlockByAdmin("weather", false)
	p.await(t, "status=CONNECTED")
	p.await(t, "profile is up to date")
	p.requireReady(t)
	require.NotContains(t, p.text(), "account given up")
}

func TestWrongPassword(t *testing.T) {
	srv := sdktest.New(t)
	good, bad := credentials(t, srv, "weather"), credentials(t, srv, "news")
	bad.Password = "mistyped-and-secret"
	p := startAt(t, &service{cfg: config(srv), accounts: []account{bad, good}}, testSettings())
	p.await(t, "level=ERROR", "account given up", "user=news", "Invalid Credentials")
	p.requireNotReady(t, "news")
	_, err := user(t, srv, "carol").BlockUser(t.Context(), srv.Profile("weather").UserJID)
	require.NoError(t, err)
	p.await(t, "profile updated", "user=weather", "blocked by 1 user")
	p.end(t)
	require.NotContains(t, strings.Join(p.lines, ""), bad.Password)
	require.NotContains(t, strings.Join(p.lines, ""), good.Password)

	p = startAt(t, &service{cfg: config(srv), accounts: []account{bad}}, testSettings())
	err = p.result(t)
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials, "nothing is left to do")
	require.ErrorContains(t, err, "no account is left of 1; news")
}

func TestOwnAccountDeleted(t *testing.T) {
	srv := sdktest.New(t)
	s := testSettings()
	s.interval = 10 * time.Millisecond
	p := start(t, srv, s, "weather")
	p.await(t, "profile updated")
	_, err := user(t, srv, "weather").DeleteMyAccount(t.Context(), "enough", "")
	require.NoError(t, err)
	require.ErrorIs(t, p.result(t), sdk.ErrInvalidCredentials)
}

func TestServiceComesUpLater(t *testing.T) {
	srv := sdktest.New(t)
	a := credentials(t, srv, "weather")
	srv.SetFault(sdktest.StepHTTPAccept, sdktest.FaultClose)
	p := startAt(t, &service{cfg: config(srv), accounts: []account{a}}, testSettings())
	p.await(t, "login failed", "attempt=3", "Network Error")
	p.requireNotReady(t, "weather")
	srv.ClearFaults()
	p.await(t, "profile updated")
	p.requireReady(t)
}

func TestRefusedForAWhile(t *testing.T) {
	srv := sdktest.New(t)
	s := testSettings()
	s.interval = 10 * time.Millisecond
	srv.FailNext("contacts/vcard", 500, "boom")
	p := start(t, srv, s, "weather")
	p.await(t, "profile not updated", "boom")
	p.await(t, "profile updated")
}

func TestEnd(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather", "news")
	p.await(t, "profile updated")
	p.await(t, "profile updated")
	p.end(t)
	p.requireNotReady(t, "ending")
	for _, name := range []string{"weather", "news"} {
		require.Equal(t, offDuty, srv.Profile(name).Status)
		require.Empty(t, srv.Resources(name))
	}
}

// The program ends in time also when the service does not answer, or was never there.
func TestEndIsBounded(t *testing.T) {
	s := testSettings()
	s.grace = 50 * time.Millisecond
	for name, fault := range map[string]sdktest.Step{"at work": sdktest.StepREST, "at the login": sdktest.StepHTTPTLS} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			a := credentials(t, srv, "weather")
			if fault != sdktest.StepREST {
				srv.SetFault(fault, sdktest.FaultSilent)
			}
			p := startAt(t, &service{cfg: config(srv), accounts: []account{a}}, s)
			if fault == sdktest.StepREST {
				p.await(t, "profile updated")
				srv.SetFault(fault, sdktest.FaultSilent)
			}
			begin := time.Now()
			p.end(t)
			require.Less(t, time.Since(begin), 20*time.Second, "the client alone would wait 30 seconds")
			if fault == sdktest.StepREST {
				p.await(t, "profile not updated at the end")
			}
		})
	}
}

func TestDelay(t *testing.T) {
	b := &bot{settings: settings{pace: pace{minRetry: time.Second, maxRetry: time.Minute}}}
	for attempt, most := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, math.MaxInt: time.Minute,
	} {
		for range 100 {
			got := b.delay(attempt, errors.New("boom"))
			require.LessOrEqual(t, got, most+1)
			require.GreaterOrEqual(t, got, most/2)
		}
	}
	require.Equal(t, time.Hour, b.delay(1, &sdk.Error{RetryAfter: time.Hour}), "what the service asks for")
}

// A listener never waits, whatever run is doing.
func TestLookNeverBlocks(t *testing.T) {
	b := &bot{wake: make(chan struct{}, 1)}
	b.look()
	b.look()
	require.Len(t, b.wake, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sleep(ctx, time.Hour)
}
