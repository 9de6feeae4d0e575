package latency_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// roundTrip is the least that an answer takes over a far link, half of it in each direction. The
// TCP handshake takes none: the proxy is near, and answers it itself.
const roundTrip = 50 * time.Millisecond

// far puts a link before upstream, until the test ends, and returns the link's near end.
func far(t *testing.T, upstream string) (address string) {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	link := toxiproxy.NewProxy(api, "link", "127.0.0.1:0", upstream)
	require.NoError(t, link.Start())
	t.Cleanup(link.Stop)
	for _, direction := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"name":%[1]q,"type":"latency","stream":%[1]q,"toxicity":1,`+
			`"attributes":{"latency":%[2]d}}`,
			direction, (roundTrip / 2).Milliseconds())
		_, err := link.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err)
	}
	return link.Listen
}

// echo answers with what it is told, at the other end of a link.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // owner: the test; ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection, which the link ends
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return far(t, l.Addr().String())
}

// ping is one round trip of an echo.
func ping(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	_, err := conn.Write([]byte{0})
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	return time.Since(start)
}
