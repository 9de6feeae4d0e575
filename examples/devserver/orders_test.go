package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestOrders(t *testing.T) {
	e := launch(t)
	f := e.follow()
	alice := newUser(t, e.at)
	login(t, alice, "alice")
	done := func(name, body, said string) {
		t.Helper()
		got, failure := e.order(name, body)
		require.Empty(t, failure)
		require.Contains(t, got, said)
	}
	state := func(right func(v view) bool) {
		t.Helper()
		until(f, "state", right)
	}
	ctx := t.Context()

	done("fail", `{"op":" /api/v1/contacts/vcard/ ","code":500,"text":"boom"}`, "contacts/vcard fails with 500")
	state(func(v view) bool { return len(v.Next) == 1 && v.Next[0] == "contacts/vcard" })
	_, err := alice.GetUserProfile(ctx, "alice")
	require.ErrorContains(t, err, "boom")
	state(func(v view) bool { return len(v.Next) == 0 })

	done("fault", `{"step":"iq","kind":"error"}`, "iq: error")
	state(func(v view) bool { return v.Faults[sdktest.StepIQ] == sdktest.FaultError })
	_, err = alice.GetUsersIBlocked(ctx)
	require.Error(t, err)
	done("fault", `{"step":"iq","kind":""}`, "works again")
	_, err = alice.GetUsersIBlocked(ctx)
	require.NoError(t, err)

	done("fault", `{"step":"iq","kind":"error","user":"Alice","op":"blocklist","nth":2,"times":1}`,
		"iq (user alice, op blocklist, nth 2, times 1): error")
	done("fault", `{"step":"iq","kind":"error","user":"bob"}`, "iq (user bob): error")
	state(func(v view) bool {
		return len(v.Matched) == 2 && v.Matched[0] == "iq (user alice, op blocklist, nth 2, times 1): error"
	})
	_, err = alice.GetUsersIBlocked(ctx)
	require.NoError(t, err)
	_, err = alice.GetUsersIBlocked(ctx)
	require.Error(t, err)
	done("fault", `{"step":"iq","kind":"","user":"bob"}`, "iq (user bob) works again")
	state(func(v view) bool { return len(v.Matched) == 0 })

	done("fail", `{"op":"contacts/vcard","code":429,"text":"slow down","retryAfter":"120"}`, "Retry-After: 120")
	var e429 *sdk.Error
	_, err = alice.GetUserProfile(ctx, "alice")
	require.ErrorAs(t, err, &e429)
	require.Equal(t, 2*time.Minute, e429.RetryAfter)

	done("delay", `{"count":250}`, "250ms")
	state(func(v view) bool { return v.Delay == 250 })
	began := time.Now()
	_, err = alice.GetUserProfile(ctx, "alice")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 250*time.Millisecond)
	done("clear", `{}`, "No fault")
	state(func(v view) bool { return v.Delay == 0 && len(v.Faults) == 0 })
	done("delay", `{"count":0}`, "at once")

	profiles := make(chan sdk.Profile, 10)
	defer alice.OnUserProfile(func(p sdk.Profile) { profiles <- p })()
	done("profile", `{"user":"bob","name":"Bob <&>","status":"here"}`, "bob")
	require.Equal(t, "Bob <&>", patient.Receive(t, profiles).NickName)
	done("profile", `{"user":"bob","name":"Bob","status":"there"}`, "bob")
	require.Equal(t, "there", patient.Receive(t, profiles).Status)

	done("admin", `{"user":"bob","on":true}`, "bob is blocked")
	state(func(v view) bool { return len(v.Users) == 2 && v.Users[1].AdminBlocked })
	done("admin", `{"user":"bob","on":false}`, "not blocked")

	done("feature", `{"feature":"report","on":false}`, "report: off")
	state(func(v view) bool { return len(v.Off) == 1 && v.Off[0] == "report" })
	done("sessions", `{"count":1}`, "1")
	done("sessions", `{"count":0}`, "any number")

	seen := make(chan sdk.PresenceEvent, 10)
	defer alice.OnPresence(func(p sdk.PresenceEvent) { seen <- p })()
	presence := "<presence xmlns='jabber:client' from='zoe@" + e.at.Domain + "/x'/>"
	done("push", `{"user":"alice","text":"`+presence+`"}`, "sessions: 1")
	for patient.Receive(t, seen).FromUserJID != "zoe@"+e.at.Domain { // her own comes too
	}

	done("tokens", `{}`, "expired")
	_, err = alice.GetUserProfile(ctx, "alice") // logs in again by itself
	require.NoError(t, err)
	done("codes", `{}`, "replaced")

	for _, name := range []string{"drop", "restart"} {
		events := make(chan sdk.ConnectionEvent, 20)
		stop := alice.OnConnection(func(ev sdk.ConnectionEvent) { events <- ev })
		done(name, `{}`, "")
		for patient.Receive(t, events).Status != sdk.StatusConnected { // reconnecting comes first
		}
		stop()
	}
}

// What is ordered in the name of a user reaches a bot as if an app had done it.
func TestOrdersOfUsers(t *testing.T) {
	e := launch(t)
	bot := newUser(t, e.at)
	blocks, gone := make(chan sdk.BlockEvent, 10), make(chan sdk.UserDeletedEvent, 10)
	came := make(chan sdk.Message, 10)
	bot.OnBlock(func(e sdk.BlockEvent) { blocks <- e })
	bot.OnUserDeleted(func(e sdk.UserDeletedEvent) { gone <- e })
	bot.OnMessage(func(m sdk.Message) { came <- m })
	login(t, bot, "bot")
	done := func(name, body, want string) {
		t.Helper()
		said, failure := e.order(name, body)
		require.Empty(t, failure)
		require.Equal(t, want, said)
	}
	done("register", `{"user":" ann "}`, "ann is registered.")
	done("register", `{"user":"ann"}`, "ann is registered already.")
	// The case of user ids does not matter.
	done("register", `{"user":"Zoe"}`, "zoe is registered.")
	done("register", `{"user":"ZOE"}`, "zoe is registered already.")
	done("admin", `{"user":"Zoe","on":false}`, "zoe is not blocked any more.")
	done("write", `{"user":"ann","to":"bot","text":"Hello"}`, "The message is sent.")
	m := patient.Receive(t, came)
	require.Equal(t, []string{"ann@" + e.at.Domain, "Hello"}, []string{m.FromUserJID, m.Text})
	done("block", `{"user":"Ann","to":"Bot"}`, "ann has blocked bot.")
	ann := "ann@" + e.at.Domain
	require.Equal(t, sdk.BlockEvent{UserID: "ann", UserJID: ann, Blocked: true}, patient.Receive(t, blocks))
	done("unblock", `{"user":"ann","to":"bot"}`, "ann has unblocked bot.")
	require.Equal(t, sdk.BlockEvent{UserID: "ann", UserJID: ann}, patient.Receive(t, blocks))
	done("block", `{"user":"ann","to":"zoe@elsewhere.example"}`, "ann has blocked zoe@elsewhere.example.")
	done("refuse", `{}`, "The next message is refused with policy-violation.")
	_, err := bot.SendTextMessage(t.Context(), "ann@"+e.at.Domain, "Hello")
	require.ErrorContains(t, err, "policy-violation")
	done("delete", `{"user":"ann"}`, "The account of ann is deleted.")
	require.Equal(t, ann, patient.Receive(t, gone).UserJID)

	status, raw, header := e.do(http.MethodGet, "/_dev/state?search=BOT", "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "application/json", header.Get("Content-Type"))
	var v view
	require.NoError(t, json.Unmarshal([]byte(raw), &v))
	require.Equal(t, "bot", v.Users[0].ID)
	require.Equal(t, "deleted on the emulator's page", v.Deleted[0].Reason)
}

func TestQROrders(t *testing.T) {
	e := launch(t)
	offer := func() (*sdk.QRLogin, string) {
		login, err := newUser(t, e.at).GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: e.at.SignalURL})
		require.NoError(t, err)
		return login, patient.Receive(t, login.Codes()).Content()
	}
	login, content := offer()
	said, failure := e.order("scan", `{"user":"alice","text":" `+content+`\n"}`)
	require.Empty(t, failure)
	require.Contains(t, said, "alice has logged in")
	me, err := login.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, "alice", me.Data.Username)
	_, failure = e.order("logout", `{"user":"alice"}`)
	require.Empty(t, failure)
	_, failure = e.order("logout", `{"user":"alice"}`)
	require.Contains(t, failure, "no web session")

	login, content = offer()
	_, failure = e.order("reject", `{"user":"alice","text":"`+content+`"}`)
	require.Empty(t, failure)
	_, err = login.Wait(t.Context())
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	require.NoError(t, login.Close())
}

func TestOrdersRefused(t *testing.T) {
	e := launch(t)
	_, failure := e.order("register", `{"user":"bob"}`)
	require.Empty(t, failure)
	for name, body := range map[string]string{
		"fault":  `{"step":"nowhere","kind":"close"}`,
		"fault ": `{"step":"iq","kind":"nothing"}`, "fault  ": `{"step":"accept","kind":"close","user":"bob"}`,
		"fault   ":     `{"step":"iq","kind":"close","nth":-1}`,
		"fault    ":    `{"step":"rest","kind":"close","op":"/api/v1/login"}`,
		"fault     ":   `{"step":"rest","kind":"close","op":"` + strings.Repeat("x", maxName+1) + `"}`,
		"fault      ":  `{"step":"iq","kind":"close","user":" "}`,
		"fault       ": `{"step":"iq","kind":"close","to":"bob"}`,
		"register  ":   `{"user":"carol","text":"x"}`, "tokens": `{"user":"bob"}`,
		"fail   ": `{"op":"login","code":503,"retryAfter":"1\r\nX: y"}`,
		"fail":    `{"op":"","code":500}`, "fail ": `{"op":"login","code":99}`, "fail  ": `{"op":"login","code":600}`,
		"delay": `{"count":-1}`, "delay ": `{"count":60001}`,
		"feature": `{"feature":"nothing","on":true}`, "sessions": `{"count":-1}`,
		"admin": `{"user":"nobody","on":true}`, "push": `{"user":"nobody","text":"<x/>"}`,
		"profile": `{"user":"Not An Id","name":"x"}`, "profile ": `{"user":"","name":"x"}`,
		"scan": `{"user":"alice","text":"nonsense"}`, "reject": `{"user":"alice","text":""}`,
		"logout":   `{"user":"nobody"}`,
		"register": `{"user":"Not An Id"}`, "register ": `{}`,
		"block": `{"user":"carol","to":"bob"}`, "block ": `{"user":"bob","to":"nobody"}`,
		"block  ": `{"user":"bob","to":"bob"}`, "block   ": `{"user":"bob","to":"@"}`,
		"unblock": `{"user":"nobody","to":"bob"}`, "delete": `{"user":"nobody"}`,
		"write": `{"user":"bob","to":"nobody","text":"x"}`, "write ": `{"user":"bob","to":"bob","text":" "}`,
		"write  ": `{"user":"No Id","to":"bob","text":"x"}`, "typing": `{"user":"bob","to":"bob"}`,
		"refuse": `{"text":"<x/>"}`, "refuse ": `{"text":"` + strings.Repeat("x", 51) + `"}`,
		"nothing": `{}`, "drop": `{"more":1}`, "drop ": `{} {}`, "drop  ": `[`, "drop   ": `null null`,
		"drop    ": `{"count":"1"}`,
		"clear":    `{"text":"` + strings.Repeat("x", maxOrder) + `"}`,
	} {
		_, failure := e.order(strings.TrimSpace(name), body)
		require.NotEmpty(t, failure, "%s %.50s", name, body)
	}
	require.NotEmpty(t, e.at)
	for _, o := range []struct{ name, body string }{{"fail", `{"op":"x","code":500}`}, {"refuse", `{}`}} {
		for range maxFailures {
			_, failure = e.order(o.name, o.body)
			require.Empty(t, failure)
		}
		_, failure = e.order(o.name, o.body)
		require.Contains(t, failure, "too many")
	}
	for i := range maxFaults {
		_, failure = e.order("fault", fmt.Sprintf(`{"step":"iq","kind":"close","nth":%d}`, i+1))
		require.Empty(t, failure)
	}
	_, failure = e.order("fault", `{"step":"iq","kind":"close","user":"bob"}`)
	require.Contains(t, failure, "too many")
	status, _, _ := e.do(http.MethodGet, "/_dev/do/drop", "")
	require.Equal(t, http.StatusMethodNotAllowed, status)
}
