package rest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An object without fields is a list without elements to some servers: it is no data, which matters
// only where there must be some.
func TestEmptyListIsNoData(t *testing.T) {
	empty := answer(200, "\uFEFF"+`{"status":200,"message":"ok","data":[ ]}`)
	s := serve(t, handlers{
		"POST /moderation/feedback": empty, "POST /login": empty, "GET /contacts/vcard": empty,
		"GET /users/config": empty, "POST /sandbox/register": empty,
	})
	c := connect(t, s.URL)
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.ErrorContains(t, c.Login(t.Context(), "u", "p", "p"), "no usable token")
	_, err := c.Profile(t.Context(), "bob")
	require.ErrorContains(t, err, "no profile")
	_, err = c.ServiceConfig(t.Context(), "u")
	require.ErrorContains(t, err, "no configuration")
	_, err = c.Register(t.Context(), Registration{UserIdentifier: "u"})
	require.ErrorContains(t, err, "an account without user name or password")
}
