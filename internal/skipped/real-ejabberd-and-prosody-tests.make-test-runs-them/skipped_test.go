// Package skipped exists for its path, the one thing that `go test ./...` shows of
// a package that passes: whoever runs just that reads which tests did not run, and
// how to run them. They are not part of this module (interop/ is one of its own,
// so that what it needs never reaches importers) and want real servers installed.
//
//	go test -v ./internal/skipped/...
//
// lists them one by one.
package skipped

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const interop = "../../../interop"

func TestListsWhatDidNotRun(t *testing.T) {
	if _, err := os.Stat(interop); errors.Is(err, fs.ErrNotExist) {
		t.Log("this copy of the module has no interop/: the tests against real servers are in its repository")
		return
	}
	names := testsBelow(t, interop)
	require.NotEmpty(t, names, "interop/ is there, but has no tests")
	for _, server := range []string{"ejabberdctl", "prosody"} {
		if _, err := exec.LookPath(server); err != nil {
			t.Logf("not in PATH: %s; `make deps` installs it", server)
		}
	}
	t.Logf("not run here, because interop/ is a module of its own; `make test` runs them:\n%s", strings.Join(names, "\n"))
}

// testsBelow lists the test functions of all packages below root, as "package: function".
func testsBelow(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" {
				names = append(names, strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../../")+": "+f.Name.Name)
			}
		}
		return nil
	})
	require.NoError(t, err)
	return names
}
