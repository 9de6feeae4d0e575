package sdk_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The promises of SECURITY.md that concern the whole library. Those of one part of it are held in
// that part's package.

const marked = "MARKED-SECRET"

// SECURITY.md: what holds a secret shows it neither to fmt nor to slog, wherever it stands.
func TestSecretsAreRedacted(t *testing.T) {
	cfg := sdk.Config{LicenseKey: marked, XMPPAddress: "wss://h/p?k=" + marked + ",xmpp://" + marked +
		"@h:5222", AppName: "shown"}
	credentials := sdk.Credentials{Username: "shown", Password: marked}
	file := sdk.MediaFile{FileToken: "shown", FileKey: marked}
	srv := sdktest.New(t, sdktest.Options{LicenseKey: marked + "-licence"})
	client, registered := register(t, srv.Config(), "alice")
	connect(t, client, registered)
	login, err := client.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: srv.SignalURL()})
	require.NoError(t, err)
	code := patient.Receive(t, login.Codes())
	for name, value := range map[string]any{
		"Config": cfg, "*Config": &cfg, "Credentials": credentials, "*Credentials": &credentials, "MediaFile": file,
		"*MediaFile":            &file,
		"Result of Credentials": sdk.Result[sdk.Credentials]{Data: credentials},
		"Result of MediaFile":   sdk.Result[sdk.MediaFile]{Data: file},
		"in a struct": struct {
			Name string
			C    sdk.Config
			P    *sdk.Credentials
		}{"shown", cfg, &credentials},
		"in a list": []sdk.Credentials{credentials}, "in a map": map[string]sdk.MediaFile{"shown": file},
		"in an error": fmt.Errorf("bad: %v", cfg),
		"Client":      client, "QRLogin": login, "QRCode": code,
		"Result of QRLogin": sdk.Result[*sdk.QRLogin]{Data: login},
		"nil *Config":       (*sdk.Config)(nil), "nil *Client": (*sdk.Client)(nil),
		"Config without a key": sdk.Config{},
	} {
		t.Run(name, func(t *testing.T) {
			shown := &lockedBuffer{}
			for _, verb := range []string{
				"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%-10s",
				"% x", "%T",
			} {
				fmt.Fprintf(shown, verb+"\n", value)
			}
			fmt.Fprintln(shown, fmt.Sprint(value), fmt.Sprintln(value))
			slog.New(slog.NewTextHandler(shown, nil)).Info("x", "value", value, slog.Group("g", "value", value))
			log.New(shown, "", 0).Print(value)
			requireHidden(t, shown.text(), marked, registered.Password)
			// JSON is what such a handler makes of other people's types
			if !strings.HasPrefix(name, "in a") {
				shown = &lockedBuffer{}
				slog.New(slog.NewJSONHandler(shown, nil)).Info("x", "value", value)
				requireHidden(t, shown.text(), marked, registered.Password)
			}
		})
	}
	require.Contains(t, fmt.Sprintf("%+v", cfg), "AppName:shown", "the rest is there")
	require.Contains(t, fmt.Sprintf("%+v", cfg), "LicenseKey:[hidden]")
	require.NotContains(t, fmt.Sprintf("%+v", sdk.Config{}), "hidden", "there is none")
	require.Contains(t, fmt.Sprintf("%#v", credentials), `Username:"shown", Password:"[hidden]"`)

	// JSON is how callers keep what they need again, and a Config has none.
	kept, err := json.Marshal(credentials)
	require.NoError(t, err)
	var back sdk.Credentials
	require.NoError(t, json.Unmarshal(kept, &back))
	require.True(t, credentials == back)
	for _, value := range []any{cfg, client, login} {
		kept, err := json.Marshal(value)
		requireHidden(t, fmt.Sprint(string(kept), err), marked, registered.Password)
	}
}

func requireHidden(t *testing.T, shown string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		for _, form := range []string{
			secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
			fmt.Sprintf("% x", secret),
		} {
			require.NotContains(t, shown, form)
		}
	}
}

// SECURITY.md: a panic with such a value shows no secret either, where a listener's is logged and
// where the program ends.
func TestPanicsShowNoSecret(t *testing.T) {
	cfg, credentials := sdk.Config{LicenseKey: marked}, sdk.Credentials{Username: "shown", Password: marked}
	const variable = "SDK_TEST_PANIC"
	switch os.Getenv(variable) {
	case "Config":
		panic(cfg)
	case "Credentials":
		panic(credentials)
	case "error":
		panic(fmt.Errorf("bad: %+v", cfg))
	}
	for _, kind := range []string{"Config", "Credentials", "error"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanicsShowNoSecret$")
		cmd.Env = append(os.Environ(), variable+"="+kind)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "panic: ")
		require.Contains(t, string(out), "[hidden]")
		requireHidden(t, string(out), marked)
	}

	srv := sdktest.New(t)
	for _, handler := range []func(*lockedBuffer) slog.Handler{
		func(b *lockedBuffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *lockedBuffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		for _, value := range []any{
			cfg, &credentials,
			struct{ C sdk.Credentials }{credentials},
			fmt.Errorf("%v", credentials),
		} {
			out := &lockedBuffer{}
			quiet := srv.Config()
			quiet.Logger = slog.New(handler(out))
			client := newClient(t, quiet)
			client.OnConnection(func(sdk.ConnectionEvent) { panic(value) })
			told := collect(client.OnConnection) // comes after the one that panics
			res, err := client.Register(t.Context(), "alice")
			require.NoError(t, err)
			connect(t, client, res.Data)
			told.until(t, hasStatus(sdk.StatusConnected))
			require.Contains(t, out.text(), "listener panicked")
			require.Contains(t, out.text(), "[hidden]")
			requireHidden(t, out.text(), marked, res.Data.Password)
			require.NoError(t, client.Close())
		}
	}
}

// SECURITY.md: TLS 1.2 or later, also when the TLSConfig permits less. STARTTLS and direct TLS:
// internal/xmpp.TestTLS12.
func TestTLS12(t *testing.T) {
	srv := sdktest.New(t)
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
		for name, call := range map[string]func(context.Context, sdk.Config, string) error{
			"REST": func(ctx context.Context, cfg sdk.Config, host string) error {
				cfg.APIBaseURL = "https://" + host
				_, err := newClient(t, cfg).Register(ctx, "alice")
				return err
			},
			"licence lookup": func(ctx context.Context, cfg sdk.Config, host string) error {
				cfg.APIBaseURL, cfg.APIConfigURL = "", "https://"+host+"/lookup"
				_, err := newClient(t, cfg).Register(ctx, "alice")
				return err
			},
			"WebSocket": func(ctx context.Context, cfg sdk.Config, host string) error {
				cfg.XMPPAddress = "wss://" + host + "/websocket"
				client, credentials := register(t, cfg, "alice")
				_, err := client.Connect(ctx, credentials.Username, credentials.Password)
				return err
			},
			"signalling": func(ctx context.Context, cfg sdk.Config, host string) error {
				_, err := newClient(t, cfg).GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: "https://" + host})
				return err
			},
		} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				var reached atomic.Int32
				old := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					reached.Add(1)
					http.NotFound(w, nil)
				}))
				old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
				old.StartTLS()
				defer old.Close()
				cfg := srv.Config()
				cfg.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS10, InsecureSkipVerify: true}
				cfg.DialContext = nil
				require.Error(t, call(t.Context(), cfg, old.Listener.Addr().String()), "it is no such server")
				require.Equal(t, version >= tls.VersionTLS12, reached.Load() > 0)
				require.EqualValues(t, tls.VersionTLS10, cfg.TLSConfig.MinVersion, "the caller's is not touched")
			})
		}
	}
}

// SECURITY.md: an HTTPClient that permits less than TLS 1.2 is refused.
func TestHTTPClientBelowTLS12(t *testing.T) {
	with := func(version uint16) sdk.Config {
		return sdk.Config{
			LicenseKey: "k",
			HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: version}}},
		}
	}
	_, err := sdk.New(with(tls.VersionTLS11))
	require.ErrorIs(t, err, sdk.ErrInsecure)
	require.ErrorContains(t, err, "HTTPClient permits TLS before 1.2")
	permitted := with(tls.VersionTLS11)
	permitted.AllowInsecure = true
	for _, cfg := range []sdk.Config{
		permitted, with(0), with(tls.VersionTLS12), with(tls.VersionTLS13),
		{LicenseKey: "k", HTTPClient: &http.Client{}},
		{LicenseKey: "k", HTTPClient: &http.Client{Transport: &http.Transport{}}},
	} {
		client, err := sdk.New(cfg)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}
}

// SECURITY.md: what the service has written can begin no line of its own and reach no terminal.
func TestServerTextCannotForge(t *testing.T) {
	const forged = "no\nlevel=INFO msg=\"all is well\"\r\x1b[2J\x1b]0;title\a\u2028\u202e"
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	srv.FailNext("moderation/feedback", 400, forged)
	res, err := client.SendFeedback(t.Context(), "title", "description")
	failed(t, res, err)
	for _, text := range []string{res.Message, err.Error(), fmt.Sprintf("%+v", err), fmt.Sprint(errors.Unwrap(err))} {
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
	}
	require.Contains(t, res.Message, `no\nlevel=INFO`, "it is shown, as what it is")
}

// SECURITY.md: a download ends at Config.MaxDownload, whoever has chosen the file and whatever was
// announced.
func TestDownloadsAreBounded(t *testing.T) {
	const size, room = 1 << 20, 1 << 16
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	up, err := alice.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", Name: "x", Reader: bytes.NewReader(make([]byte, size)), Size: size})
	require.NoError(t, err)
	cfg := srv.Config()
	cfg.MaxDownload = room
	bob := login(t, cfg, "bob")

	var got bytes.Buffer
	file := up.Data
	file.Size = 0 // not known
	res, err := bob.DownloadMedia(t.Context(), file, &got)
	failed(t, res, err)
	require.Equal(t, 500, res.StatusCode)
	require.Equal(t, room, got.Len())
	got.Reset()
	res, err = bob.DownloadMedia(t.Context(), up.Data, &got)
	failed(t, res, err)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	require.Zero(t, got.Len())

	res, err = alice.DownloadMedia(t.Context(), file, &got)
	require.NoError(t, err, "%v", res)
	require.Equal(t, size, got.Len(), "by default there is room for it")
	_, err = sdk.New(sdk.Config{LicenseKey: "k", MaxDownload: -1})
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
}

// SECURITY.md: the headers of an answer are bounded like its body.
func TestResponseHeadersAreBounded(t *testing.T) {
	huge := strings.Repeat("x", 300<<10)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", huge)
		_, _ = w.Write([]byte(`{"status":200,"data":{"username":"u","password":"p"}}`))
	}))
	defer hs.Close()
	client := newClient(t, sdk.Config{LicenseKey: "k", APIBaseURL: hs.URL, AllowInsecure: true})
	_, err := client.Register(t.Context(), "alice")
	require.ErrorIs(t, err, sdk.ErrNetwork)
	huge = huge[:100<<10]
	_, err = client.Register(t.Context(), "alice")
	require.NoError(t, err)
}

// SECURITY.md: what is written to disk, by `sdktest` alone, is for its user alone and
// goes with it.
func TestTempFilesArePrivateAndRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	srv, err := sdktest.Start(sdktest.Options{})
	require.NoError(t, err)
	client := login(t, srv.Config(), "alice")
	_, err = client.SetMediaEncryption(true)
	require.NoError(t, err)
	up, err := client.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", Name: "x", Reader: strings.NewReader("hello"), Size: 5})
	require.NoError(t, err)
	_, err = client.DownloadMedia(t.Context(), up.Data, &bytes.Buffer{})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	seen := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		seen++
		info, err := entry.Info()
		if err != nil {
			return err
		}
		// where the directory is the user's own
		private := info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows"
		// of a private directory
		inside := filepath.Dir(path) != dir
		require.True(t, private || inside, "%s: %v", path, info.Mode())
		return nil
	}))
	require.Positive(t, seen)
	srv.Close()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// SECURITY.md: no picture from outside is ever decoded, so none can unpack to more than it is. The
// example that does checks its size first.
func TestNoPictureIsDecoded(t *testing.T) {
	decoder := regexp.MustCompile(`\b(image|png|jpeg|gif)\.Decode`)
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, dir := range []string{"internal", "sdktest"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".go") {
				sources = append(sources, path)
			}
			return err
		}))
	}
	read := 0
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotRegexp(t, decoder, string(source), path)
		read++
	}
	require.Greater(t, read, 50)
}

// Every promise in SECURITY.md names a test that is there.
func TestSecurityDocument(t *testing.T) {
	document, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	// all others are in internal
	dirs := map[string]string{
		"sdk": ".", "examples/qrlogin": "examples/qrlogin", "sdkotel": "sdkotel", "fleet": "fleet",
		"fleet/natsstore": "fleet/natsstore",
	}
	promised := 0
	for line := range strings.Lines(string(document)) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "---") || strings.HasPrefix(line, "| Promise |") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		require.Len(t, cells, 3, line)
		tests := 0
		for group := range strings.SplitSeq(cells[2], "; ") {
			pkg, names, _ := strings.Cut(group, ": ")
			for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(names, -1) {
				requireTest(t, cmp.Or(dirs[pkg], "internal/"+pkg), name[1])
				tests++
			}
		}
		require.Positive(t, tests, "%q names no test", cells[0])
		promised++
	}
	require.Greater(t, promised, 20)
}

func requireTest(t *testing.T, dir, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		if bytes.Contains(source, []byte("\nfunc "+name+"(")) {
			return
		}
	}
	t.Errorf("%s has no %s", dir, name)
}
