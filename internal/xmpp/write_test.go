package xmpp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/prompt"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// promptWebSocketServer is webSocketServer for a client that dials as package sdk does.
func promptWebSocketServer(t testing.TB, s script) Config {
	cfg := webSocketServer(t, s)
	transport := cfg.HTTPClient.Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return prompt.Wrap(conn), nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	return cfg
}

// A server that does not read for a while holds up nobody longer than the context says. What was written arrives once it reads, in
// order; what was not never does, and says so.
func TestServerThatReadsLater(t *testing.T) {
	for name, server := range map[string]func(testing.TB, script) Config{
		"tls": directTLSServer, "starttls": startTLSServer, "wss": promptWebSocketServer,
	} {
		t.Run(name, func(t *testing.T) {
			begin, seen := make(chan struct{}), make(chan string, 1000)
			c := dial(t, server(t, func(p *peer) {
				p.login()
				<-begin
				for {
					n, err := p.read()
					if err != nil {
						return
					}
					if iq := n.String(); strings.Contains(iq, "vCard") {
						nick, _, _ := strings.Cut(iq[strings.Index(iq, "nickName")+len("nickName"):], "</")
						seen <- nick[strings.LastIndex(nick, ">")+1:]
					}
					p.send(`<iq xmlns="jabber:client" type="result" id="` + n.attr("id") + `"/>`)
				}
			}))
			require.NotNil(t, c.prompt)
			large := strings.Repeat("x", maxFrame/2)
			ask := func(i int, d time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				return c.SetVCard(ctx, VCard{NickName: fmt.Sprint("n", i), Status: large})
			}
			i := 0
			var want []string
			for ; !c.prompt.Behind(); i++ {
				require.Less(t, i, 100, "nothing is ever late")
				err := ask(i, 10*time.Millisecond)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				if !unsent.Is(err) {
					want = append(want, fmt.Sprint("n", i))
				}
			}
			require.NotEmpty(t, want)
			for range 3 {
				start := time.Now()
				err := ask(i, 10*time.Millisecond)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.True(t, unsent.Is(err), "something else goes first")
				require.Less(t, time.Since(start), 5*time.Second)
				i++
			}
			close(begin)
			require.NoError(t, ask(i, 10*time.Second))
			for _, nick := range append(want, fmt.Sprint("n", i)) {
				require.Equal(t, nick, <-seen)
			}
			require.Empty(t, seen)
			require.False(t, c.prompt.Behind())
			require.NoError(t, c.Close(within(t, 5*time.Second)))
		})
	}
}
