package latency_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/browser"
)

// jssdk is where the official JavaScript SDK is installed, and the driver that opens pages with it.
const jssdk = "../jssdk"

func startBrowser(t *testing.T, svc *service) *browser.Browser {
	t.Helper()
	browser.NeedPackage(t, jssdk, "mirrorfly-sdk")
	rules := ""
	for name, near := range svc.near {
		rules += "MAP " + name + " " + near + ", "
	}
	return browser.Start(t, browser.Options{
		Driver: jssdk + "/driver.mjs",
		Flags: []string{
			"--ignore-certificate-errors", "--host-resolver-rules=" + rules + "EXCLUDE localhost, MAP * ~NOTFOUND",
		},
	})
}

// visit is what one page measured, in milliseconds.
type visit struct {
	Username, Password string
	Connect            float64
	LastSeen, Profile  []float64
}

// visitPage runs in a page that is new: it registers, unless it has credentials, connects, and
// makes some calls one after the other. Connecting ends when the listener is told so.
const visitPage = `(async ({ license, api, register, username, password, profile, calls }) => {
	const must = (result) => { if (result.statusCode !== 200) throw new Error(JSON.stringify(result)); return result; };
	const timed = async (f) => { const start = performance.now(); await f(); return performance.now() - start; };
	let told;
	const connected = new Promise((done) => { told = done; });
	const connectionListener = ({ status }) => { if (status === "CONNECTED") told(); };
	const sdk = window.MirrorFly;
	must(await sdk.initializeSDK({ licenseKey: license, apiBaseUrl: api, callbackListeners: { connectionListener } }));
	if (register) ({ username, password } = must(await sdk.register(register)).data);
	const connect = await timed(async () => { must(await sdk.connect(username, password)); await connected; });
	const { userJid } = must(await sdk.getCurrentUserJid());
	must(await sdk.getLastSeen(userJid));
	const lastSeen = [], profiles = [];
	for (let i = 0; i < calls; i++) {
		lastSeen.push(await timed(async () => must(await sdk.getLastSeen(userJid))));
		profiles.push(await timed(async () => must(await sdk.getUserProfile(profile))));
	}
	return { username, password, connect, lastSeen, profile: profiles };
})`

// visit opens a page for what, which says whom to register or who is to connect.
func (s *service) visit(t *testing.T, b *browser.Browser, what browser.Params) (v visit) {
	t.Helper()
	s.pages++
	page := fmt.Sprint("page-", s.pages)
	b.Do(t, "openApp", browser.Params{"page": page}, nil)
	what["license"], what["api"] = s.LicenseKey(), apiBase
	options, err := json.Marshal(what)
	require.NoError(t, err)
	b.Do(t, "evaluate", browser.Params{"page": page, "code": visitPage + "(" + string(options) + ")"}, &v)
	b.Do(t, "close", browser.Params{"page": page}, nil)
	return v
}
