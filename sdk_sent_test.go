package sdk_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/canonical"
	"github.com/mirrorfly-go/sdk/sdktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sent is a request as a golden file has it.
type sent struct {
	Call   string `json:"call"`             // the method of this library
	REST   string `json:"rest,omitempty"`   // method, path and query
	Body   any    `json:"body,omitempty"`   // JSON body, sealed parts opened
	Stanza string `json:"stanza,omitempty"` // attributes sorted
	Signal string `json:"signal,omitempty"` // signalling event
}

// Everything that the library sends after the XMPP handshake is in testdata/sent-*.json, call by
// call. (The handshake is in internal/xmpp/testdata.) go test -run TestEverythingSent -update
// writes the files.
func TestEverythingSent(t *testing.T) {
	for _, trial := range []bool{true, false} {
		name := map[bool]string{true: "trial", false: "licensed"}[trial]
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t, sdktest.Options{Trial: trial})
			cfg := srv.Config()
			cfg.APIBaseURL = ""
			r := &recorder{srv: srv}
			everyCall(t, r, newClient(t, cfg))
			got, err := json.MarshalIndent(append(r.all, r.answer, r.bye), "", "  ")
			require.NoError(t, err)
			file := filepath.Join("testdata", "sent-"+name+".json")
			if *update {
				require.NoError(t, os.WriteFile(file, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
		})
	}
}

// recorder attributes what the server saw to the calls.
type recorder struct {
	srv    *sdktest.Server
	seen   int
	all    []sent
	answer sent
	bye    sent
}

func (r *recorder) after(t *testing.T, call string, err error) {
	t.Helper()
	require.NoError(t, err, call)
	requests := r.srv.Requests()
	first := len(r.all)
	for _, q := range requests[r.seen:] {
		one := normal(t, call, q)
		switch { // what may be seen after the next request
		case strings.Contains(one.Stanza, `type="result"`):
			r.answer = one
			r.answer.Call = "answer to a push of the own block list"
		case strings.Contains(one.Stanza, `type="unavailable"`):
			r.bye = one
			r.bye.Call = "end of a session"
		default:
			r.all = append(r.all, one)
		}
	}
	// The three ways run beside each other: only REST keeps its order.
	slices.SortStableFunc(r.all[first:], func(a, b sent) int {
		return cmp.Compare(a.Signal+a.Stanza, b.Signal+b.Stanza)
	})
	r.seen = len(requests)
}

func everyCall(t *testing.T, r *recorder, alice *sdk.Client) {
	ctx, bob := t.Context(), "bob@"+r.srv.Domain()
	credentials, err := alice.Register(ctx, "alice", sdk.ForceRegister(false),
		sdk.RegisterMetadata(map[string]any{"plan": "gold"}))
	r.after(t, "Register", err)
	_, err = alice.Register(ctx, "bob")
	r.after(t, "Register", err)
	_, err = alice.Connect(ctx, credentials.Data.Username, credentials.Data.Password)
	require.NoError(t, err)
	_, err = alice.GetUsersIBlocked(ctx) // when it is answered the server has seen the presence too
	r.after(t, "Connect, GetUsersIBlocked", err)
	_, err = alice.GetUsersWhoBlockedMe(ctx)
	r.after(t, "GetUsersWhoBlockedMe", err)
	_, err = alice.GetUserProfile(ctx, bob)
	r.after(t, "GetUserProfile", err)
	_, err = alice.SetUserProfile(ctx, sdk.ProfileUpdate{
		Name: "Alice", Email: "alice@example.com", MobileNumber: "123", Status: `I'm <busy> & "away"`,
		Image: sdk.ImageURL("https://example.com/a.png"),
	})
	r.after(t, "SetUserProfile", err)
	_, err = alice.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "alice@example.com"})
	r.after(t, "SetUserProfile, all fields empty but the email", err)
	_, err = alice.SetUserProfile(ctx, sdk.ProfileUpdate{
		Email: "alice@example.com", Image: sdk.ImageReader("a.png", "image/png", strings.NewReader("png"), 3),
	})
	r.after(t, "SetUserProfile with a file", err)
	_, err = alice.GetLastSeen(ctx, bob)
	r.after(t, "GetLastSeen", err)
	_, err = alice.BlockUser(ctx, bob)
	r.after(t, "BlockUser", err)
	_, err = alice.UnblockUser(ctx, bob)
	r.after(t, "UnblockUser", err)
	_, err = alice.SendFeedback(ctx, "title", "description <&>")
	r.after(t, "SendFeedback", err)
	_, err = alice.ReportUserOrGroup(ctx, bob, sdk.ChatTypeChat, reported())
	r.after(t, "ReportUserOrGroup", err)
	sentMedia(t, r, alice, bob)
	r.srv.ExpireTokens()
	_, err = alice.GetUserProfile(ctx, bob)
	r.after(t, "GetUserProfile with an expired token", err)
	_, err = alice.Logout(ctx)
	r.after(t, "Logout", err)

	login, code := offerQR(t, r.srv, alice, sdk.QROptions{})
	require.NoError(t, r.srv.Phone("alice").Scan(ctx, code.Content()))
	_, err = login.Wait(ctx)
	require.NoError(t, err)
	_, err = alice.GetUsersIBlocked(ctx)
	r.after(t, "GenerateQRCode, GetUsersIBlocked", err)
	_, err = alice.Logout(ctx)
	r.after(t, "Logout of a QR session", err)
	_, err = alice.Connect(ctx, credentials.Data.Username, credentials.Data.Password)
	require.NoError(t, err)
	_, err = alice.GetUsersIBlocked(ctx)
	r.after(t, "Connect without Register, GetUsersIBlocked", err)
	_, err = alice.DeleteMyAccount(ctx, "reason", "")
	r.after(t, "DeleteMyAccount", err)
}

func sentMedia(t *testing.T, r *recorder, alice *sdk.Client, bob string) {
	for _, storage := range []string{"", "minio", "oracle"} {
		content := []byte("small")
		if storage != "" {
			r.srv.SetStorage(storage)
			content = make([]byte, 5<<20+1)
		}
		file, err := alice.UploadMedia(t.Context(), sdk.MediaUpload{
			To: bob, MessageID: "m1", Name: "a.txt", ContentType: "text/plain", Reader: bytes.NewReader(content),
			Size: int64(len(content)),
		})
		r.after(t, "UploadMedia "+storage, err)
		_, err = alice.DownloadMedia(t.Context(), file.Data, io.Discard)
		r.after(t, "DownloadMedia "+storage, err)
	}
}

// What differs from run to run, by what stands before it.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`(currentTimestamp\\*":)[0-9]+`), "${1}0"},
	{regexp.MustCompile(`licenseKey=[^&"]+`), "licenseKey=SEALED"},
	{regexp.MustCompile(`(fileToken=|media/|storage/|socket_id="|(?i)token\\?":\\?"|uploadId":"|password":"|sig=|` +
		`<image[^>]*>|<thumbImage[^>]*>| id=")[0-9A-Za-z+/=._-]{12,}`), "${1}VARYING"},
	{regexp.MustCompile(`(public_key\\*":\\*")[0-9A-Za-z]+`), "${1}VARYING"},
	{regexp.MustCompile(`(etag":")(\\?"?)[^"\\]+`), "${1}${2}VARYING"},
	{regexp.MustCompile(`(<(?:nickName|email|mobileNumber)[^>]*>)[0-9A-Za-z+/=]{12,}`), "${1}SEALED"},
}

func normal(t *testing.T, call string, q sdktest.Request) sent {
	t.Helper()
	replace := func(s string) string {
		for _, v := range varying {
			s = v.pattern.ReplaceAllString(s, v.with)
		}
		return s
	}
	out := sent{Call: strings.TrimSpace(call)}
	switch q.Kind {
	case "xmpp":
		out.Stanza = replace(canonicalForm(t, q.Stanza))
	case "signal":
		out.Signal = replace(q.Body)
	default:
		out.REST = strings.TrimSuffix(replace(q.Method+" "+q.Path+"?"+q.Query), "?")
		if body := cmp.Or(q.Body, q.Form); body != "" {
			require.NoError(t, json.Unmarshal([]byte(replace(body)), &out.Body), body)
		}
	}
	return out
}

// canonicalForm writes a stanza with its attributes sorted and every name in its namespace.
func canonicalForm(t *testing.T, stanza string) string {
	t.Helper()
	form, err := canonical.Stanza(stanza)
	require.NoError(t, err)
	return form
}
