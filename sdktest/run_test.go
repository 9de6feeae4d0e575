package sdktest

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// net/http keeps a connection open for half a second after it has refused a
// body or a header that is too large.
func TestCloseWaitsForRefusedRequests(t *testing.T) {
	for _, request := range []string{
		"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", maxBody+1),
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
	} {
		s := trial(t)
		conn := dialTCP(t, s.httpAddr()).tls(s)
		_, err := io.WriteString(conn, request)
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		s.Close()
		require.NotContains(t, stacks(), "closeWriteAndWait")
	}
}

func stacks() string {
	b := make([]byte, 4<<20)
	return string(b[:runtime.Stack(b, true)])
}
