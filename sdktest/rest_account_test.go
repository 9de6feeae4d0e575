package sdktest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

func TestLicenceLookup(t *testing.T) {
	for _, isTrial := range []bool{true, false} {
		s := New(t, Options{Trial: isTrial})
		e := rest(t, s, "GET", s.ConfigURL()+"?licenseKey="+seal.LP(s.LicenseKey(), seal.LicenseKeyString), "", nil)
		require.Equal(t, 200, e.Status)
		var d struct {
			APIBaseURL string
			TrialMode  *bool
		}
		require.NoError(t, json.Unmarshal(e.Data, &d))
		require.Equal(t, s.URL(), d.APIBaseURL)
		require.Equal(t, isTrial, *d.TrialMode)
		for _, wrong := range []string{"", "nonsense", seal.LP("other", seal.LicenseKeyString), seal.LP(s.LicenseKey(),
			"other")} {
			e := rest(t, s, "GET", s.ConfigURL()+"?licenseKey="+wrong, "", nil)
			require.Equal(t, 200, e.HTTP)
			require.Equal(t, 400, e.Status)
			require.Equal(t, "Invalid License key", e.Message)
		}
	}
}

func TestRegisterAndLogin(t *testing.T) {
	for _, isTrial := range []bool{true, false} {
		s := New(t, Options{Trial: isTrial})
		c := register(t, s, "alice")
		require.Equal(t, "alice", c.Username)
		require.False(t, c.IsExisting)
		require.False(t, c.IsProfileUpdated)
		require.Equal(t, s.Domain(), c.Config["xmppHost"])
		require.Equal(t, true, c.Config["block"])
		again := register(t, s, "alice")
		require.True(t, again.IsExisting)
		require.Equal(t, c.Password, again.Password)

		login := func(user, wire string) envelope {
			return rest(t, s, "POST", "/login", "", map[string]any{"username": user, "password": wire, "type": "web"})
		}
		e := login("alice", wirePassword(s, c.Password, time.Now()))
		require.Equal(t, 200, e.Status)
		var d struct{ Token string }
		require.NoError(t, json.Unmarshal(e.Data, &d))

		e = rest(t, s, "GET", "/users/config", d.Token, nil)
		require.Equal(t, 200, e.Status)
		var sealed string
		require.NoError(t, json.Unmarshal(e.Data, &sealed))
		var cfg map[string]any
		require.NoError(t, json.Unmarshal([]byte(seal.Open(sealed, "alicealicealice", seal.ConstIV)), &cfg))
		require.Equal(t, c.Config, cfg)

		for _, bad := range [][2]string{
			{"alice", wirePassword(s, "wrong", time.Now())},
			{"nobody", wirePassword(s, c.Password, time.Now())},
			{"alice", ""},
			{"", ""},
		} {
			e := login(bad[0], bad[1])
			require.Equal(t, 400, e.Status)
			require.Equal(t, "Invalid Credentials", e.Message)
		}
		s.BlockByAdmin("alice", true)
		require.Equal(t, 403, login("alice", wirePassword(s, c.Password, time.Now())).Status)
		s.BlockByAdmin("alice@"+s.Domain(), false)
		require.Equal(t, 200, login("alice", wirePassword(s, c.Password, time.Now())).Status)
	}
}

func TestStaleTimestampIsToldApart(t *testing.T) {
	s := New(t)
	c := register(t, s, "alice")
	for off, status := range map[time.Duration]int{
		0: 200, 14 * time.Hour: 200, -14 * time.Hour: 200, 16 * time.Hour: 400, -16 * time.Hour: 400,
		-400 * 24 * time.Hour: 400,
	} {
		e := rest(t, s, "POST", "/login", "", map[string]any{
			"username": "alice", "password": wirePassword(s, c.Password, time.Now().Add(off)), "type": "web",
		})
		require.Equal(t, status, e.Status, off)
		if status == 400 {
			require.Contains(t, e.Message, "currentTimestamp")
		}
	}
	// A password in clear, as in trial mode, is refused here.
	e := rest(t, s, "POST", "/login", "", map[string]any{"username": "alice", "password": c.Password, "type": "web"})
	require.Equal(t, "Invalid Credentials", e.Message)
}

func TestRegisterRefusals(t *testing.T) {
	s := trial(t)
	good := func() map[string]any {
		return map[string]any{
			"deviceType": "web", "deviceId": "5", "licenseKey": s.LicenseKey(), "userIdentifier": "alice",
			"forceRegister": true,
		}
	}
	for name, change := range map[string]func(map[string]any){
		"license":  func(m map[string]any) { m["licenseKey"] = "other" },
		"capital":  func(m map[string]any) { m["userIdentifier"] = "Alice" },
		"space":    func(m map[string]any) { m["userIdentifier"] = "a b" },
		"empty":    func(m map[string]any) { m["userIdentifier"] = "" },
		"long":     func(m map[string]any) { m["userIdentifier"] = strings.Repeat("a", 300) },
		"type":     func(m map[string]any) { m["userIdentifier"] = 5 },
		"device":   func(m map[string]any) { m["deviceId"] = "" },
		"metadata": func(m map[string]any) { m["metaData"] = map[string]any{"a": 1, "b": 2, "c": 3, "d": 4} },
		"nested":   func(m map[string]any) { m["metaData"] = map[string]any{"a": []int{1}} },
	} {
		m := good()
		change(m)
		e := rest(t, s, "POST", "/sandbox/register", "", m)
		require.Equal(t, 200, e.HTTP, name)
		require.Equal(t, 400, e.Status, name)
		require.NotEmpty(t, e.Message, name)
	}
	require.Equal(t, 400, rest(t, s, "POST", "/register", "", good()).Status)
	require.Equal(t, 400, rest(t, s, "POST", "/sandbox/register", "", "<html>").Status)
	require.Equal(t, 400, rest(t, s, "POST", "/sandbox/register", "", "").Status)
	require.Empty(t, s.Users())
	require.Equal(t, 200, rest(t, s, "POST", "/sandbox/register", "", good()).Status)
	require.Equal(t, []string{"alice"}, s.Users())
}

func TestMaxSessions(t *testing.T) {
	s := trial(t)
	s.SetMaxSessions(1)
	first := register(t, s, "alice")
	x := connect(t, s, first, "Web-1")
	e := registerCall(t, s, "alice", false)
	require.Equal(t, "You have reached maximum sessions allowed.", e.Message)
	require.NotEqual(t, 200, e.Status)
	require.Equal(t, 200, registerCall(t, s, "bob", false).Status)

	second := register(t, s, "alice")
	x.until("stream:error", "conflict")
	require.Equal(t, 401, rest(t, s, "GET", "/users/config", first.Token, nil).HTTP)
	require.Equal(t, 200, rest(t, s, "GET", "/logout", second.Token, nil).Status)
	require.Equal(t, 200, registerCall(t, s, "alice", false).Status)
	s.SetMaxSessions(0)
	require.Equal(t, 200, registerCall(t, s, "alice", false).Status)
}

func TestMappedNames(t *testing.T) {
	s := trial(t)
	for host, want := range map[string]string{
		"api.mirrorfly.test": "443", "api.mirrorfly.test:8443": "8443", s.httpAddr(): port(s.httpAddr()),
	} {
		body := `{"deviceType":"web","deviceId":"5","licenseKey":"` + s.LicenseKey() + `","userIdentifier":"alice",` +
			`"forceRegister":true}`
		req, err := http.NewRequest("POST", s.URL()+"/sandbox/register", strings.NewReader(body))
		require.NoError(t, err)
		req.Host = host
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		var e struct{ Data string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&e))
		require.NoError(t, resp.Body.Close())
		var c credentials
		require.NoError(t, json.Unmarshal([]byte(seal.Open(e.Data, seal.Triple(s.LicenseKey()), seal.ConstIV)), &c))
		require.Equal(t, want, c.Config["xmppPortWeb"])
		require.Equal(t, port(s.XMPPAddress()), c.Config["xmppPort"])
	}
}
