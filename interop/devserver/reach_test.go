package devserver_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/browser"
)

// TestPrintedJavaScript: what the emulator prints for JavaScript works with the official SDK in a
// browser that is started as it says.
func TestPrintedJavaScript(t *testing.T) {
	browser.NeedPackage(t, "../jssdk", "mirrorfly-sdk")
	program := build(t)
	for _, trial := range []string{"true", "false"} {
		t.Run("trial "+trial, func(t *testing.T) {
			e := start(t, program, "-trial="+trial)
			text := e.help()
			command := regexp.MustCompile(`(?m)^    chromium .*$`).FindString(text)
			require.NotEmpty(t, command, text)
			rules := regexp.MustCompile(`--host-resolver-rules="(.*)"`).FindStringSubmatch(command)
			require.NotNil(t, rules, command)
			require.Contains(t, command, " --ignore-certificate-errors ")
			call := regexp.MustCompile(`(?m)^    await MirrorFly(.*\n)+?    }\);$`).FindString(text)
			require.NotEmpty(t, call, text)

			b := browser.Start(t, browser.Options{
				Driver: "../jssdk/driver.mjs", Flags: []string{
					"--ignore-certificate-errors", "--host-resolver-rules=" + rules[1],
				},
			})
			b.Do(t, "openApp", browser.Params{"page": "app", "timezone": "UTC"}, nil)
			var codes []int
			b.Do(t, "evaluate", browser.Params{"page": "app", "code": `(async () => {
				const begun = ` + strings.TrimSpace(call) + `
				const me = await MirrorFly.register("alice");
				const connected = await MirrorFly.connect(me.data.username, me.data.password);
				return [begun.statusCode, me.statusCode, connected.statusCode];
			})()`}, &codes)
			require.Equal(t, []int{200, 200, 200}, codes)
			page := b.Open(t, "page", e.page(), 800, 600, false)
			page.AwaitText(row("alice")+" .on", "") // by whatever resource
		})
	}
}
