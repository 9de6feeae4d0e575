package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestShown(t *testing.T) {
	rest := sdktest.Traffic{Kind: "rest", Method: "POST", Path: "sandbox/register"}
	request := func(text string) sdktest.Traffic { r := rest; r.Text = text; return r }
	answer := func(status int, contentType string, size int64, text string) sdktest.Traffic {
		a := request(text)
		a.ToClient, a.Status, a.ContentType, a.Size = true, status, contentType, size
		return a
	}
	xmpp := func(user string, toClient bool, text string) sdktest.Traffic {
		return sdktest.Traffic{Kind: "xmpp", User: user, ToClient: toClient, Text: text}
	}
	auth := `<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">%s</auth>`
	challenge := `<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><a>%s</a></challenge>`
	logout := `<message from="x.test"><logout a:socket_id="%s" socket_id="%s"/>` +
		`<body>socket_id="no secret"</body></message>`
	success := `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`
	for _, c := range []struct {
		told sdktest.Traffic
		want string
	}{
		{request(""), ""},
		{request(`{"userIdentifier":"alice","licenseKey":"KEY"}`), `{"licenseKey":"•••","userIdentifier":"alice"}`},
		{request(`{"data":"U2VhbGVk","list":[{"Password":1}]}`), `{"data":"•••","list":[{"Password":"•••"}]}`},
		{request(`{"data":"[{\"msgId\":1}]","a":"<&>"}`), `{"a":"<&>","data":"[{\"msgId\":1}]"}`},
		{request(`{"password":"secret`), "(19 bytes that are no JSON)"},
		{answer(200, "application/json", 9, `{"sig":1}`), `{"sig":"•••"}`},
		{answer(200, "text/html", 56, ""), "(56 bytes of text/html)"},
		{answer(200, "application/json", 2<<20, ""), "(2097152 bytes of application/json)"},
		{answer(204, "", 0, ""), ""},
		{answer(0, "", 0, ""), "(no answer)"},
		{xmpp("", false, fmt.Sprintf(auth, "AGFsaWNl")), fmt.Sprintf(auth, "•••")},
		{xmpp("", false, `<unknown><a>secret</a></unknown>`), `<unknown><a>•••</a></unknown>`},
		{xmpp("", false, `<iq><bind token="1"/></iq>`), `<iq><bind token="•••"/></iq>`},
		{xmpp("", false, `<iq>`), "(4 bytes that are no XML)"},
		{xmpp("", true, fmt.Sprintf(challenge, "cj1h")), fmt.Sprintf(challenge, "•••")},
		{xmpp("", true, success), success},
		{xmpp("alice", true, fmt.Sprintf(logout, "1", "2")), fmt.Sprintf(logout, "•••", "•••")},
		{xmpp("alice", true, `<a socket_id='x="1"' b='>'/>`), `<a socket_id="•••" b='>'/>`},
		{xmpp("alice", false, `<message><body>hello</body></message>`), `<message><body>hello</body></message>`},
		{xmpp("alice", true, `<iq type='result'<<<`), `<iq type='result'<<<`},
		{sdktest.Traffic{Kind: "signal", ToClient: true, Text: `["id","secret"]`}, `["id", "•••"]`},
		{sdktest.Traffic{Kind: "signal", ToClient: true, Text: `[7,"secret"]`}, "•••"},
		{sdktest.Traffic{Kind: "signal", Text: `["loginStatus","{}"]`}, `["loginStatus","{}"]`},
		{sdktest.Traffic{Kind: "session", Text: "connected"}, "connected"},
	} {
		require.Equal(t, c.want, shown(c.told).Text, c.told.Text)
	}
	told := sdktest.Traffic{
		Time: time.Unix(1, 0), Kind: "rest", ToClient: true, User: "alice", Resource: "Web-1",
		Method: "GET", Path: "contacts/vcard", Query: "userId=alice%26&licenseKey=KEY&sig&bad=%zz", Status: 200,
	}
	require.Equal(t, traffic{
		Time: time.Unix(1, 0), Kind: "rest", ToClient: true, User: "alice", Resource: "Web-1",
		Method: "GET", Path: "contacts/vcard", Query: "userId=alice&&licenseKey=•••&sig&bad=%zz", Status: 200,
	}, shown(told))
}

// Long texts are cut, between characters.
func TestShownIsBounded(t *testing.T) {
	got := shown(sdktest.Traffic{Kind: "session", Text: "x" + strings.Repeat("é", maxText)})
	require.Equal(t, "x"+strings.Repeat("é", maxText/2-1), got.Text)
	require.Equal(t, 2*maxText+1-len(got.Text), got.Left)
}

// secretText finds what clients send to be let in.
var secretText = regexp.MustCompile(`sig=([0-9a-f]+)|licenseKey=([^&]+)|socket_id="([^"]+)`)

// Nothing with which somebody could log in is shown, whatever clients do.
func TestSecretsAreHidden(t *testing.T) {
	for _, trial := range []bool{true, false} {
		for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
			t.Run(fmt.Sprintf("trial %t %s", trial, transport), func(t *testing.T) {
				l := &log{told: make(chan struct{})}
				srv := sdktest.New(t, sdktest.Options{Trial: trial, OnTraffic: l.record})
				secrets := useSecrets(t, srv, transport, trial)
				for _, r := range srv.Requests() { // what clients have sent to be let in
					secrets = append(secrets, r.Header.Get("Authorization"))
					for _, m := range secretText.FindAllStringSubmatch(r.Query+r.Stanza, -1) {
						secrets = append(secrets, m[1:]...)
					}
				}
				patient.Receive(t, l.told)
				text := l.String()
				for _, kind := range []string{
					`"rest"`, `"xmpp"`, `"signal"`, `"session"`, "storage/", "loginStatus", `[\"response\", \"•••\"]`,
				} {
					require.Contains(t, text, kind)
				}
				for _, secret := range secrets {
					if secret != "" {
						require.NotContains(t, text, secret)
					}
				}
			})
		}
	}
}

// log is what was shown, as JSON.
type log struct {
	mu   sync.Mutex
	text strings.Builder
	// closed when the phone's login is shown, which comes after the phone has it
	told chan struct{}
}

func (l *log) record(t sdktest.Traffic) {
	raw, err := json.Marshal(shown(t))
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(&l.text, string(raw), err)
	if strings.Contains(string(raw), "loginStatus") {
		close(l.told)
	}
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// useSecrets does all that needs passwords and tokens, and returns those that it knows.
func useSecrets(t *testing.T, srv *sdktest.Server, transport sdk.Transport, trial bool) (secrets []string) {
	t.Helper()
	ctx := t.Context()
	client := func() *sdk.Client {
		cfg := srv.Config()
		cfg.Transport = transport
		c, err := sdk.New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	mechanisms := [][]string{{"PLAIN"}}
	if trial {
		mechanisms = append(mechanisms, []string{"SCRAM-SHA-1"}, []string{"SCRAM-SHA-256"})
	}
	a := client()
	alice, err := a.Register(ctx, "alice")
	require.NoError(t, err)
	for _, names := range mechanisms {
		srv.SetMechanisms(names...)
		_, err = a.Connect(ctx, alice.Data.Username, alice.Data.Password)
		require.NoError(t, err)
		srv.ExpireTokens()
		_, err = a.SetUserProfile(ctx, sdk.ProfileUpdate{
			Name: "Alice", Email: "a@example.com",
			Image: sdk.ImageReader("a.png", "image/png", strings.NewReader("png"), 3),
		})
		require.NoError(t, err)
		_, err = a.Logout(ctx)
		require.NoError(t, err)
		alice, err = a.Register(ctx, "alice")
		require.NoError(t, err)
	}
	_, err = a.Connect(ctx, alice.Data.Username, alice.Data.Password)
	require.NoError(t, err)
	big := bytes.Repeat([]byte("x"), 11<<20)
	sent, err := a.UploadMedia(ctx, sdk.MediaUpload{
		To: "bob@" + srv.Domain(), ChatType: sdk.ChatTypeChat, MessageID: "m",
		Name: "x.bin", ContentType: "application/octet-stream", Reader: bytes.NewReader(big), Size: int64(len(big)),
	})
	require.NoError(t, err)
	_, err = a.DownloadMedia(ctx, sent.Data, io.Discard)
	require.NoError(t, err)

	q := client()
	login, err := q.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: srv.SignalURL()})
	require.NoError(t, err)
	code := patient.Receive(t, login.Codes())
	require.NoError(t, srv.Phone("bob").Scan(ctx, code.Content()))
	bob, err := login.Wait(ctx)
	require.NoError(t, err)
	_, err = q.Logout(ctx)
	require.NoError(t, err)
	return append(secrets, alice.Data.Password, bob.Data.Password, srv.LicenseKey(), code.Content())
}
