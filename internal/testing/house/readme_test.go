package house

import (
	"encoding/json"
	"go/token"
	"go/types"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README names every method of Client and everything that callers branch on: it is where
// newcomers look.
func TestReadmeNamesEveryCall(t *testing.T) {
	sdk, err := compiled(t, token.NewFileSet(), module).Import(module)
	require.NoError(t, err)
	var want []string
	for _, name := range sdk.Scope().Names() {
		if strings.HasPrefix(name, "Err") && token.IsExported(name) || strings.HasPrefix(name, "Outcome") {
			want = append(want, name)
		}
	}
	client := types.NewMethodSet(types.NewPointer(sdk.Scope().Lookup("Client").Type()))
	for i := range client.Len() {
		switch name := client.At(i).Obj().Name(); name {
		case "String", "Format", "LogValue": // for fmt and log/slog
		default:
			if token.IsExported(name) {
				want = append(want, name)
			}
		}
	}
	require.Greater(t, len(want), 40)
	named := make(map[string]bool)
	for _, span := range codeSpan.FindAllStringSubmatch(read(t, "README.md"), -1) {
		for _, name := range goName.FindAllString(span[1], -1) {
			named[name] = true
		}
	}
	for _, name := range want {
		if !named[name] {
			t.Errorf("README.md does not name `%s`", name)
		}
	}
}

// Every dependency has a line in the README: what for, instead of what, licence, release.
func TestDependenciesAreExplained(t *testing.T) {
	readme := read(t, "README.md")
	row := func(dependency string) string {
		for line := range strings.Lines(readme) {
			if strings.HasPrefix(line, "| "+dependency+" |") {
				return line
			}
		}
		return ""
	}
	for _, file := range files(t, ".", "go.mod") {
		var mod struct {
			Require []struct {
				Path, Version string
				Indirect      bool
			}
		}
		require.NoError(t, json.Unmarshal([]byte(goCommand(t, "mod", "edit", "-json", file)), &mod))
		require.NotEmpty(t, mod.Require, file)
		for _, r := range mod.Require {
			if r.Indirect || r.Path == module || strings.HasPrefix(r.Path, module+"/") {
				continue
			}
			switch line := row(r.Path); {
			case line == "":
				t.Errorf("%s needs %s: README.md has no line about it under Dependencies", file, r.Path)
			case strings.Count(line, "|") != 5:
				t.Errorf("README.md: the line about %s has not four cells", r.Path)
			case !strings.Contains(r.Version, "-") && !strings.Contains(line, r.Version):
				t.Errorf(
					"README.md: %s has %s at %s, the line under Dependencies says otherwise", path.Dir(file), r.Path,
					r.Version,
				)
			}
		}
	}
}
