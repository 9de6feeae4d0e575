package sdktest_test

import (
	"fmt"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// Outside tests: a server on free ports, and what it holds.
func ExampleStart() {
	srv, err := sdktest.Start(sdktest.Options{Trial: true, Domain: "chat.example.test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	cfg := srv.Config()
	fmt.Println(cfg.TrialLicense, cfg.LicenseKey, srv.Domain(), len(srv.Users()))
	// Output: true sdktest-license-key chat.example.test 0
}
