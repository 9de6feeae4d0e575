package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// signalling is a server that says what script says after the handshake, and keeps what it hears.
func signalling(
	t *testing.T, script func(ctx context.Context, say func(packet string)),
) (url string, heard <-chan string) {
	t.Helper()
	packets := make(chan string, 100)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		say := func(packet string) { _ = conn.Write(r.Context(), websocket.MessageText, []byte(packet)) }
		say(`0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":5000}`)
		say("40")
		script(r.Context(), say)
		for {
			_, raw, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			select {
			case packets <- string(raw):
			default:
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, packets
}

func offerTo(t *testing.T, url string, srv *sdktest.Server) (*sdk.Client, *sdk.QRLogin) {
	t.Helper()
	cfg := quick(srv.Config())
	cfg.TLSConfig = cfg.TLSConfig.Clone()
	cfg.TLSConfig.InsecureSkipVerify = true // two authorities: sdktest's and httptest's
	client := newClient(t, cfg)
	login, err := client.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: url, Timeout: 2 * time.Second})
	require.NoError(t, err)
	return client, login
}

func event(name string, args ...any) string {
	raw, _ := json.Marshal(append([]any{name}, args...))
	return "42" + string(raw)
}

// What a hostile or broken signalling server says is ignored: no login, no hang, and the waiting
// ends.
func TestSignallingThatMakesNoSense(t *testing.T) {
	srv := sdktest.New(t)
	_, alice := register(t, srv.Config(), "alice")
	answer := func(key string) string {
		text := fmt.Sprintf(`{"username":%q,"password":%q,"socketId":"phone"}`, alice.Username, alice.Password)
		return seal.Seal(text, seal.Triple(key), seal.ConstIV)
	}
	huge := `42["id","` + strings.Repeat("x", 100<<20) + `"]`
	for name, say := range map[string]func(say func(string)){
		"silent": func(func(string)) {},
		"sealed with another": func(say func(string)) {
			say(event("response", map[string]string{"id": answer("another key")}))
		},
		"not sealed": func(say func(string)) {
			say(event("response", map[string]string{"id": `{"username":"alice","password":"x"}`}))
		},
		"no arguments": func(say func(string)) { say(event("response")); say(event("id")); say(event("logoutweb")) },
		"wrong types": func(say func(string)) {
			say(event("response", 1, "x"))
			say(event("id", map[string]int{"a": 1}))
		},
		"no credentials": func(say func(string)) {
			say(event("response", map[string]string{"id": seal.Seal(`{"username":"","password":""}`,
				seal.Triple(srv.LicenseKey()), seal.ConstIV)}))
		},
		"endless id":    func(say func(string)) { say(event("id", strings.Repeat("x", 900_000))) },
		"garbage":       func(say func(string)) { say("\x00\xff"); say("999"); say("42{"); say("42[") },
		"100 MiB frame": func(say func(string)) { say(huge) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := signalling(t, func(_ context.Context, tell func(string)) {
				if name != "silent" {
					tell(event("id", "first"))
				}
				say(tell)
			})
			client, login := offerTo(t, url, srv)
			res, err := login.Wait(t.Context())
			answered(t, 410, "QR code expired", sdk.ErrQRExpired, res, err)
			require.Equal(t, sdk.StatusDisconnected, client.State())
		})
	}
}

// A response before any id was handed out answers nothing that we showed.
func TestResponseWithoutCode(t *testing.T) {
	srv := sdktest.New(t)
	_, alice := register(t, srv.Config(), "alice")
	text := fmt.Sprintf(`{"username":%q,"password":%q,"socketId":"phone"}`, alice.Username, alice.Password)
	url, _ := signalling(t, func(_ context.Context, say func(string)) {
		say(event("response", map[string]string{"id": seal.Seal(text, seal.Triple(srv.LicenseKey()), seal.ConstIV)}))
	})
	_, login := offerTo(t, url, srv)
	res, err := login.Wait(t.Context())
	answered(t, 410, "QR code expired", sdk.ErrQRExpired, res, err)
}

// Two thousand ids: the newest code is the one that can be seen, and logging in still works.
func TestTwoThousandIDs(t *testing.T) {
	t.Parallel()
	srv := sdktest.New(t)
	_, alice := register(t, srv.Config(), "alice")
	last := make(chan struct{})
	url, heard := signalling(t, func(ctx context.Context, say func(string)) {
		for n := range 2000 {
			say(event("id", fmt.Sprintf("id-%d", n)))
		}
		select {
		case <-last:
		case <-ctx.Done():
		}
		text := fmt.Sprintf(`{"username":%q,"password":%q,"socketId":"phone"}`, alice.Username, alice.Password)
		say(event("response", map[string]string{"id": seal.Seal(text, seal.Triple(srv.LicenseKey()), seal.ConstIV)}))
	})
	cfg := srv.Config()
	cfg.TLSConfig = cfg.TLSConfig.Clone()
	cfg.TLSConfig.InsecureSkipVerify = true
	client := newClient(t, cfg)
	login, err := client.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: url})
	require.NoError(t, err)
	for content := ""; !strings.Contains(content, `"token":"id-1999"`); {
		content = seal.Open(nextCode(t, login).Content(), seal.Triple(srv.LicenseKey()), seal.ConstIV)
	}
	close(last)
	res, err := login.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, "alice", res.Data.Username)
	for {
		select {
		case packet := <-heard:
			if strings.Contains(packet, "loginStatus") {
				require.Equal(t, `42["loginStatus","{\"statusCode\":200,\"message\":\"Login `+
					`Success\",\"public_key\":\"phone\"}"]`, packet)
				return
			}
		case <-time.After(patience):
			t.Fatal("the phone was not told")
		}
	}
}

// The server of the box misbehaves at the handshake: a clear error within the caller's time.
func TestSignallingFaults(t *testing.T) {
	for _, kind := range []sdktest.FaultKind{
		sdktest.FaultSilent, sdktest.FaultClose, sdktest.FaultError,
		sdktest.FaultMalformed, sdktest.FaultHuge,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			client := newClient(t, srv.Config())
			srv.SetFault(sdktest.StepSignal, kind)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			login, err := client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: srv.SignalURL()})
			require.Nil(t, login)
			require.ErrorIs(t, err, sdk.ErrNetwork)
			srv.ClearFaults()
			qr, code := offerQR(t, srv, client, sdk.QROptions{})
			require.NoError(t, srv.Phone("alice").Scan(t.Context(), code.Content()))
			_, err = qr.Wait(t.Context())
			require.NoError(t, err)
		})
	}
}
