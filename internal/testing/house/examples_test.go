package house

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// forPrinting are the methods by which package fmt prints a value. They need no example.
var forPrinting = []string{"Format", "String"}

// Every method of Client has an example under its own name, which the reference shows beside it.
func TestMethodsHaveExamples(t *testing.T) {
	var methods []string
	examples := make(map[string]bool)
	for _, file := range parsed(t, ".") {
		for _, example := range doc.Examples(file) {
			examples[example.Name] = true
		}
		for _, decl := range file.Decls {
			f, isFunc := decl.(*ast.FuncDecl)
			if isFunc && receiver(f) == "Client" && f.Name.IsExported() && !slices.Contains(forPrinting, f.Name.Name) {
				methods = append(methods, f.Name.Name)
			}
		}
	}
	require.Greater(t, len(methods), 40, "the methods were not found")
	for _, method := range methods {
		if !examples["Client_"+method] {
			t.Errorf("ExampleClient_%s is missing", method)
		}
	}
}

// An example without the comment "Output:" is compiled, and never runs.
func TestExamplesRun(t *testing.T) {
	count := 0
	for _, dir := range []string{".", "sdktest"} {
		for _, file := range parsed(t, dir) {
			for _, example := range doc.Examples(file) {
				count++
				if example.Output == "" && !example.EmptyOutput {
					t.Errorf("Example%s does not run: it has no output", example.Name)
				}
			}
		}
	}
	require.Greater(t, count, 50, "the examples were not found")
}

// parsed are the files of a package and its tests.
func parsed(t *testing.T, dir string) (all []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range files(t, dir, ".go") {
		if filepath.ToSlash(filepath.Dir(name)) != dir {
			continue
		}
		file, err := parser.ParseFile(
			fset, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution,
		)
		require.NoError(t, err)
		all = append(all, file)
	}
	return all
}
