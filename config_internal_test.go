package sdk

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What has been idle for 60 s is cut by nginx (proxy_read_timeout), most ingress controllers and
// AWS load balancers. The default pings earlier than that, with a margin for the ping's own way.
func TestDefaultKeepAliveIsBelowAMinute(t *testing.T) {
	c, err := New(Config{LicenseKey: "license-key"})
	require.NoError(t, err)
	defer c.Close()
	require.Positive(t, c.cfg.KeepAlive.Interval)
	require.LessOrEqual(t, c.cfg.KeepAlive.Interval, time.Minute-5*time.Second)
}
