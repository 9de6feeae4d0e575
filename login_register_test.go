package sdk_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
)

func TestOddRegistrations(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	_, err := client.Register(t.Context(), "alice", nil)
	require.NoError(t, err)
	for _, number := range []any{math.NaN(), math.Inf(1), float32(math.Inf(-1))} {
		res, err := client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"a": number}))
		answered(t, 400, "metaDataType should be Valid data type", sdk.ErrInvalidArgument, res, err)
	}
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}))
	defer page.Close()
	client = newClient(t, sdk.Config{LicenseKey: "key", APIBaseURL: page.URL, HTTPClient: page.Client()})
	_, err = client.Register(t.Context(), "alice")
	require.Error(t, err)
	require.NotErrorIs(t, err, sdk.ErrMaxSessions)
	page.Client().CloseIdleConnections()
}

func TestRegisterWithoutConfigKeepsTheConfig(t *testing.T) {
	srv := sdktest.New(t)
	srv.SetFeature("block", false)
	cfg := srv.Config()
	base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
	defer base.CloseIdleConnections()
	strip := &withoutConfig{next: base}
	cfg.HTTPClient = &http.Client{Transport: strip}
	client := login(t, cfg, "alice")
	_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice", Email: "a@example.com"})
	require.NoError(t, err)
	strip.on.Store(true)
	res, err := client.Register(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "alice@"+srv.Domain(), res.Data.UserJID)
	profile, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "Alice", profile.Data.NickName)
	require.False(t, client.Features().Block)
}

func TestLogin401(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	srv.FailNext("login", 401, "Unauthorized")
	res, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	answered(t, 401, "Unauthorized", sdk.ErrInvalidCredentials, res, err)
}

func TestRegisterChecksArguments(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	for _, c := range []struct{ id, message string }{
		{"", "User identifier is empty, Please pass valid user identifier"},
		{"with space", "User identifier should not contain the whitespaces"},
		{"tab\t", "User identifier should not contain the whitespaces"},
		{"Capital", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and " +
			"underscores (_)."},
		{"ünicode", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and " +
			"underscores (_)."},
		{"a@b", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and " +
			"underscores (_)."},
		{"a\x00", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and " +
			"underscores (_)."},
	} {
		res, err := client.Register(t.Context(), c.id)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
	}
	res, err := client.Register(t.Context(), "alice",
		sdk.RegisterMetadata(map[string]any{"a": 1, "b": 2, "c": 3, "d": 4}))
	answered(t, 400, "RegisterMetadata can have at most 3 entries, not 4", sdk.ErrInvalidArgument, res, err)
	res, err = client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"a": []int{1}}))
	answered(t, 400, "metaDataType should be Valid data type", sdk.ErrInvalidArgument, res, err)
	require.Empty(t, srv.Requests(), "bad input fails before the network")

	res, err = client.Register(t.Context(), "alice",
		sdk.RegisterMetadata(map[string]any{"plan": "gold", "age": 7, "vip": true}))
	require.NoError(t, err)
	require.Equal(t, "alice", res.Data.Username)
	require.Contains(t, srv.Requests()[0].Body, `"metaData":{"age":7,"plan":"gold","vip":true}`)
}

func TestRegisterOutcomes(t *testing.T) {
	t.Run("too many sessions", func(t *testing.T) {
		srv := sdktest.New(t)
		srv.SetMaxSessions(1)
		client, _ := register(t, srv.Config(), "alice")
		res, err := client.Register(t.Context(), "alice", sdk.ForceRegister(false))
		answered(t, 405, "You have reached maximum sessions allowed.", sdk.ErrMaxSessions, res, err)
		_, err = client.Register(t.Context(), "alice")
		require.NoError(t, err, "force is the default")
	})
	t.Run("unknown licence", func(t *testing.T) {
		cfg := sdktest.New(t).Config()
		cfg.LicenseKey = "somebody else's"
		client := newClient(t, cfg)
		res, err := client.Register(t.Context(), "alice")
		e := failed(t, res, err)
		require.NotContains(t, []int{599, 499}, e.StatusCode)
		require.NotContains(t, err.Error(), cfg.LicenseKey)
	})
	t.Run("licence lookup", func(t *testing.T) {
		for _, trial := range []bool{true, false} {
			cfg := sdktest.New(t, sdktest.Options{Trial: trial}).Config()
			cfg.APIBaseURL = ""
			cfg.TrialLicense = !trial // the lookup decides
			client, credentials := register(t, cfg, "alice")
			require.Equal(t, trial, credentials.IsSandbox)
			connect(t, client, credentials)
		}
	})
	t.Run("rate limit", func(t *testing.T) {
		srv := sdktest.New(t)
		client := newClient(t, srv.Config())
		for range 3 {
			srv.FailNext("register", 429, "slow down")
		}
		res, err := client.Register(t.Context(), "alice")
		answered(t, 429, "slow down", sdk.ErrRateLimited, res, err)
		require.Equal(t, time.Second, failed(t, res, err).RetryAfter)
	})
}
