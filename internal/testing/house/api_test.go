package house

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/api from the code")

const howToChangeTheAPI = "If that is meant: `go test ./internal/testing/house -run TestAPI -update`, and say it " +
	"in CHANGELOG.md under Unreleased."

// The exported API is what testdata/api says, and what it gained or lost since the last release is
// in the changelog.
func TestAPI(t *testing.T) {
	log := parseChangelog(read(t, "CHANGELOG.md"))
	for name, path := range published {
		t.Run(name, func(t *testing.T) {
			imported, err := compiled(t, token.NewFileSet(), path).Import(path)
			require.NoError(t, err)
			now := api(imported)
			require.NotEmpty(t, now)
			golden := "testdata/api/" + name + ".txt"
			if *update {
				require.NoError(t,
					os.WriteFile(filepath.Join(root, golden), []byte(strings.Join(now, "\n")+"\n"), 0o644),
				)
			}
			gone, added := changes(lines(read(t, golden)), now)
			if len(gone)+len(added) > 0 {
				t.Errorf(
					"the exported API of package %s is not what %s says:\n%s%s", name, golden,
					marked("-", gone)+marked("+", added), howToChangeTheAPI,
				)
			}
			var released []string
			if log.release != "" {
				file := "testdata/api/" + name + "-" + log.release + ".txt"
				require.True(t,
					exists(file),
					"CHANGELOG.md says that %s was released: %s is to be made, see CONTRIBUTING.md under Release",
					log.release, file,
				)
				released = lines(read(t, file))
			}
			if silent := unmentioned(released, now, log.unreleased); len(silent) > 0 {
				t.Errorf("CHANGELOG.md says nothing under Unreleased about what package %s gained (+) or lost (-) "+
					"since the last release. Name these in `code`:\n%s",
					name, strings.Join(silent, "\n"))
			}
		})
	}
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

func marked(mark string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&b, "%s %s\n", mark, line)
	}
	return b.String()
}

// changes returns the lines that are only in before, and those that are only in after.
func changes(before, after []string) (gone, added []string) {
	only := func(in, not []string) []string {
		return slices.DeleteFunc(slices.Clone(in), func(line string) bool { return slices.Contains(not, line) })
	}
	return only(before, after), only(after, before)
}

// api lists what a package exports, one line for each declaration, field and method, sorted.
func api(p *types.Package) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	text := func(t types.Type) string { return types.TypeString(t, types.RelativeTo(p)) }
	for _, name := range p.Scope().Names() {
		switch o := p.Scope().Lookup(name).(type) {
		case *types.Const:
			if o.Exported() {
				add("const %s %s = %s", name, text(o.Type()), o.Val().ExactString())
			}
		case *types.TypeName:
			if o.Exported() {
				out = append(out, apiOfType(o, text)...)
			}
		case *types.Func:
			if o.Exported() {
				add("func %s%s", name, strings.TrimPrefix(text(o.Type()), "func"))
			}
		case *types.Var:
			if o.Exported() {
				add("var %s %s", name, text(o.Type()))
			}
		}
	}
	slices.Sort(out)
	return out
}

// apiOfType lists the type itself, its exported fields, and the methods of it and its pointer, one
// in a line.
func apiOfType(o *types.TypeName, text func(types.Type) string) []string {
	if o.IsAlias() {
		return []string{fmt.Sprintf("type %s = %s", o.Name(), text(types.Unalias(o.Type())))}
	}
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	switch u := o.Type().Underlying().(type) {
	case *types.Struct:
		add("type %s struct", text(o.Type()))
		for i := range u.NumFields() {
			if f := u.Field(i); f.Exported() {
				add("field %s.%s %s", o.Name(), f.Name(), strings.TrimSpace(text(f.Type())+" "+u.Tag(i)))
			}
		}
	case *types.Interface:
		add("type %s interface", text(o.Type()))
	default:
		add("type %s %s", text(o.Type()), text(u))
	}
	methods := types.NewMethodSet(o.Type())
	if !types.IsInterface(o.Type()) {
		methods = types.NewMethodSet(types.NewPointer(o.Type()))
	}
	for i := range methods.Len() {
		if m := methods.At(i).Obj().(*types.Func); m.Exported() {
			add(
				"method (%s) %s%s", text(m.Signature().Recv().Type()), m.Name(),
				strings.TrimPrefix(text(m.Type()), "func"),
			)
		}
	}
	return out
}

// changelog is the part of CHANGELOG.md that the tests need.
type changelog struct {
	unreleased map[string]bool // every Go name in the code of that section
	release    string          // the newest version that has a section; empty: none
}

var (
	section  = regexp.MustCompile(`(?m)^## \[?([^\]\s]+).*$`)
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	goName   = regexp.MustCompile(`[\pL_][\pL\pN_]*`)
)

func parseChangelog(text string) changelog {
	log := changelog{unreleased: make(map[string]bool)}
	heads := section.FindAllStringSubmatchIndex(text, -1)
	for i, head := range heads {
		title, end := text[head[2]:head[3]], len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		if title != "Unreleased" {
			log.release = title
			return log
		}
		for _, span := range codeSpan.FindAllStringSubmatch(text[head[1]:end], -1) {
			for _, name := range goName.FindAllString(span[1], -1) {
				log.unreleased[name] = true
			}
		}
	}
	return log
}

// unmentioned lists the changes since a release that the changelog does not name. When a type was
// added or removed, its fields, its constants, and the methods of an interface need no mention.
func unmentioned(released, now []string, mentioned map[string]bool) []string {
	gone, added := changes(released, now)
	all := slices.Concat(gone, added)
	owners := make(map[string]bool) // types that came or went; "(T)" for an interface T
	for _, line := range all {
		if kind, rest, _ := strings.Cut(line, " "); kind == "type" {
			name := goName.FindString(rest)
			owners[name] = true
			owners["("+name+")"] = strings.HasSuffix(line, " interface")
		}
	}
	covered := func(line string) bool {
		parts := strings.Fields(line)
		switch parts[0] {
		case "field":
			owner, name, _ := strings.Cut(parts[1], ".")
			return owners[owner] || mentioned[name]
		case "const":
			return owners[parts[2]] || mentioned[parts[1]]
		case "method":
			return owners[parts[1]] || mentioned[goName.FindString(parts[2])]
		}
		return mentioned[goName.FindString(parts[1])]
	}
	return slices.DeleteFunc(
		lines(marked("-", gone)+marked("+", added)), func(line string) bool { return line == "" || covered(line[2:]) },
	)
}

// The guard must see every kind of change, and the changelog must be able to excuse it.
func TestAPIChangesAreSeen(t *testing.T) {
	const before = `package p
import ("context"; "net/http")
type Kind string
const One Kind = "one"
type Client struct { hidden int; Http *http.Client ` + "`json:\"h\"`" + ` }
func (c *Client) Get(ctx context.Context, id string) (R[Kind], error) { panic(0) }
func (Client) close() {}
type R[T any] struct { Data T }
type Doer interface { Do(int) }
type Alias = struct{}
func New(opts ...func(*Client)) *Client { return nil }
var ErrX error
`
	want := []string{
		`const One Kind = "one"`,
		`field Client.Http *net/http.Client json:"h"`,
		`field R.Data T`,
		`func New(opts ...func(*Client)) *Client`,
		`method (*Client) Get(ctx context.Context, id string) (R[Kind], error)`,
		`method (Doer) Do(int)`,
		`type Alias = struct{}`,
		`type Client struct`,
		`type Doer interface`,
		`type Kind string`,
		`type R[T any] struct`,
		`var ErrX error`,
	}
	first := apiOf(t, before)
	require.Equal(t, want, first)
	require.Empty(t, unmentioned(first, apiOf(t, before+"func hidden() {}\n"), nil), "not exported")
	for _, c := range []struct{ from, to, mention string }{
		{`id string)`, `id string, force bool)`, "Get"},
		{`Get(`, `Fetch(`, "Get` is `Client.Fetch"},
		{`"one"`, `"uno"`, "One"},
		{`json:"h"`, `json:"x"`, "Http"},
		{`{ Data T }`, `{ Data, More T }`, "R.More"},
		{`type Kind string`, `type Kind string; type Size int; const Big Size = 1`, "Size"},
		{`type Kind string`, `type Kind string; type Closer interface{ Close() }`, "Closer"},
		{`var ErrX`, `var ErrX, ErrY`, "ErrY"},
		{`Do(int)`, `Do(int) error`, "Do"},
		{`func (Client) close`, `func (Client) Close`, "Close"},
	} {
		second := apiOf(t, strings.Replace(before, c.from, c.to, 1))
		require.NotEmpty(t,
			unmentioned(first, second, parseChangelog("## Unreleased\n- Nothing of it.").unreleased), c.to,
		)
		note := "## [Unreleased]\n- About `" + c.mention + "`.\n"
		require.Empty(t, unmentioned(first, second, parseChangelog(note).unreleased), c.to)
		old := parseChangelog("## Unreleased\n## [0.1.0] - 2026-01-01\n- About `" + c.mention + "`.\n")
		require.NotEmpty(t, unmentioned(first, second, old.unreleased), "an older section does not count")
		require.Equal(t, "0.1.0", old.release)
	}
}

func apiOf(t *testing.T, source string) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	require.NoError(t, err)
	config := types.Config{Importer: compiled(t, fset, "context", "net/http")}
	p, err := config.Check("p", fset, []*ast.File{file}, nil)
	require.NoError(t, err)
	return api(p)
}
