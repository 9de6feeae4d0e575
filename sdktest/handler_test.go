package sdktest

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestHandler(t *testing.T) {
	s := trial(t, func(o *Options) {
		o.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(w, "mine "+req.URL.Path)
		})
	})
	base := strings.TrimSuffix(s.URL(), apiRoot)
	get := func(path string) (status int, body string, header http.Header) {
		req, err := http.NewRequest(http.MethodGet, base+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://elsewhere.example")
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(raw), resp.Header
	}
	s.SetFault(StepREST, FaultError)
	s.FailNext("", 500, "boom")
	for _, path := range []string{"/", "/page.js", "/api/v2/login", "/websockets", "/api"} {
		status, body, header := get(path)
		require.Equal(t, 200, status, path)
		require.Equal(t, "mine "+path, body)
		require.Empty(t, header.Get("Access-Control-Allow-Origin"), "other sites may not read it")
	}
	for path, want := range map[string]int{
		"/api/v1/nothing": 503, "/storage/x": 503, "/license/details": 503, "/websocket": 400, "/socket.io/": 400,
		"/_test/x": 404,
	} {
		status, body, header := get(path)
		require.Equal(t, want, status, path)
		require.NotContains(t, body, "mine", path)
		require.NotEmpty(t, header.Get("Access-Control-Allow-Origin"), path)
	}
}

func TestWithoutHandler(t *testing.T) {
	s := trial(t)
	require.Equal(t, 404, rest(t, s, "GET", strings.TrimSuffix(s.URL(), apiRoot)+"/", "", nil).Status)
}

// DropConnections does not end what the handler serves. The end of the server does.
func TestHandlerIsSpared(t *testing.T) {
	more := make(chan string, 2) // so that nobody waits for a handler that is not reached
	ended := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer close(ended)
		for {
			select {
			case text := <-more:
				_, _ = io.WriteString(w, text+"\n")
				_ = http.NewResponseController(w).Flush()
			case <-req.Context().Done():
				return
			}
		}
	})
	s := trial(t, func(o *Options) { o.Handler = handler })
	x := connect(t, s, register(t, s, "alice"), "Web-1")
	more <- "first"
	resp, err := httpClient(t, s).Get(strings.TrimSuffix(s.URL(), apiRoot) + "/stream")
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "first\n", line)

	s.DropConnections()
	_, err = x.read(patience)
	require.Error(t, err)
	more <- "second"
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "second\n", line)

	s.Close()
	patient.Receive(t, ended)
	_, err = lines.ReadString('\n')
	require.Error(t, err)
}
