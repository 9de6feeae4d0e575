package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

func golden(t *testing.T, mode string) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/bodies.json")
	require.NoError(t, err)
	var file map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &file))
	var bodies map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(file[mode], &bodies))
	return bodies
}

var uuidForm = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// comparable replaces what differs from call to call and opens what is sealed.
func comparable(t *testing.T, body []byte) string {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal(body, &fields), "%s", body)
	for _, name := range []string{"registerData", "password"} {
		sealed, ok := fields[name].(string)
		if !ok {
			continue
		}
		if opened, err := seal.OpenStrict(sealed, seal.Triple(license), seal.ConstIV); err == nil {
			fields[name] = json.RawMessage(opened)
		}
	}
	return uuidForm.ReplaceAllString(toJSON(t, fields), "$$UUID")
}

func TestBodies(t *testing.T) {
	h := handlers{}
	for _, path := range []string{"/sandbox/register", "/register", "/login"} {
		h["POST "+path] = answer(200, `{"status":200,"data":{"username":"u","password":"p","token":"t"}}`)
	}
	for _, path := range []string{
		"/moderation/feedback", "/moderation/report", "/users/deleteMyAccount", "/media/upload/commit",
	} {
		h["POST "+path] = answer(200, plainOK)
	}
	h["POST /media/upload"] = answer(
		200,
		`{"status":200,"data":{"uploadUrls":["http://a/1","http://a/2"],"fileToken":"tok","storage":"AWS",`+
			`"uploadId":"u1"}}`,
	)
	s := serve(t, h)
	ctx := t.Context()

	trial := connect(t, s.URL)
	meta := map[string]any{"s": "<é>", "n": 1}
	_, err := trial.Register(
		ctx, Registration{UserIdentifier: "alice_1", DeviceID: uuid.New(), Force: true, Metadata: meta},
	)
	require.NoError(t, err)
	trial.login(t)
	require.NoError(t, trial.Feedback(ctx, "Great <app>", `with "quotes" & more`))
	require.NoError(t, trial.Report(ctx, "alice_1", "bob@xmpp.example.com", "chat", `[{"msgId":"1"}]`))
	require.NoError(t, trial.DeleteAccount(ctx, "moving", ""))
	up, err := trial.StartUpload(
		ctx,
		UploadStart{ContentType: "image/png", Extension: "png", Parts: 2, MessageID: "m1", ToUser: "bob", Type: "chat"},
	)
	require.NoError(t, err)
	require.NoError(t, trial.CommitUpload(ctx, up, []string{`"e1"`, `"e2"`}))
	compareBodies(t, s, "trial")

	licensed := connect(t, s.URL, func(c *Config) { c.Trial = false })
	_, err = licensed.Register(ctx, Registration{UserIdentifier: "alice_1", DeviceID: uuid.New()})
	require.NoError(t, err)
	wire, err := licensed.WirePassword(ctx, "raw secret")
	require.NoError(t, err)
	require.NoError(t, licensed.Login(ctx, "alice_1", "raw secret", wire))
	compareBodies(t, s, "licensed")
}

func compareBodies(t *testing.T, s *service, mode string) {
	t.Helper()
	bodies := golden(t, mode)
	for name, want := range bodies {
		require.JSONEq(t, string(want), comparable(t, s.body(name)), name)
		s.mu.Lock()
		delete(s.sent, name)
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.sent, "bodies that no golden file has")
}

func TestHeaders(t *testing.T) {
	s := serve(t, handlers{
		"POST /sandbox/register":    answer(200, `{"status":200,"data":{"username":"u","password":"p"}}`),
		"POST /login":               answer(200, loginOK),
		"POST /moderation/feedback": answer(200, plainOK),
	})
	c := connect(t, s.URL+"///")
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.NotContains(t, s.header("POST /moderation/feedback"), "Authorization", "no header without a token")
	c.login(t)
	c.login(t)
	_, err := c.Register(t.Context(), Registration{UserIdentifier: "u"})
	require.NoError(t, err)
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))

	require.NotContains(t, s.header("POST /login"), "Authorization")
	require.NotContains(t, s.header("POST /sandbox/register"), "Authorization")
	h := s.header("POST /moderation/feedback")
	require.Equal(t, "tok-1", h.Get("Authorization"), "raw, no Bearer")
	require.Equal(t, "application/json", h.Get("Content-Type"))
	require.Equal(t, "test/1", h.Get("User-Agent"))

	c.Forget()
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.NotContains(t, s.header("POST /moderation/feedback"), "Authorization")
}

func TestRegisterReplies(t *testing.T) {
	account := `{"username":"u1","password":"p1","isProfileUpdated":1,"config":{"xmppHost":"h","xmppPortWeb":443,` +
		`"xmppPort":"5222","ivProfile":"iv","block":"0","report":false,"groupChat":null,"starMessage":true}}`
	sealed := seal.Seal(account, seal.Triple(license), seal.ConstIV)
	features := AllFeatures()
	features.Block, features.Report = false, false
	want := &Account{
		Username: "u1", Password: "p1", IsProfileUpdated: true, Trial: true,
		Service: Service{XMPPHost: "h", XMPPPortWeb: "443", XMPPPort: "5222", IVProfile: "iv", Features: features},
	}
	bare := &Account{Username: "u1", Password: "p1", Trial: true, Service: Service{Features: AllFeatures()}}
	cases := []struct {
		name, data string
		want       *Account
	}{
		{"sealed string", toJSON(t, sealed), want},
		{"plain JSON string", toJSON(t, account), want},
		{"object", account, want},
		{"no config", `{"username":"u1","password":"p1","isProfileUpdated":"0"}`, bare},
		{"config of the wrong type", `{"username":"u1","password":"p1","config":[1]}`, bare},
		{
			"config fields of the wrong type",
			`{"username":"u1","password":"p1","config":{"xmppHost":{},"iv":null,"xmppPort":true}}`, bare,
		},
		{
			"numeric user name", `{"username":17,"password":"p1"}`,
			&Account{Username: "17", Password: "p1", Trial: true, Service: Service{Features: AllFeatures()}},
		},
		{"no password", `{"username":"u1"}`, nil},
		{"sealed with another key", toJSON(t, seal.Seal(account, "other", seal.ConstIV)), nil},
		{"text", `"nonsense"`, nil},
		{"empty string", `""`, nil},
		{"null", `null`, nil},
		{"array", `[]`, nil},
		{"number", `5`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /sandbox/register": answer(200, `{"status":200,"data":`+c.data+`}`)})
			got, err := connect(t, s.URL).Register(t.Context(), Registration{UserIdentifier: "u"})
			if c.want == nil {
				require.Equal(t, 500, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// The documentation of the service prints the answer of a trial registration without its envelope.
func TestRegisterWithoutTheEnvelope(t *testing.T) {
	const account = `{"token":"t","username":"u1","password":"p1","isExisting":false,"isProfileUpdated":1,` +
		`"config":{"xmppHost":"h"}}`
	want := &Account{
		Username: "u1", Password: "p1", IsProfileUpdated: true, Trial: true,
		Service: Service{XMPPHost: "h", Features: AllFeatures()},
	}
	for name, tc := range map[string]struct {
		code int
		body string
		want *Account
	}{
		"bare":                      {200, account, want},
		"behind a byte order mark":  {200, "\uFEFF" + account, want},
		"another code":              {201, account, nil},
		"refused":                   {400, account, nil},
		"neither":                   {200, `{"message":"ok"}`, nil},
		"empty":                     {200, ``, nil},
		"in a list":                 {200, `[` + account + `]`, nil},
		"status and no data":        {200, `{"status":200,"username":"u1","password":"p1"}`, nil},
		"the envelope has the word": {200, `{"username":"x","password":"x","data":` + account + `}`, want},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handlers{"POST /sandbox/register": answer(tc.code, tc.body)})
			got, err := connect(t, s.URL).Register(t.Context(), Registration{UserIdentifier: "u"})
			if tc.want == nil {
				fail(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
	s := serve(t, handlers{"POST /login": answer(200, `{"token":"tok-1"}`)})
	// Only a registration is documented so.
	fail(t, connect(t, s.URL).Login(t.Context(), "u", "p", "p"))
}

// An object without fields is a list without elements to some servers: it is no data, which matters
// only where there must be some.
func TestEmptyListIsNoData(t *testing.T) {
	empty := answer(200, "\uFEFF"+`{"status":200,"message":"ok","data":[ ]}`)
	s := serve(t, handlers{
		"POST /moderation/feedback": empty, "POST /login": empty, "GET /contacts/vcard": empty,
		"GET /users/config": empty, "POST /sandbox/register": empty,
	})
	c := connect(t, s.URL)
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.ErrorContains(t, c.Login(t.Context(), "u", "p", "p"), "no usable token")
	_, err := c.Profile(t.Context(), "bob")
	require.ErrorContains(t, err, "no profile")
	_, err = c.ServiceConfig(t.Context(), "u")
	require.ErrorContains(t, err, "no configuration")
	_, err = c.Register(t.Context(), Registration{UserIdentifier: "u"})
	require.ErrorContains(t, err, "an account without user name or password")
}

// Sealed data may begin with a byte order mark, too.
func TestByteOrderMarkInSealedData(t *testing.T) {
	sealed := seal.Seal("\uFEFF"+`{"username":"u1","password":"p1"}`, seal.Triple(license), seal.ConstIV)
	s := serve(t, handlers{"POST /sandbox/register": answer(200, `{"status":200,"data":`+toJSON(t, sealed)+`}`)})
	got, err := connect(t, s.URL).Register(t.Context(), Registration{UserIdentifier: "u"})
	require.NoError(t, err)
	require.Equal(t, "u1", got.Username)
}

func TestRegisterMaxSessions(t *testing.T) {
	s := serve(t, handlers{"POST /sandbox/register": sequence(
		answer(200, `{"status":400,"message":"You have reached maximum sessions allowed."}`),
		answer(200, `{"status":400,"message":"something else"}`),
	)})
	c := connect(t, s.URL)
	_, err := c.Register(t.Context(), Registration{UserIdentifier: "u"})
	e := fail(t, err)
	require.Equal(t, 405, e.Status)
	require.Equal(t, "You have reached maximum sessions allowed.", e.Message)
	_, err = c.Register(t.Context(), Registration{UserIdentifier: "u"})
	require.Equal(t, 400, fail(t, err).Status)
}

func TestRegisterUnwritableMetadata(t *testing.T) {
	for _, trial := range []bool{true, false} {
		c := connect(t, "http://127.0.0.1:1", func(cfg *Config) { cfg.Trial = trial })
		_, err := c.Register(t.Context(), Registration{UserIdentifier: "u", Metadata: map[string]any{"x": func() {}}})
		require.Equal(t, 400, fail(t, err).Status)
	}
}

func TestWirePassword(t *testing.T) {
	c := connect(t, "http://127.0.0.1:1")
	wire, err := c.WirePassword(t.Context(), "p@ss <w>&'x'")
	require.NoError(t, err)
	require.Equal(t, "p@ss <w>&'x'", wire)

	for _, zone := range []struct {
		name string
		east int
		want string
	}{
		{"UTC", 0, `{"password":"p@ss <w>&'x'","currentTimestamp":1700000000000}`},
		{"IST", 19800, `{"password":"p@ss <w>&'x'","currentTimestamp":1699980200000}`},
		{"EST", -18000, `{"password":"p@ss <w>&'x'","currentTimestamp":1700018000000}`},
	} {
		c := connect(t, "http://127.0.0.1:1", func(cfg *Config) {
			cfg.Trial = false
			cfg.Now = func() time.Time { return time.UnixMilli(1700000000000).In(time.FixedZone(zone.name, zone.east)) }
		})
		wire, err := c.WirePassword(t.Context(), "p@ss <w>&'x'")
		require.NoError(t, err)
		got, err := seal.OpenStrict(wire, seal.Triple(license), seal.ConstIV)
		require.NoError(t, err)
		require.Equal(t, zone.want, got)
	}
}

// What cannot be sealed must not leave in the clear.
func TestNothingLeavesUnsealed(t *testing.T) {
	s := serve(t, handlers{})
	c := connect(t, s.URL, func(cfg *Config) { cfg.Trial, cfg.LicenseKey = false, "" })
	_, err := c.WirePassword(t.Context(), "secret")
	require.NotContains(t, fail(t, err).Error(), "secret")
	_, err = c.Register(t.Context(), Registration{UserIdentifier: "u"})
	fail(t, err)
	require.Empty(t, s.calls)
}

func TestServiceConfig(t *testing.T) {
	config := `{"xmppHost":"h","xmppPortWeb":"443","iv":"0123456789abcdef","ivProfile":"fedcba9876543210",` +
		`"signalServerDomain":"s","translation":0}`
	features := AllFeatures()
	features.Translation = false
	want := &Service{
		XMPPHost: "h", XMPPPortWeb: "443", IV: "0123456789abcdef", IVProfile: "fedcba9876543210", SignalServer: "s",
		Features: features,
	}
	cases := []struct {
		name, data string
		want       *Service
	}{
		{"sealed", toJSON(t, seal.Seal(config, seal.Triple("alice_1"), seal.ConstIV)), want},
		{"plain string", toJSON(t, config), want},
		{"object", config, want},
		{"other user's key", toJSON(t, seal.Seal(config, seal.Triple("bob"), seal.ConstIV)), nil},
		{"list", `[1]`, nil},
		{"null", `null`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t,
				handlers{
					"POST /login":       answer(200, loginOK),
					"GET /users/config": answer(200, `{"status":200,"data":`+c.data+`}`),
				},
			)
			client := connect(t, s.URL)
			client.login(t)
			got, err := client.ServiceConfig(t.Context(), "alice_1")
			require.Equal(t, "tok-1", s.header("GET /users/config").Get("Authorization"))
			if c.want == nil {
				require.Equal(t, 500, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestProfile(t *testing.T) {
	cases := []struct {
		name, body string
		code       int
		want       *Profile
		status     int
	}{
		{
			"full",
			`{"status":200,"data":{"userId":"b","userJid":"b@h","nickName":"sealed=","email":"e",` +
				`"mobileNumber":15551,"status":"hi","image":"i","thumbImage":"t","fromUser":"b","isAdminBlocked":1}}`,
			200,
			&Profile{
				UserID: "b", UserJID: "b@h", NickName: "sealed=", Email: "e", MobileNumber: "15551", Status: "hi",
				Image: "i", ThumbImage: "t", IsAdminBlocked: true,
			},
			0,
		},
		{
			"wrong types",
			`{"status":200,"data":{"nickName":null,"email":[1],"image":{"a":1},"isAdminBlocked":"yes","status":false}}`,
			200, &Profile{}, 0,
		},
		{"flag as text", `{"status":"200","data":{"isAdminBlocked":"1"}}`, 200, &Profile{IsAdminBlocked: true}, 0},
		{"flag as bool", `{"status":200.0,"data":{"isAdminBlocked":true}}`, 200, &Profile{IsAdminBlocked: true}, 0},
		{"flag as text zero", `{"status":200,"data":{"isAdminBlocked":"0"}}`, 200, &Profile{}, 0},
		{"not there, in the body", `{"status":204,"message":"no such user"}`, 200, nil, 204},
		{"not there, HTTP", ``, 204, nil, 204},
		{"no data", `{"status":200}`, 200, nil, 500},
		{"null", `{"status":200,"data":null}`, 200, nil, 500},
		{"text", `{"status":200,"data":"x"}`, 200, nil, 500},
		{"list", `{"status":200,"data":[{}]}`, 200, nil, 500},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"GET /contacts/vcard": func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "userId=b%20%26c%2Fd%3F", r.URL.RawQuery)
				answer(c.code, c.body)(w, r)
			}})
			got, err := connect(t, s.URL).Profile(t.Context(), "b &c/d?")
			if c.want == nil {
				require.Equal(t, c.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestLoginToken(t *testing.T) {
	for body, good := range map[string]bool{
		loginOK:                                     true,
		`{"status":200,"data":{"token":12}}`:        true,
		`{"status":200,"data":{"token":""}}`:        false,
		`{"status":200,"data":{"token":"a\r\nb"}}`:  false,
		`{"status":200,"data":{"token":{"a":"b"}}}`: false,
		`{"status":200,"data":{}}`:                  false,
		`{"status":200,"data":"tok"}`:               false,
		`{"status":200}`:                            false,
	} {
		s := serve(t, handlers{"POST /login": answer(200, body)})
		err := connect(t, s.URL).Login(t.Context(), "u", "p", "p")
		if good {
			require.NoError(t, err, body)
		} else {
			require.Equal(t, 500, fail(t, err).Status, body)
		}
	}
}

// A list that does not end is given up.
func TestBlockedByWithoutEnd(t *testing.T) {
	page := 0
	s := serve(t, handlers{
		"POST /login": answer(200, `{"status":200,"data":{"token":"tok-1"}}`),
		"GET /users/blockedby": func(w http.ResponseWriter, r *http.Request) {
			page++ // one request at a time
			const next = `{"status":200,"data":{"totalPages":1000000,"users":[{"userId":"user%d"}]}}`
			answer(200, fmt.Sprintf(next, page))(w, r)
		},
	})
	c := connect(t, s.URL)
	c.login(t)
	_, err := c.BlockedBy(t.Context())
	require.ErrorContains(t, err, "more than 1000 pages")
	require.Equal(t, maxBlockedByPages, page)
}
