package xmpp

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// While bytes come the connection is alive, also when they are all of one stanza: on a slow link a large one takes longer than
// the keepalive waits, and the answer to the ping comes behind it.
func TestLargeStanzaOnASlowLink(t *testing.T) {
	const big = `<presence from="big@xmpp.example.com" xmlns="jabber:client"><status></status></presence>`
	stanza := strings.Replace(big, "<status>", "<status>"+strings.Repeat("x", 60_000), 1)
	slowly := func(c net.Conn, text []byte, over <-chan struct{}) {
		for i := 0; i < len(text); i += 100 {
			<-time.After(time.Second) // of the bubble: ten minutes in all
			_, _ = c.Write(text[i:min(i+100, len(text))])
		}
		<-over
	}
	for name, serve := range map[string]func(t *testing.T, f func(net.Conn)) Config{
		"websocket": rawWebSocket,
		"tcp": func(t *testing.T, f func(net.Conn)) Config {
			return pipeServer(t, func(p *peer) {
				p.login()
				go p.drain() // ends with the connection
				f(p.conn)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := []byte(stanza)
				if name == "websocket" {
					text = message(0x81, stanza)
				}
				over := make(chan struct{})
				defer close(over)
				cfg := serve(t, func(c net.Conn) { slowly(c, text, over) })
				cfg.KeepAliveInterval, cfg.KeepAliveTimeout = 45*time.Second, 20*time.Second
				c := dial(t, cfg)
				require.Equal(t, "big", (<-c.events).(Presence).From.Local)
				require.NoError(t, c.Err())
				// From then on there is nothing any more, and that is noticed.
				start := time.Now()
				require.ErrorIs(t, <-c.served, errNoAnswer)
				require.LessOrEqual(t, time.Since(start), cfg.KeepAliveInterval+cfg.KeepAliveTimeout)
			})
		})
	}
}

// The same upward, where writes wait for the server: one that takes something in each 20 s may take as long as it does.
func TestLargeRequestOnASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			var all strings.Builder
			for buf := make([]byte, 1000); !strings.Contains(all.String(), "</iq>"); {
				n, err := p.conn.Read(buf)
				if err != nil {
					t.Error("the client has left:", err)
					return
				}
				all.Write(buf[:n])
				<-time.After(time.Second) // of the bubble: more than four minutes in all
			}
			_, after, _ := strings.Cut(all.String(), ` id="`)
			id, _, _ := strings.Cut(after, `"`)
			p.send(`<iq id="` + id + `" type="result" xmlns="jabber:client"/>`)
			_, _ = p.conn.Read(make([]byte, 1))
		}))
		start := time.Now()
		require.NoError(t, c.SetVCard(context.Background(), VCard{Status: strings.Repeat("x", 256<<10)}))
		require.Greater(t, time.Since(start), 4*time.Minute)
		require.NoError(t, c.Close(done()))
		<-c.served
	})
}
