package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
)

// checkTypes checks those of the packages that are ours, and what they need of the others.
func checkTypes(packages []listed, sizes types.Sizes) error {
	c := checker{
		sizes: sizes, packages: map[string]listed{}, done: map[string]*types.Package{},
		known: map[string]bool{},
	}
	for _, p := range packages {
		c.packages[p.ImportPath] = p
	}
	for _, p := range packages {
		// The main package of a test is generated.
		if p.ours() && !strings.HasSuffix(p.ImportPath, ".test") {
			c.check(p)
		}
	}
	return errors.Join(c.wrong...)
}

type checker struct {
	sizes    types.Sizes
	packages map[string]listed
	done     map[string]*types.Package
	wrong    []error
	// known has the texts of wrong: what is compiled once more for a test is wrong twice.
	known map[string]bool
}

func (c *checker) add(err error) {
	if !c.known[err.Error()] {
		c.known[err.Error()] = true
		c.wrong = append(c.wrong, err)
	}
}

// check checks a package, unless it is done. Of one that is not ours only what others can use is
// looked at.
func (c *checker) check(p listed) *types.Package {
	if found := c.done[p.ImportPath]; found != nil {
		return found
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			c.add(err)
			continue
		}
		parsed = append(parsed, file)
	}
	config := types.Config{Importer: c.importer(p), Sizes: c.sizes, IgnoreFuncBodies: !p.ours(), Error: c.add}
	if p.Module != nil && p.Module.GoVersion != "" {
		config.GoVersion = "go" + p.Module.GoVersion
	}
	var info types.Info
	if p.ours() {
		info.Types = map[ast.Expr]types.TypeAndValue{}
	}
	// What is compiled for a test is called "path [path.test]".
	path, _, _ := strings.Cut(p.ImportPath, " ")
	// What is wrong was given to add.
	made, _ := config.Check(path, files, parsed, &info)
	c.done[p.ImportPath] = made
	if p.ours() {
		for _, file := range parsed {
			ast.Inspect(file, func(n ast.Node) bool {
				c.checkShift(files, &info, n)
				return true
			})
		}
	}
	return made
}

// checkShift finds a variable that is shifted by as many bits as it has, or more. go vet does, too,
// but for the words of the system that it runs on.
func (c *checker) checkShift(files *token.FileSet, info *types.Info, n ast.Node) {
	var shifted, by ast.Expr
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op == token.SHL || n.Op == token.SHR {
			shifted, by = n.X, n.Y
		}
	case *ast.AssignStmt:
		if n.Tok == token.SHL_ASSIGN || n.Tok == token.SHR_ASSIGN {
			shifted, by = n.Lhs[0], n.Rhs[0]
		}
	}
	if shifted == nil || info.Types[shifted].Value != nil || info.Types[by].Value == nil {
		return
	}
	kind, ok := info.TypeOf(shifted).Underlying().(*types.Basic)
	if !ok || kind.Info()&types.IsInteger == 0 {
		return
	}
	bits := 8 * c.sizes.Sizeof(kind)
	count := constant.ToInt(info.Types[by].Value)
	if n, exact := constant.Int64Val(count); !exact || n >= bits {
		c.add(fmt.Errorf("%v: a variable of %d bits is shifted by %v", files.Position(shifted.Pos()), bits, count))
	}
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }

// importer finds what p imports.
func (c *checker) importer(p listed) importer {
	return func(path string) (*types.Package, error) {
		if other, ok := p.ImportMap[path]; ok {
			path = other
		}
		if path == "unsafe" {
			return types.Unsafe, nil
		}
		next, ok := c.packages[path]
		if !ok {
			return nil, fmt.Errorf("%s imports %s, which go list has not named", p.ImportPath, path)
		}
		return c.check(next), nil
	}
}
