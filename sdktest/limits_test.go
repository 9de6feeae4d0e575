package sdktest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

func TestIdentifierLimit(t *testing.T) {
	s := trial(t)
	post := func(id string) int {
		return rest(t, s, http.MethodPost, "/sandbox/register", "", map[string]any{
			"deviceType": "web", "deviceId": "1", "licenseKey": s.LicenseKey(), "userIdentifier": id,
		}).Status
	}
	require.Equal(t, 200, post(strings.Repeat("a", 191)))
	require.Equal(t, 400, post(strings.Repeat("a", 192)))
}

// The limits count characters, in sealed fields those of the opened text.
func TestProfileLimits(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	_, iv := s.store.ivs()
	sealed := func(text string) string { return seal.Seal(text, "alice", iv) }
	plain := func(text string) string { return text }
	for _, f := range []struct {
		name string
		most int
		wire func(string) string
		set  func(*Profile, string)
	}{
		{"nickName", 30, sealed, func(p *Profile, text string) { p.NickName = text }},
		{"mobileNumber", 15, sealed, func(p *Profile, text string) { p.MobileNumber = text }},
		{"image", 2048, plain, func(p *Profile, text string) { p.Image = text }},
		{"thumbImage", 2048, plain, func(p *Profile, text string) { p.ThumbImage = text }},
	} {
		set := func(text string) (reply string, err error) {
			var p Profile
			f.set(&p, text)
			vCard := `<vCard xmlns="vcard-temp"><` + f.name + `>` + f.wire(text) + `</` + f.name + `></vCard>`
			return a.ask("set", "", vCard), s.SetProfile(t.Context(), "alice", p)
		}
		reply, err := set(strings.Repeat("ü", f.most))
		require.Contains(t, reply, `type="result"`, f.name)
		require.NoError(t, err)
		reply, err = set(strings.Repeat("ü", f.most+1))
		require.Contains(t, reply, f.name+" has more than")
		require.Contains(t, reply, "<not-acceptable ")
		require.ErrorContains(t, err, f.name+" has more than")
	}
}
