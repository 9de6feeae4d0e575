package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Everything exported has a doc comment. In public packages that includes fields, in internal ones
// methods.
func TestExportsAreDocumented(t *testing.T) {
	var missing []string
	documented := make(map[string]bool) // packages with a package comment
	for _, name := range files(t, ".", ".go") {
		dir := path.Dir(name)
		isPublic := dir == "." || dir == "sdktest" || dir == "sdkotel"
		if strings.HasSuffix(name, "_test.go") || !isPublic && !strings.HasPrefix(dir, "internal/") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(
			fset, filepath.Join(root, name), nil, parser.ParseComments|parser.SkipObjectResolution,
		)
		require.NoError(t, err)
		documented[dir] = documented[dir] || says(file.Doc)
		for _, u := range undocumented(file, isPublic) {
			missing = append(missing, fmt.Sprintf("%s:%d: %s", name, fset.Position(u.at).Line, u.name))
		}
	}
	for dir, has := range documented {
		if !has {
			missing = append(missing, dir+": the package itself")
		}
	}
	slices.Sort(missing)
	require.Greater(t, len(documented), 5, "the packages were not found")
	if len(missing) > 0 {
		t.Errorf("exported without a doc comment:\n%s", strings.Join(missing, "\n"))
	}
}

// A test that finds nothing must be able to find something.
func TestUndocumentedExportsAreFound(t *testing.T) {
	const source = `package p
func Bare() {}
// Said is said.
func Said() {}
func hidden() {}
type T struct {
	Bare, Twice int
	Said int // said
	// Above is said.
	Above int
	Inner struct{ Bare int } // said
	hidden int
	T2
}
func (T) Bare() {}
func (hidden) Bare() {}
func (*G[K, V]) Bare() {}
// I is said.
type I interface { Bare(); hidden() }
const A = 1
// A group may say it for all.
const ( B = 2; c = 3 )
const (
	D = 4 // said
	E = 5
)
//go:noinline
func Directive() {}
`
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	names := func(all bool) (names []string) {
		for _, u := range undocumented(file, all) {
			names = append(names, u.name)
		}
		return names
	}
	inner := []string{"Bare", "T", "T.Bare", "G.Bare", "A", "E", "Directive"}
	require.ElementsMatch(t, inner, names(false))
	require.ElementsMatch(t, append(inner, "T.Bare", "T.Twice", "T.Inner.Bare", "T.T2", "I.Bare"), names(true))
}

// export is a name that lacks a comment.
type export struct {
	name string
	at   token.Pos
}

// undocumented lists the exports of a file without a comment; with members also fields and the
// methods of interfaces.
func undocumented(file *ast.File, members bool) (missing []export) {
	miss := func(name string, at token.Pos) { missing = append(missing, export{name, at}) }
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			owner := receiver(d)
			if d.Name.IsExported() && (owner == "" || ast.IsExported(owner)) && !says(d.Doc) {
				miss(strings.TrimPrefix(owner+"."+d.Name.Name, "."), d.Pos())
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				undocumentedSpec(d, spec, members, miss)
			}
		}
	}
	return missing
}

func undocumentedSpec(d *ast.GenDecl, spec ast.Spec, members bool, miss func(string, token.Pos)) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		if !says(d.Doc, s.Doc, s.Comment) {
			miss(s.Name.Name, s.Pos())
		}
		if members {
			undocumentedMembers(s.Name.Name, s.Type, miss)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && !says(d.Doc, s.Doc, s.Comment) {
				miss(name.Name, name.Pos())
			}
		}
	}
}

// undocumentedMembers looks at the fields of a struct and the methods of an interface. Each needs a
// comment of its own.
func undocumentedMembers(owner string, typ ast.Expr, miss func(string, token.Pos)) {
	var list *ast.FieldList
	switch t := typ.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		names := field.Names
		if len(names) == 0 { // embedded
			if name := base(field.Type); name != "" {
				names = []*ast.Ident{{Name: name, NamePos: field.Pos()}}
			}
		}
		for _, name := range names {
			if !name.IsExported() {
				continue
			}
			if !says(field.Doc, field.Comment) {
				miss(owner+"."+name.Name, name.Pos())
			}
			undocumentedMembers(owner+"."+name.Name, field.Type, miss)
		}
	}
}

// says reports whether one of the comments has words: a directive such as //go:embed has none.
func says(comments ...*ast.CommentGroup) bool {
	return slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) != "" })
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	return base(d.Recv.List[0].Type)
}

// base is the name of a type without pointer, package and type arguments.
func base(typ ast.Expr) string {
	switch t := typ.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return base(t.X)
	case *ast.SelectorExpr:
		return t.Sel.Name
	case *ast.IndexExpr:
		return base(t.X)
	case *ast.IndexListExpr:
		return base(t.X)
	}
	return ""
}
