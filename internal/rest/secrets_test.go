package rest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// TestNoSecretsToldOrLogged makes every call fail in every way and looks for the
// secrets in errors and in the log.
func TestNoSecretsToldOrLogged(t *testing.T) {
	const key, password, token, signature = "SECRETkey", "SECRETpassword", "SECRETtoken", "SECRETsignature"
	bad := "http://127.0.0.1:1/x?sig=" + signature
	nowhere := "://bad location?licenseKey=" + seal.LP(key, seal.LicenseKeyString)
	answers := map[string]http.HandlerFunc{
		"refused":      answer(400, `{"message":"no"}`),
		"page":         typed("text/html", 200, "<p>"+token),
		"odd":          answer(200, `{"status":200,"data":"`+token+`"}`),
		"hang up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"expired":      answer(401, ""),
		"bad redirect": withHeader("Location", nowhere, answer(302, "")),
		"redirect":     redirect(302, &bad),
		"short":        withHeader("Content-Length", "500", answer(200, `{"status":200}`)),
	}
	for name, f := range answers {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handlers{})
			s.Config.ErrorLog = discardLog()
			script := sequence(answer(200, `{"status":200,"data":{"token":"`+token+`"}}`), f)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				script(w, r)
			})
			c := connect(t, s.URL, func(cfg *Config) { cfg.LicenseKey, cfg.Trial = key, false })
			ctx := t.Context()
			wire, err := c.WirePassword(ctx, password)
			require.NoError(t, err)
			require.NoError(t, c.Login(ctx, "alice", password, wire))
			lookup := connect(t, "", func(cfg *Config) { cfg.LicenseKey, cfg.LookupURL = key, s.URL })
			cancelled, cancel := context.WithCancel(ctx)
			cancel()

			var texts []string
			note := func(err error) {
				require.Error(t, err)
				texts = append(texts, err.Error())
			}
			_, err = lookup.Trial(ctx)
			note(err)
			note(c.Login(ctx, "alice", password, wire))
			_, err = c.Register(ctx, Registration{UserIdentifier: "alice"})
			note(err)
			_, err = c.Profile(ctx, "bob")
			note(err)
			_, err = c.Profile(cancelled, "bob")
			note(err)
			_, err = c.ServiceConfig(ctx, "alice")
			note(err)
			_, err = c.UploadProfileImage(ctx, "alice", File{Reader: strings.NewReader("x"), Size: 1})
			note(err)
			_, err = c.PutPart(ctx, bad, []byte("x"), "")
			note(err)
			_, err = c.GetRange(ctx, bad, 0, 1)
			note(err)
			texts = append(texts, c.log.String(), lookup.log.String())
			for _, text := range texts {
				require.NotContains(t, text, "SECRET")
				require.NotContains(t, text, wire)
				require.NotContains(t, text, seal.LP(key, seal.LicenseKeyString))
			}
			require.Contains(t, c.log.String(), "op=profile", "the log was on")
		})
	}
}
