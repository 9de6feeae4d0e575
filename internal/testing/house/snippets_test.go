package house

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The names that a block of Go may use without importing or declaring them. A block with a package
// clause is a whole file and must declare everything. A block without one is declarations, if it
// can be parsed as such, or else the body of a function with these parameters.
const (
	freeImports = `bytes context errors fmt io log log/slog net net/http os os/signal sync testing time ` +
		module + ` ` + module + `/sdktest github.com/stretchr/testify/require`
	freeParameters = `ctx context.Context, t *testing.T, srv *sdktest.Server, cfg sdk.Config, client *sdk.Client, ` +
		`err error`
)

// Every block of Go in a document compiles against the library as it is.
func TestGoOfDocuments(t *testing.T) {
	var blocks []block
	needed := strings.Fields(freeImports)
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.lang == "go" && !elsewhere(b) {
				blocks = append(blocks, b)
				needed = append(needed, importsOf(b)...)
			}
		}
	}
	require.NotEmpty(t, blocks)
	check := newChecker(t, needed)
	for _, b := range blocks {
		if err := check(b); err != nil {
			t.Errorf("%s: this block of Go does not compile: %v", b.where(), err)
		}
	}
}

// elsewhere reports whether b is, word for word, a part of a file of another module, which is
// compiled there.
func elsewhere(b block) bool {
	name, is := strings.CutPrefix(b.mark, "file: ")
	dir, _, _ := strings.Cut(name, "/")
	return is && exists(dir+"/go.mod")
}

func importsOf(b block) (paths []string) {
	file, err := parser.ParseFile(token.NewFileSet(), "", b.text, parser.ImportsOnly)
	if err != nil {
		return nil // no whole file
	}
	for _, spec := range file.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, `"`))
	}
	return paths
}

// newChecker returns a function that type-checks blocks, which may use these packages.
func newChecker(t *testing.T, paths []string) func(block) error {
	t.Helper()
	slices.Sort(paths)
	fset := token.NewFileSet()
	packages := compiled(t, fset, slices.Compact(paths)...)
	return func(b block) error {
		file, whole, err := parseBlock(fset, b)
		if err != nil {
			return err
		}
		var failure error
		config := types.Config{Importer: packages, Error: func(err error) {
			// In a part of a program, names may be used only in another part.
			if e, ok := err.(types.Error); failure == nil && !(ok && e.Soft && !whole) {
				failure = err
			}
		}}
		_, _ = config.Check("block", fset, []*ast.File{file}, nil) // told to Error
		return failure
	}
}

// parseBlock makes a file of a block. Positions are those of the document.
func parseBlock(fset *token.FileSet, b block) (file *ast.File, whole bool, err error) {
	code := fmt.Sprintf("//line %s\n%s", b.where(), b.text)
	head := "package block\n"
	for _, p := range strings.Fields(freeImports) {
		head += fmt.Sprintf("import %q\n", p)
	}
	if file, err = parser.ParseFile(fset, "", code, 0); err == nil {
		return file, true, nil
	}
	if file, err = parser.ParseFile(fset, "", head+code, 0); err == nil {
		return file, false, nil
	}
	file, err = parser.ParseFile(fset, "", head+"func _("+freeParameters+") error {\n{\n"+code+"}\nreturn nil\n}\n", 0)
	return file, false, err
}

// Every block that is marked as a file, or as what a program prints, agrees with it.
func TestMarkedBlocks(t *testing.T) {
	seen := 0
	for _, d := range documents(t) {
		for i, b := range d.blocks {
			if b.mark == "" {
				continue
			}
			seen++
			before := block{}
			if i > 0 {
				before = d.blocks[i-1]
			}
			t.Run(b.where(), func(t *testing.T) { checkMark(t, b, before) })
		}
	}
	require.Positive(t, seen)
}

func checkMark(t *testing.T, b, before block) {
	kind, rest, _ := strings.Cut(b.mark, ":")
	args := strings.Fields(rest)
	switch {
	case kind == "file" && len(args) > 0:
		require.Equal(t, excerpt(t, args[0], args[1:]), b.text, "the block differs from %s", rest)
	case kind == "prints" && rest == "":
		require.Equal(t, runAlone(t, before.text), b.text, "the block is not what the program before prints")
	case kind == "prints" && len(args) > 2 && args[0] == "go" && args[1] == "run":
		out := run(t, args[2], args[3:]...)
		if line := agrees(out, b.text); line != "" {
			t.Errorf("%s does not print this line, or not there:\n%s\nIt prints:\n%s", rest, line, out)
		}
	default:
		t.Errorf("the comment %q is not understood", b.mark)
	}
}

// excerpt is a file, or one function of it.
func excerpt(t *testing.T, name string, decls []string) string {
	t.Helper()
	text := read(t, name)
	if len(decls) == 0 {
		return text
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	decl := slices.IndexFunc(file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Recv == nil && f.Name.Name == decls[0]
	})
	require.GreaterOrEqual(t, decl, 0, "%s has no function %s", name, decls[0])
	var out bytes.Buffer
	config := printer.Config{Mode: printer.UseSpaces | printer.TabIndent, Tabwidth: 8}
	require.NoError(t,
		config.Fprint(&out, fset, &printer.CommentedNode{Node: file.Decls[decl], Comments: file.Comments}),
	)
	return out.String() + "\n"
}

// runAlone runs a program in a module of its own, by the commands of the README for a user who has
// only a clone, and returns what the last command prints. On a fresh machine "go mod tidy" fetches
// modules that only the tests of the dependencies need.
func runAlone(t *testing.T, program string) (printed string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600))
	clone, err := filepath.Abs(root)
	require.NoError(t, err)
	readme := parseMarkdown("README.md", read(t, "README.md")).blocks
	way := slices.IndexFunc(
		readme, func(b block) bool { return b.lang == "sh" && strings.Contains(b.text, "go mod init") },
	)
	require.GreaterOrEqual(t, way, 0, "README.md does not say how to make a module")
	for line := range strings.Lines(readme[way].text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "go" {
			continue // the folder is there
		}
		for i := range words {
			words[i] = strings.Replace(words[i], "../sdk", clone, 1)
		}
		cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
		cmd.Dir = dir
		cmd.Env = append(withoutService(), "GOWORK=off")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Run(), "%s\n%s%s", line, &stdout, &stderr)
		printed = stdout.String()
	}
	return printed
}

// withoutService is the environment without the variables for a real service.
func withoutService() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MIRRORFLY_") })
}

// run builds and runs a program, a folder of the repository, and returns what it prints.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), path.Base(program)+".exe")
	goCommand(t, "build", "-o", binary, program)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = withoutService()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s\n%s%s", program, &stdout, &stderr)
	return stdout.String()
}

// changing matches what differs from run to run: numbers and tokens.
var changing = regexp.MustCompile(`[\w-]*\d[\w.-]*`)

// agrees compares what a document shows with what a program prints. Each line must be there, in
// this order. Words with a digit in them, blanks, and lines in between may differ. It returns the
// first line that is missing.
func agrees(printed, shown string) (missing string) {
	plain := func(s string) string { return changing.ReplaceAllString(strings.Join(strings.Fields(s), " "), "#") }
	rest := strings.Split(printed, "\n")
	for line := range strings.Lines(shown) {
		if strings.Trim(line, ". \n") == "" {
			continue
		}
		at := slices.IndexFunc(rest, func(have string) bool { return plain(have) == plain(line) })
		if at < 0 {
			return line
		}
		rest = rest[at+1:]
	}
	return ""
}

// The checks must let good blocks pass, and no others.
func TestSnippetChecks(t *testing.T) {
	check := newChecker(t, append(strings.Fields(freeImports), "strings"))
	for name, c := range map[string]struct{ text, says string }{
		"statements":        {"res, err := client.Register(ctx, \"alice\")\nif err != nil {\n\treturn err\n}\n", ""},
		"own names":         {"_, err := client.Logout(ctx)\nclient, cfg := 1, 2\n", ""},
		"declarations":      {"func TestX(t *testing.T) { _ = sdktest.New(t) }\n", ""},
		"whole":             {"package main\nimport \"strings\"\nfunc main() { _ = strings.ToUpper(\"\") }\n", ""},
		"method":            {"x := 1\nclient.Rgister(ctx, \"alice\")\n", "x.md:8: client.Rgister undefined"},
		"field":             {"_ = sdk.Config{Licence: \"\"}\n", "unknown field Licence"},
		"argument":          {"client.Logout()\n", "not enough arguments"},
		"import":            {"_ = strings.ToUpper(\"\")\n", "undefined: strings"},
		"unused in a whole": {"package main\nfunc main() { x := 1 }\n", "declared and not used: x"},
		"syntax":            {"if x {\n", "expected"},
	} {
		err := check(block{doc: "x.md", line: 7, text: c.text})
		if c.says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.says, name)
		}
	}
	const printed = "CALL\na.Get(x)   200   1.25ms  token 5f3a-77\nb.Get(x) 200 3ms ok\n"
	require.Empty(t, agrees(printed, "a.Get(x) 200 9.5ms token 99\n...\nb.Get(x) 200 7ms ok\n"))
	require.NotEmpty(t, agrees(printed, "b.Get(x) 200 7ms ok\na.Get(x) 200 9.5ms token 99\n"))
	require.NotEmpty(t, agrees(printed, "c.Get(x) 200 7ms ok\n"))
	require.Equal(t,
		"func read(t *testing.T, name string) string {",
		strings.SplitN(excerpt(t, "internal/testing/house/house_test.go", []string{"read"}), "\n", 2)[0],
	)
}
