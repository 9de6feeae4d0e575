package sdk_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A redirect that makes a GET of a write is answered by whoever is there. That is no success, and a
// login is not forgotten by it.
func TestRedirectedWrite(t *testing.T) {
	for _, code := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther} {
		for path, write := range map[string]func(context.Context, *sdk.Client) error{
			"moderation/feedback": feedback,
			"moderation/report":   report,
			"users/deleteMyAccount": func(ctx context.Context, c *sdk.Client) error {
				_, err := c.DeleteMyAccount(ctx, "moving", "")
				return err
			},
			"media/": func(ctx context.Context, c *sdk.Client) error {
				picture := sdk.ImageReader("a.png", "image/png", strings.NewReader("\x89PNG"), 4)
				_, err := c.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "a@example.com", Image: picture})
				return err
			},
		} {
			t.Run(fmt.Sprint(code, " ", path), func(t *testing.T) {
				srv := sdktest.New(t)
				cfg := quick(srv.Config())
				g := behindGateway(t, &cfg)
				client := login(t, cfg, "alice")
				g.answers(path, func(req *http.Request) *http.Response {
					if req.Method == http.MethodGet {
						return told(200, `{"status":200,"message":"ok","data":{"fileToken":"f"}}`)
					}
					return reply(code, "", "Location", req.URL.Path)
				})
				err := write(t.Context(), client)
				require.ErrorIs(t, err, &sdk.Error{StatusCode: 500})
				require.ErrorIs(t, err, sdk.ErrNetwork, "it is no answer of the service")
				require.Equal(t, sdk.OutcomeUnknown, outcomeTold(t, err), "303 may be the answer to what was done")
				require.Zero(t, g.count(http.MethodGet, path))
				_, err = client.GetCurrentUserJID()
				require.NoError(t, err, "the login is not forgotten")
				g.answers("", nil)
				require.NoError(t, write(t.Context(), client))
			})
		}
	}
}
