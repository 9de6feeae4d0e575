package rest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

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
