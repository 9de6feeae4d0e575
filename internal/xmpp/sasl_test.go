package xmpp

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"mellium.im/sasl"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// In FIPS 140-only mode what needs SHA-1 is an error, not the end of the process, and there are
// ways without: TCP, and every mechanism but SCRAM-SHA-1.
func TestFIPS140Only(t *testing.T) {
	fipsmode.Run(t, func() { inFIPSMode(t) })
}

func inFIPSMode(t *testing.T) {
	_, err := Dial(soon(t), testConfig("wss://127.0.0.1:1"))
	require.ErrorContains(t, err, "SHA-1")

	offering := func(mechanisms string, s script) Config {
		return pipeServer(t, func(p *peer) {
			p.Impatient = true
			p.Open(strings.Replace(scripted.PlainFeatures, "<mechanism>PLAIN</mechanism>", mechanisms, 1))
			s(p)
		})
	}
	_, err = Dial(soon(t), offering("<mechanism>SCRAM-SHA-1</mechanism>", (*peer).Drain))
	require.ErrorContains(t, err, "no common mechanism")
	require.ErrorContains(t, err, "SHA-1 is not allowed")

	s, err := Dial(soon(t), offering("<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>", func(p *peer) {
		p.Expect(scripted.PlainAuth)
		p.Send(scripted.SASLSuccess)
		p.Open(scripted.BindFeatures)
		p.Expect(scripted.BindRequest)
		p.Send(scripted.BindResult)
		p.Drain()
	}))
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))

	// HMAC wants keys of 14 bytes there, and a password is one.
	_, err = Dial(soon(t), offering("<mechanism>SCRAM-SHA-256</mechanism>", func(p *peer) {
		first, _ := base64.StdEncoding.DecodeString(p.Recv().Text())
		_, nonce, _ := strings.Cut(string(first), ",r=")
		challenge := "r=" + nonce + "x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"
		p.Send(`<challenge xmlns="` + nsSASL + `">` + base64.StdEncoding.EncodeToString([]byte(challenge)) +
			`</challenge>`)
		p.Drain()
	}))
	require.ErrorContains(t, err, "FIPS 140-only mode")
}

// A server's SCRAM message that passes our check keeps the login neither busy nor waiting.
func FuzzServerFirst(f *testing.F) {
	for _, s := range []string{
		"r=NONCEx,s=c2FsdA==,i=4096", "r=NONCE,s=c2FsdA==,i=4096", "r=NONCEx,s=c2FsdA==,i=99999999999",
		"r=NONCEx,s=c2FsdA==,i=4096,x=,",
		"r=NONCEx,s=,i=4096", "m=x,r=NONCEx,s=c2FsdA==,i=4096", "r=NONCEx,s=c2FsdA==,i=4096,a", "", ",,,",
		"r=NONCEx,s=c2FsdA==,i=4096,i=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		client := sasl.NewClient(sasl.ScramSha256, sasl.Credentials(func() ([]byte, []byte, []byte) {
			return []byte(scripted.User), []byte(scripted.Password), nil
		}))
		_, _, err := client.Step(nil)
		require.NoError(t, err)
		msg = strings.ReplaceAll(msg, "NONCE", string(client.Nonce()))
		if checkServerFirst(msg, string(client.Nonce())) != nil {
			return
		}
		fields := strings.Split(msg, ",")
		require.True(t, strings.HasPrefix(fields[0], "r="+string(client.Nonce())))
		require.Greater(t, len(fields[0]), len("r=")+len(client.Nonce()))
		count := strings.TrimLeft(strings.TrimPrefix(fields[2], "i="), "+0")
		require.LessOrEqual(t, len(count), len("1000000"), count)
		if len(count) > len("4096") {
			// Permitted, and too slow to try each.
			return
		}
		var resp []byte
		fuzz.Bounded(t, len(msg), frames.MaxFrame, func() { _, resp, err = client.Step([]byte(msg)) })
		if err == nil {
			require.NotContains(t, string(resp), scripted.Password)
		}
	})
}

// SCRAM against the server side of the SASL library.
func TestSCRAM(t *testing.T) {
	mechanisms := map[string]struct {
		m    sasl.Mechanism
		hash func() hash.Hash
	}{"SCRAM-SHA-1": {sasl.ScramSha1, sha1.New}, "SCRAM-SHA-256": {sasl.ScramSha256, sha256.New}}
	for _, tc := range []struct {
		name     string
		offered  []string
		want     string
		password string
		// The signature comes with <success/>.
		inSucc bool
		change func(msg string, step int) string
		// Wanted error.
		text string
	}{
		{
			name: "sha1", offered: []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, want: "SCRAM-SHA-1",
			inSucc: true,
		},
		{
			name: "sha256", offered: []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-512"},
			want: "SCRAM-SHA-256", inSucc: true,
		},
		{name: "signature in a challenge", offered: []string{"SCRAM-SHA-256"}, want: "SCRAM-SHA-256"},
		{
			name: "wrong password", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", password: "other",
			text: "not-authorized",
		},
		{
			name: "wrong signature", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", inSucc: true,
			change: at(1, func(string) string {
				return "v=AAAA"
			}), text: "sasl failed",
		},
		{
			name: "no signature", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", inSucc: true,
			change: at(1, func(string) string {
				return ""
			}), text: "sasl failed",
		},
		{
			name: "few iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=4095")), text: "4095 iterations",
		},
		{
			name: "absurd iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=1000001")), text: "1000001 iterations",
		},
		{
			name: "iterations overflow", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=99999999999999999999")), text: "bad iteration count",
		},
		{
			name: "negative iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=-4096")), text: "iterations",
		},
		{
			name: "iterations twice", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=4096,i=1")), text: "bad extension",
		},
		{
			name: "short last field", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("i=4096", "i=4096,x")), text: "bad extension",
		},
		{
			name: "mandatory extension", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("r=", "m=x,r=")), text: "fields missing",
		},
		{
			name: "no salt", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("s=c2FsdA==", "s=")), text: "bad salt",
		},
		{
			name: "nonce of another", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace("r=", "r=x")), text: "nonce is not ours",
		},
		{
			name: "enormous nonce", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, replace(",s=", strings.Repeat("x", maxServerFirst)+",s=")), text: "too long",
		},
		{
			name: "nonce only ours", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, func(m string) string {
				r, rest, _ := strings.Cut(m, ",")
				return r[:2+22] + "," + rest
			}), text: "nonce is not ours",
		},
		{
			name: "empty challenge", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, func(string) string {
				return ""
			}), text: "sasl failed",
		},
		{
			name: "garbage challenge", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1",
			change: at(0, func(string) string {
				return "\x00\xff,,,"
			}), text: "fields missing",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := pipeServer(t, func(p *peer) {
				var names strings.Builder
				for _, m := range tc.offered {
					names.WriteString("<mechanism>" + m + "</mechanism>")
				}
				p.Open(strings.Replace(scripted.PlainFeatures, "<mechanism>PLAIN</mechanism>", names.String(), 1))
				mech := mechanisms[tc.want]
				server := sasl.NewServer(mech.m, nil,
					sasl.SaltedCredentials(func(user, _ []byte, _ string) ([]byte, []byte, int64, error) {
						if string(user) != scripted.User {
							return nil, nil, 0, sasl.ErrAuthn
						}
						salt := []byte("salt")
						return salt, sasl.SCRAMSaltPassword(mech.hash, []byte(scripted.Password), salt, 4096), 4096, nil
					}))
				scramServer(p, server, tc.want, tc.inSucc, tc.change)
			})
			if tc.password != "" {
				cfg.Password = tc.password
			}
			s, err := Dial(soon(t), cfg)
			if tc.text == "" {
				require.NoError(t, err)
				_ = s.Close(done())
				return
			}
			auth := (*AuthError)(nil)
			require.ErrorAs(t, err, &auth)
			require.ErrorContains(t, err, tc.text)
			require.Equal(t, auth.Err == nil, auth.Final())
		})
	}
}

func at(step int, f func(string) string) func(string, int) string {
	return func(msg string, i int) string {
		if i == step {
			return f(msg)
		}
		return msg
	}
}

func replace(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

func scramServer(p *peer, server *sasl.Negotiator, mechanism string, inSuccess bool, change func(string, int) string) {
	const ns = ` xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`
	n, err := p.Read()
	for step := 0; err == nil; step++ {
		if step == 0 && (n.Name.Local != "auth" || n.Attr("mechanism") != mechanism) {
			p.Fail("client chose %s", n)
		}
		data, _ := base64.StdEncoding.DecodeString(n.Text())
		more, resp, failed := server.Step(data)
		if failed != nil {
			p.Send(`<failure` + ns + `<not-authorized/></failure>`)
			p.Drain()
			return
		}
		if change != nil {
			resp = []byte(change(string(resp), step))
		}
		text := base64.StdEncoding.EncodeToString(resp)
		if !more && inSuccess {
			p.Send(`<success` + ns + text + `</success>`)
			break
		}
		p.Send(`<challenge` + ns + text + `</challenge>`)
		if n, err = p.Read(); !more && err == nil {
			p.Send(scripted.SASLSuccess)
			break
		}
	}
	if err != nil {
		return
	}
	p.Restart()
	if _, err := p.Read(); err != nil {
		// It did not believe us.
		return
	}
	p.Send(scripted.ServerStream + scripted.BindFeatures)
	p.Recv()
	p.Send(scripted.BindResult)
	p.Drain()
}

// Success at once, without a word of SCRAM.
func TestSCRAMSkipped(t *testing.T) {
	for _, first := range []string{
		scripted.SASLSuccess,
		`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">dj1BQUFB</success>`,
	} {
		_, err := Dial(soon(t), pipeServer(t, func(p *peer) {
			p.Open(strings.Replace(scripted.PlainFeatures, "PLAIN", "SCRAM-SHA-256", 1))
			p.Recv()
			p.Send(first)
			p.Drain()
		}))
		require.ErrorContains(t, err, "sasl failed")
	}
}

// Passwords are in no log line and in no error, whatever the server says.
func TestNoSecrets(t *testing.T) {
	const secret = "m4rked-s3cret"
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + scripted.User + "\x00" + secret))
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		var log syncBuffer
		check := func(text string) {
			t.Helper()
			require.NotContains(t, text, secret)
			require.NotContains(t, text, encoded)
		}
		cfg := serve(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(scripted.BindFeatures)
			p.Recv()
			p.Send(scripted.BindResult)
			answerAll(p)
		})
		cfg.Password = secret
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: observe.LevelFrame}))
		c := dial(t, cfg)
		require.NoError(t, c.SetVCard(soon(t), VCard{NickName: secret, Status: secret}))
		require.NoError(t, c.LogOutQR(t.Context(), secret))
		require.NoError(t, c.Close(t.Context()))
		c.ended()
		check(log.String())
		require.Contains(t, log.String(), "<auth", "frames are logged")

		cfg = serve(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
			p.Drain()
		})
		cfg.Password = secret
		_, err := Dial(soon(t), cfg)
		require.ErrorContains(t, err, "not-authorized")
		check(err.Error())
	})
}
