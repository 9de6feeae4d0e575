package sdktest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
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
		for _, wrong := range []string{"", "nonsense", seal.LP("other", seal.LicenseKeyString), seal.LP(s.LicenseKey(), "other")} {
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
		0: 200, 14 * time.Hour: 200, -14 * time.Hour: 200, 16 * time.Hour: 400, -16 * time.Hour: 400, -400 * 24 * time.Hour: 400,
	} {
		e := rest(t, s, "POST", "/login", "", map[string]any{
			"username": "alice", "password": wirePassword(s, c.Password, time.Now().Add(off)), "type": "web",
		})
		require.Equal(t, status, e.Status, off)
		if status == 400 {
			require.Contains(t, e.Message, "currentTimestamp")
		}
	}
	// A raw password, as in trial mode, is no password here.
	e := rest(t, s, "POST", "/login", "", map[string]any{"username": "alice", "password": c.Password, "type": "web"})
	require.Equal(t, "Invalid Credentials", e.Message)
}

func TestRegisterRefusals(t *testing.T) {
	s := trial(t)
	good := func() map[string]any {
		return map[string]any{
			"deviceType": "web", "deviceId": "5", "licenseKey": s.LicenseKey(), "userIdentifier": "alice", "forceRegister": true,
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

func TestAuthorization(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	paths := []struct{ method, path string }{
		{"GET", "/users/config"},
		{"GET", "/contacts/vcard?userId=alice"},
		{"GET", "/logout"},
		{"GET", "/media/x.png"},
		{"GET", "/media/generatePreAuthenticationUrlDownload?fileToken=x"},
		{"POST", "/media/"},
		{"POST", "/media/upload"},
		{"POST", "/media/upload/commit"},
		{"POST", "/moderation/feedback"},
		{"POST", "/moderation/report"},
		{"POST", "/users/deleteMyAccount"},
	}
	check := func(token string) {
		for _, p := range paths {
			e := rest(t, s, p.method, p.path, token, nil)
			require.Equal(t, 401, e.HTTP, p.path)
			require.Equal(t, 401, e.Status, p.path)
			require.Equal(t, "Token Expired", e.Message)
		}
	}
	check("")
	check("Bearer " + c.Token)
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
	s.ExpireTokens()
	check(c.Token)
	require.Equal(t, []string{"alice"}, s.Users())
}

func TestVCardModerationAndDeletion(t *testing.T) {
	s := trial(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	e := rest(t, s, "GET", "/contacts/vcard?userId=nobody", a.Token, nil)
	require.Equal(t, 200, e.HTTP)
	require.Equal(t, 204, e.Status)
	e = rest(t, s, "GET", "/contacts/vcard?userId=bob", a.Token, nil)
	require.JSONEq(t, `{"email":"","image":"","isAdminBlocked":0,"mobileNumber":"","nickName":"","status":"","thumbImage":"","userId":"bob","userJid":"bob@xmpp.mirrorfly.test"}`, string(e.Data))
	s.BlockByAdmin("bob", true)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=bob", a.Token, nil).Data), `"isAdminBlocked":1`)
	s.BlockByAdmin("bob", false)
	b = register(t, s, "bob") // its token went with the admin block

	require.Equal(t, 200, rest(t, s, "POST", "/moderation/feedback", a.Token, map[string]any{"title": "T", "description": "D"}).Status)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/feedback", a.Token, map[string]any{"title": "T"}).Status)
	require.Len(t, s.Feedback(), 1)
	require.Equal(t, "alice T D", s.Feedback()[0].User+" "+s.Feedback()[0].Title+" "+s.Feedback()[0].Description)

	report := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`}
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/report", a.Token, report).Status)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", b.Token, report).Status, "somebody else's name")
	for k, v := range map[string]any{"to": "bob", "chatType": "", "data": "[]"} {
		bad := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`}
		bad[k] = v
		require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", a.Token, bad).Status, k)
	}
	require.Len(t, s.Reports(), 1)
	require.Equal(t, `[{"msgId":"1"}]`, s.Reports()[0].Data)

	require.Equal(t, 400, rest(t, s, "POST", "/users/deleteMyAccount", a.Token, map[string]any{"reason": ""}).Status)
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", a.Token, map[string]any{"reason": "R", "feedback": ""}).Status)
	require.Equal(t, 401, rest(t, s, "GET", "/users/config", a.Token, nil).HTTP)
	require.Equal(t, []string{"bob"}, s.Users())
	require.Len(t, s.Deleted(), 1)
	require.Equal(t, "R", s.Deleted()[0].Reason)
	require.Equal(t, 204, rest(t, s, "GET", "/contacts/vcard?userId=alice", b.Token, nil).Status)
	require.Zero(t, s.Profile("alice"))
	again := register(t, s, "alice")
	require.False(t, again.IsExisting)
	require.NotEqual(t, a.Password, again.Password)
}

func TestCORS(t *testing.T) {
	s := trial(t)
	c := httpClient(t, s)
	for _, url := range []string{
		s.URL() + "/login", s.URL() + "/users/config", s.URL() + "/media/", s.URL() + "/media/upload", s.ConfigURL(),
		s.SignalURL() + "/storage/x/0?sig=1", s.URL() + "/no/such/path",
	} {
		req, err := http.NewRequest("OPTIONS", url, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://page.example")
		req.Header.Set("Access-Control-Request-Method", "PUT")
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 204, resp.StatusCode, url)
		require.Equal(t, "https://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "authorization")
		require.Contains(t, resp.Header.Get("Access-Control-Allow-Methods"), "PUT")
	}
	// The answers themselves too, errors among them.
	req, err := http.NewRequest("GET", s.URL()+"/users/config", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://page.example")
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "https://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
}

func TestRequestsAreKeptOpened(t *testing.T) {
	s := New(t)
	c := register(t, s, "alice")
	rest(t, s, "POST", "/login", "", map[string]any{"username": "alice", "password": wirePassword(s, c.Password, time.UnixMilli(time.Now().UnixMilli())), "type": "web"})
	rest(t, s, "GET", "/users/config", c.Token, nil)
	got := s.Requests()
	require.Len(t, got, 3)
	require.Equal(t, "register", got[0].Path)
	require.Contains(t, got[0].Body, `"userIdentifier":"alice"`)
	var login struct {
		Password struct{ Password string }
	}
	require.NoError(t, json.Unmarshal([]byte(got[1].Body), &login))
	require.Equal(t, c.Password, login.Password.Password)
	require.Equal(t, "GET users/config alice", got[2].Method+" "+got[2].Path+" "+got[2].User)
	require.Equal(t, c.Token, got[2].Header.Get("Authorization"))
}

func TestFailNext(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	s.FailNext("contacts/vcard", 500, "boom")
	s.FailNext("contacts/vcard", 429, "slow down")
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status, "another operation")
	e := rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil)
	require.Equal(t, envelope{HTTP: 200, Status: 500, Message: "boom"}, e)
	e = rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil)
	require.Equal(t, envelope{HTTP: 429, Status: 429, Message: "slow down"}, e)
	require.Equal(t, 200, rest(t, s, "GET", "/contacts/vcard?userId=alice", c.Token, nil).Status)
	s.FailNext("storage", 500, "boom")
	s.FailNext("media", 404, "gone")
	e = rest(t, s, "GET", s.SignalURL()+"/storage/x", "", nil)
	require.Equal(t, envelope{HTTP: 500, Status: 500, Message: "boom"}, e)
	e = rest(t, s, "GET", "/media/x.png", c.Token, nil)
	require.Equal(t, envelope{HTTP: 404, Status: 404, Message: "gone"}, e)
	s.FailNext("login", 503, "x")
	s.ClearFaults()
	require.Equal(t, 400, rest(t, s, "POST", "/login", "", map[string]any{"type": "web"}).Status)
}

func TestRESTBodiesAreBounded(t *testing.T) {
	s := trial(t)
	e := rest(t, s, "POST", "/login", "", strings.Repeat(" ", maxBody+1))
	require.Equal(t, 413, e.HTTP)
	e = rest(t, s, "POST", "/login", "", strings.Repeat("[", maxBody/2))
	require.Equal(t, 400, e.Status)
	// Whatever the request says of itself.
	for _, r := range []struct{ method, url, kind string }{
		{"GET", s.ConfigURL(), "application/json"},
		{"DELETE", s.ConfigURL(), ""},
		{"POST", s.URL() + "/login", "multipart/form-data; boundary=x"},
		{"POST", s.URL() + "/media/upload", "multipart/form-data; boundary=x"},
		{"GET", s.URL() + "/users/config", "text/plain"},
	} {
		req, err := http.NewRequest(r.method, r.url, strings.NewReader(strings.Repeat(" ", maxBody+1)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", r.kind)
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 413, resp.StatusCode, "%v", r)
	}
	resp, err := httpClient(t, s).Get(s.URL() + "/nothing/here")
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
	require.True(t, json.Valid(raw))
}

func TestMappedNames(t *testing.T) {
	s := trial(t)
	for host, want := range map[string]string{"api.mirrorfly.test": "443", "api.mirrorfly.test:8443": "8443", s.httpAddr(): port(s.httpAddr())} {
		body := `{"deviceType":"web","deviceId":"5","licenseKey":"` + s.LicenseKey() + `","userIdentifier":"alice","forceRegister":true}`
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

// GET /users/blockedby has pages, and survives whatever is asked for.
func TestBlockedByPages(t *testing.T) {
	s := New(t)
	for _, id := range []string{"alice", "bob", "carol", "dave"} {
		_, err := s.store.register(id, true, nil, 0)
		require.NoError(t, err)
	}
	for _, id := range []string{"bob", "carol", "dave"} {
		_, err := s.store.block(id, []string{s.jid("alice")})
		require.NoError(t, err)
	}
	for query, want := range map[string]int{
		"": 3, "page=1&size=2": 2, "page=2&size=2": 1, "page=3&size=2": 0, "page=9223372036854775807&size=100": 0, "page=-1&size=x": 3,
	} {
		r := s.usersBlockedBy(&call{req: httptest.NewRequest(http.MethodGet, "/users/blockedby?"+query, nil), user: "alice"})
		data := r.Data.(map[string]any)
		require.Len(t, data["users"], want, query)
		require.Equal(t, 3, data["totalRecords"])
	}
}
