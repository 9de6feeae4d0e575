// Package house holds the tests that watch over the repository itself: that everything exported is
// documented, that the public API changes only on purpose, and that what the documents say
// compiles, runs and exists.
package house

import (
	"bytes"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	// The tests read these through the go command, which the test cache does not see. With the
	// imports, a change there runs the tests again.
	_ "github.com/mirrorfly-go/sdk"
	_ "github.com/mirrorfly-go/sdk/sdktest"
)

const (
	root   = "../../.." // of the module, seen from here
	module = "github.com/mirrorfly-go/sdk"
)

// published are the packages that other people's code compiles against.
var published = map[string]string{"sdk": module, "sdktest": module + "/sdktest"}

// files lists the files below dir whose names end in suffix, with slashes and relative to the
// module's root. It leaves out folders without source of ours.
func files(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && name != ".github" &&
				name != ".." {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, suffix) {
			rel, err := filepath.Rel(root, path)
			found = append(found, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	require.NoError(t, err)
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

// goCommand runs the go command in the module's root and returns its standard output.
func goCommand(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "go %s\n%s", strings.Join(args, " "), &stderr)
	return stdout.String()
}

// compiled makes an importer of the named packages, and of all that they need, as the go command
// has compiled them. It builds what is missing, and needs no network.
func compiled(t *testing.T, fset *token.FileSet, paths ...string) types.Importer {
	t.Helper()
	archives := make(map[string]string)
	list := goCommand(t,
		append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, paths...)...,
	)
	for line := range strings.Lines(list) {
		path, archive, _ := strings.Cut(strings.TrimSpace(line), "\t")
		archives[path] = archive
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if archives[path] == "" {
			return nil, fmt.Errorf("package %q is not compiled", path)
		}
		return os.Open(archives[path])
	})
}
