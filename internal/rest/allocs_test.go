package rest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a call allocates above the transport, net/http's client included. It is 55 for a profile and
// 47 for feedback.
func TestCallAllocations(t *testing.T) {
	c := New(Config{
		LicenseKey: license, BaseURL: "https://service.example/api", Trial: true, UserAgent: "test/1",
		HTTPClient: &http.Client{
			Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				body := plainOK
				switch req.URL.Path {
				case "/api/login":
					body = loginOK
				case "/api/contacts/vcard":
					body = profileAnswer
				}
				return &http.Response{
					StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req,
				}, nil
			}),
		},
	})
	defer c.Close()
	require.NoError(t, c.logIn(t.Context(), "alice", "secret", "secret"))
	for name, tc := range map[string]struct {
		call func() error
		most float64
	}{
		"profile":  {func() error { _, err := c.Profile(t.Context(), "bob"); return err }, 70},
		"feedback": {func() error { return c.Feedback(t.Context(), "title", "text") }, 55},
	} {
		t.Run(name, func(t *testing.T) {
			got := testing.AllocsPerRun(200, func() {
				if err := tc.call(); err != nil {
					t.Fatal(err)
				}
			})
			t.Logf("%.0f allocations", got)
			require.LessOrEqual(t, got, tc.most)
		})
	}
}
