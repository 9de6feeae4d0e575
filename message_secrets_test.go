package sdk_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Neither what a message says, be it sealed or open, nor the key of its file is in a log line of
// any level, in an error, in what %+v shows of one, in what hooks are told, or in Stats, whatever
// goes wrong.
func TestNoMessageIsShown(t *testing.T) {
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			const said = "MARKED-said"
			srv, w := watched(t, sdktest.Options{ResumeTimeout: time.Minute})
			var out lockedBuffer
			cfg := quick(srv.Config())
			cfg.Transport = transport
			cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: lowestLevel}))
			hooks := new(hookLog)
			cfg.Hooks = hooksThat(hooks.note)
			base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
			defer base.CloseIdleConnections()
			cfg.HTTPClient = &http.Client{Transport: base}
			alice := login(t, cfg, "alice")
			bob := login(t, cfg, "bob")
			bobsJID := "bob@" + srv.Domain()
			_, err := alice.SetMediaEncryption(true)
			require.NoError(t, err)
			connection, statuses := collect(alice.OnConnection), newHeard(alice.OnMessageStatus)
			came, edits := newHeard(bob.OnMessage), newHeard(bob.OnMessageEdited)
			bob.OnMessage(func(m sdk.Message) { panic("a listener fails") })

			shown := &strings.Builder{}
			note := func(_ any, err error) {
				if err != nil {
					fmt.Fprintf(shown, "%v\n%+v\n%#v\n", err, err, err)
				}
			}
			send := func() {
				note(alice.SendTextMessage(soon(t), bobsJID, said, sdk.WithTopic(said),
					sdk.WithMetadata(map[string]string{said: said})))
			}
			send()
			require.Equal(t, said, came.next(t).Text)
			note(alice.EditTextMessage(soon(t), bobsJID, "m1", said))
			require.Equal(t, said, edits.next(t).Text)
			file := pictureOf(said)
			file.Name = said
			sent, err := alice.SendMediaFileMessage(soon(t), bobsJID, file)
			require.NoError(t, err)
			require.NotEmpty(t, sent.Data.Media.FileKey)
			require.Equal(t, sent.Data.Media.FileKey, came.next(t).Media.File.FileKey)
			srv.RefuseNextMessage("policy-violation")
			send()
			srv.FailNext("media/upload", 400, "no")
			note(alice.SendMediaFileMessage(soon(t), bobsJID, pictureOf(said)))
			note(alice.SendTextMessage(soon(t), bobsJID, said+strings.Repeat("x", 300<<10)))
			note(alice.SendTextMessage(soon(t), bobsJID, said+"\xff"))
			note(alice.SendTextMessage(soon(t), bobsJID, said, sdk.WithMessageID(said+",")))
			note(alice.SendTextMessage(soon(t), said, said))
			srv.Push("bob", strings.NewReplacer("bob@", "carol@", "alice@", "bob@").Replace(saying(srv, "p", said)))
			came.next(t)
			// A refusal repeats what it refuses, and a server may say anything.
			srv.Push("alice", fromBob(srv, ` id="late" type="error"`, `<body>`+said+`</body><error type="cancel">`+
				`<gone xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">`+said+`</gone></error>`))
			for {
				if e := statuses.next(t); e.Err != nil {
					note(nil, e.Err)
					break
				}
			}
			srv.SetFault(sdktest.StepMessage, sdktest.FaultClose)
			lost := make(chan struct{})
			go func() { defer close(lost); send() }()
			connection.until(t, hasStatus(sdk.StatusDisconnected))
			srv.ClearFaults()
			patient.Receive(t, lost)
			require.NoError(t, alice.Close())
			require.NoError(t, bob.Close())
			send()

			secrets := []string{said, sent.Data.Media.FileKey}
			bodies := 0
			for _, text := range w.all() {
				if _, body, found := strings.Cut(text, "<body"); found {
					_, body, _ = strings.Cut(body, ">")
					body, _, _ = strings.Cut(body, "<")
					secrets = append(secrets, body)
					bodies++
				}
			}
			require.GreaterOrEqual(t, bodies, 4)
			require.Contains(t, out.text(), "level=DEBUG")
			require.Contains(t, out.text(), "xmpp frame")
			fmt.Fprintf(shown, "%+v %+v\n", alice.Stats(), bob.Stats())
			hooks.requireNoNames(t, "alice", "bob", "carol", "m1", sent.Data.ID, sent.Data.Media.FileToken)
			for _, secret := range secrets {
				require.NotContains(t, out.text(), secret)
				require.NotContains(t, shown.String(), secret)
				require.NotContains(t, hooks.String(), secret)
			}
		})
	}
}
