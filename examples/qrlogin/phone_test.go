package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestScanCommandWithoutProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	err = run(t.Context(), []string{"-scan", "alice", "-at", "http://" + l.Addr().String()}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "nothing runs at")

	for answer, want := range map[int]string{http.StatusNotFound: "no built-in phone", http.StatusTeapot: "beep?[31m"} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "beep\x1b[31m", answer)
		}))
		err := run(t.Context(), []string{"-scan", "alice", "-at", other.URL}, io.Discard, io.Discard)
		require.ErrorContains(t, err, want)
		other.Close()
	}
}

func TestPhoneRefuses(t *testing.T) {
	r := start(t, sdktest.New(t), settings{})
	openTab(t, r).await(t, stageCode)
	for user, want := range map[string]int{"": 400, "  ": 400, "no user": 409, strings.Repeat("a", maxForm): 400} {
		status, text := post(t, r.url+scanPath, user)
		require.Equal(t, want, status, text)
	}
}

func TestPhonesAreOnlyOnTheTestServer(t *testing.T) {
	h, err := (&web{board: newBoard()}).handler("127.0.0.1:0")
	require.NoError(t, err)
	for _, path := range []string{scanPath, endPath} {
		rw := httptest.NewRecorder()
		h.ServeHTTP(rw, httptest.NewRequest(http.MethodPost, "http://127.0.0.1"+path, nil))
		require.Equal(t, http.StatusNotFound, rw.Code)
	}
}
