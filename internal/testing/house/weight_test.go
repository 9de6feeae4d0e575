package house

import (
	"encoding/json"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// maxModules is how many modules a program that imports sdk compiles, besides sdk and the
	// standard library.
	maxModules = 4
	// maxAdded is how many bytes a program that speaks HTTP grows by when it uses all of sdk: 2700
	// before there were hooks, and errors of a first connect that say what to check.
	maxAdded = 2950 << 10
	// maxWithoutMessages is the same for all but the calls of messages: 2200 before there were any,
	// and 2400 before the same, and downloads that go on from an offset.
	maxWithoutMessages = 2700 << 10
)

// A program that imports sdk compiles few modules of others.
func TestModulesThatImportersCompile(t *testing.T) {
	modules := make(map[string]bool)
	for path := range strings.Lines(goCommand(t, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module)) {
		if path = strings.TrimSpace(path); path != "" && path != module {
			modules[path] = true
		}
	}
	require.NotEmpty(t, modules, "the dependencies were not found")
	require.LessOrEqual(t, len(modules), maxModules, "%v", modules)
}

// Tests that import sdktest compile no database: only the emulator keeps accounts on disk. Of this
// module sdktest needs the type sdk.Config and the service's encryption alone, so that a mistake in
// the client cannot be repeated by its server. (What package sdk itself imports comes with it.)
func TestSdktestIsLight(t *testing.T) {
	deps := goCommand(t, "list", "-deps", module+"/sdktest")
	require.Contains(t, deps, "mellium.im/sasl\n", "the dependencies were not found")
	require.NotContains(t, deps, "go.etcd.io/bbolt")
	for path := range strings.Lines(goCommand(t, "list", "-f", `{{join .Imports "\n"}}`, module+"/sdktest")) {
		if path = strings.TrimSpace(path); strings.HasPrefix(path, module) {
			require.Contains(t, []string{module, module + "/internal/seal"}, path)
		}
	}
}

// A binary with net/http grows little, even when it calls everything that sdk has.
func TestBinarySize(t *testing.T) {
	const without = `package main

import (
	"fmt"
	"net/http"
)

func main() { fmt.Println(http.Get("https://service.example")) }
`
	with := strings.Replace(without, "\n)", "\n\n\t\""+module+"\"\n)", 1)
	before := binarySize(t, "without", without)
	profiles := binarySize(t, "profiles", with+everyCall(t, ofMessages))
	all := binarySize(t, "all", with+everyCall(t, nil))
	t.Logf("%d KiB, %d KiB more without messages, %d KiB more with all", before>>10, (profiles-before)>>10,
		(all-before)>>10)
	require.Greater(t, profiles, before+256<<10, "the calls were not linked")
	require.Greater(t, all, profiles, "the calls of messages were not linked")
	require.LessOrEqual(t, profiles-before, int64(maxWithoutMessages))
	require.LessOrEqual(t, all-before, int64(maxAdded))
}

// ofMessages are the names of what only programs with messages use.
var ofMessages = regexp.MustCompile(`Messages?($|[A-Z])|Chats?$|Typing|Seen(Status)|Users?List|FriendsList`)

// everyCall is Go code that keeps all exported functions and methods of sdk in a binary, but for
// those whose name matches without, if that is not nil.
func everyCall(t *testing.T, without *regexp.Regexp) string {
	t.Helper()
	sdk, err := compiled(t, token.NewFileSet(), module).Import(module)
	require.NoError(t, err)
	var calls strings.Builder
	left := func(name string) bool { return without == nil || !without.MatchString(name) }
	for _, name := range sdk.Scope().Names() {
		if !left(name) {
			continue
		}
		switch o := sdk.Scope().Lookup(name).(type) {
		case *types.Func:
			if o.Exported() {
				fmt.Fprintf(&calls, "\tsdk.%s,\n", name)
			}
		case *types.TypeName:
			named, ok := o.Type().(*types.Named)
			if !ok || !o.Exported() || named.TypeParams() != nil {
				continue
			}
			methods := types.NewMethodSet(types.NewPointer(named))
			for i := range methods.Len() {
				if m := methods.At(i).Obj(); m.Exported() && left(m.Name()) {
					fmt.Fprintf(&calls, "\t(*sdk.%s).%s,\n", name, m.Name())
				}
			}
		}
	}
	return "\nvar calls = []any{\n" + calls.String() + "}\n\nfunc init() { fmt.Println(calls...) }\n"
}

// binarySize builds a program as for a release, as a package of this module that exists only in an
// overlay.
func binarySize(t *testing.T, name, source string) int64 {
	t.Helper()
	dir := t.TempDir()
	file, overlay, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json"),
		filepath.Join(dir, "program.exe")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o644))
	at, err := filepath.Abs(filepath.Join(root, "internal", "testing", "house", "weighed", name, "main.go"))
	require.NoError(t, err)
	raw, err := json.Marshal(map[string]any{"Replace": map[string]string{at: file}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, raw, 0o644))
	t.Setenv("CGO_ENABLED", "0")
	t.Setenv("GOFLAGS", strings.ReplaceAll(os.Getenv("GOFLAGS"), "-race", "")) // that needs cgo
	goCommand(t,
		"build", "-overlay", overlay, "-trimpath", "-ldflags", "-s -w", "-o", binary,
		"./internal/testing/house/weighed/"+name,
	)
	info, err := os.Stat(binary)
	require.NoError(t, err)
	return info.Size()
}
