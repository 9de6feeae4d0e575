package fleet_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
)

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fleet.Config)
		text   string
	}{
		"no accounts":       {func(c *fleet.Config) { c.Accounts = nil }, "Accounts"},
		"no store":          {func(c *fleet.Config) { c.Store = nil }, "Store"},
		"no licence key":    {func(c *fleet.Config) { c.Client.LicenseKey = "" }, "License key"},
		"device id":         {func(c *fleet.Config) { c.Client.DeviceID = "a b" }, "DeviceID"},
		"refresh":           {func(c *fleet.Config) { c.Refresh = -1 }, "Refresh"},
		"short TTL":         {func(c *fleet.Config) { c.TTL = time.Millisecond }, "TTL"},
		"long TTL":          {func(c *fleet.Config) { c.TTL = 2 * time.Hour }, "TTL"},
		"max":               {func(c *fleet.Config) { c.Max = -1 }, "Max"},
		"logins":            {func(c *fleet.Config) { c.LoginsPerSecond = -1 }, "LoginsPerSecond"},
		"logins, no number": {func(c *fleet.Config) { c.LoginsPerSecond = math.NaN() }, "LoginsPerSecond"},
		"logins, infinite":  {func(c *fleet.Config) { c.LoginsPerSecond = math.Inf(1) }, "LoginsPerSecond"},
		"name":              {func(c *fleet.Config) { c.Name = "a*" }, "Name"},
		"long name":         {func(c *fleet.Config) { c.Name = strings.Repeat("a", 65) }, "Name"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := fleet.Config{
				Client:   sdk.Config{LicenseKey: "key", APIBaseURL: "https://api.example.com"},
				Accounts: func(context.Context) ([]fleet.Account, error) { return nil, nil },
				Store:    fleettest.NewStore(),
			}
			_, err := fleet.New(cfg)
			require.NoError(t, err)
			c.change(&cfg)
			_, err = fleet.New(cfg)
			require.ErrorContains(t, err, c.text)
		})
	}
}
