package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// A fault that keeps the page out cannot be ended on the page, so it ends by itself.
func TestLockOutsEnd(t *testing.T) {
	srv := sdktest.New(t)
	synctest.Test(t, func(t *testing.T) {
		l := lockOuts{srv: srv}
		srv.SetFault(sdktest.StepHTTPAccept, sdktest.FaultClose)
		srv.SetFault(sdktest.StepHTTPTLS, sdktest.FaultClose)
		l.set(sdktest.StepHTTPAccept)
		l.set(sdktest.StepHTTPTLS)
		time.Sleep(lockOutTime / 2)
		l.set(sdktest.StepHTTPAccept) // begins anew
		time.Sleep(lockOutTime/2 + 1)
		synctest.Wait()
		left := map[sdktest.Step]sdktest.FaultKind{sdktest.StepHTTPAccept: sdktest.FaultClose}
		require.Equal(t, left, srv.Faults().Steps)
		time.Sleep(lockOutTime)
		synctest.Wait()
		require.Empty(t, srv.Faults().Steps)
		srv.SetFault(sdktest.StepHTTPTLS, sdktest.FaultClose)
		l.set(sdktest.StepHTTPTLS)
		l.lift(sdktest.StepHTTPTLS)
		l.set(sdktest.StepHTTPAccept)
		l.close()
		l.set(sdktest.StepHTTPTLS)
		time.Sleep(2 * lockOutTime)
		require.Len(t, srv.Faults().Steps, 1, "no clock runs any more")
	})
}

func TestLockOutOrder(t *testing.T) {
	e := launch(t)
	said, failure := e.order("fault", `{"step":"http-tls","kind":"wrong-sender"}`)
	require.Empty(t, failure)
	require.Contains(t, said, "ends by itself")
	_, err := client(t, e.at.CAFile).Get(e.base)
	require.Error(t, err, "a new connection meets it")
}
