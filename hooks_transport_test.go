package sdk_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

// A request ends for the hooks also when the program's HTTP transport panics, and has failed then.
func TestRequestsThatPanicAreTold(t *testing.T) {
	r := new(hookLog)
	var broken atomic.Bool
	w := withHooks(t, hooksThat(r.note), func(cfg *sdk.Config) {
		base := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
		t.Cleanup(base.CloseIdleConnections)
		cfg.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if broken.Load() {
				panic("the transport is broken")
			}
			return base.RoundTrip(req)
		})}
	})
	broken.Store(true)
	for name, call := range map[string]func(){
		"JSON": func() { _, _ = w.client.GetUserProfile(soon(t), "bob") },
		"file": func() { _, _, _ = w.client.OpenMedia(soon(t), sdk.MediaFile{FileToken: "token"}) },
	} {
		t.Run(name, func(t *testing.T) {
			before := len(toldOf[sdk.RequestInfo](r))
			require.PanicsWithValue(t, "the transport is broken", call)
			require.Len(t, toldOf[sdk.RequestInfo](r), before+1)
			require.Len(t, toldOf[sdk.RequestDone](r), before+1)
			require.Error(t, lastTold[sdk.RequestDone](t, r, nil).Err)
		})
	}
}
