package rest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

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
	// Only a registration is documented like this.
	fail(t, connect(t, s.URL).Login(t.Context(), "u", "p", "p"))
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
	require.Equal(t, KindMaxSessions, e.Kind())
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
