package house

import (
	"fmt"
	"go/scanner"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const (
	maxTextColumns = 100 // of a comment, and of a line of a document
	maxCodeColumns = 120
	tabColumns     = 4
)

// A comment and a line of a document have at most 100 columns, and Go code has at most 120.
func TestLinesAreNarrow(t *testing.T) {
	var wide []string
	seen := 0
	for _, name := range slices.Concat(files(t, ".", ".go"), files(t, ".", ".md")) {
		seen++
		wide = append(wide, wideLines(name, read(t, name))...)
	}
	require.Greater(t, seen, 50, "the files were not found")
	if len(wide) > 0 {
		t.Errorf("%d lines are too wide:\n%s", len(wide), strings.Join(wide, "\n"))
	}
}

// wideLines lists the lines that are too wide, as "name:line: columns".
func wideLines(name, text string) (wide []string) {
	limits := documentLimits
	if path.Ext(name) == ".go" {
		limits = goLimits
	}
	all := strings.Split(text, "\n")
	for i, most := range limits(text, len(all)) {
		if n := columns(all[i]); most > 0 && n > most {
			wide = append(wide, fmt.Sprintf("%s:%d: %d columns, more than %d", name, i+1, n, most))
		}
	}
	return wide
}

// columns is the width of a line without the URLs in it, since a URL cannot be cut.
func columns(line string) int {
	n := utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
	for _, word := range strings.Fields(line) {
		if strings.Contains(word, "://") {
			n -= utf8.RuneCountInString(word)
		}
	}
	return n
}

// goLimits returns how many columns each line of a Go file may have; 0: any number. A line with a
// comment has the limit of comments. A string over several lines has no limit, and neither has a
// directive, which must be on one line.
func goLimits(text string, lines int) []int {
	limits := slices.Repeat([]int{maxCodeColumns}, lines)
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return limits
		}
		most := 0
		switch {
		case tok == token.COMMENT && strings.HasPrefix(literal, "//go:"):
		case tok == token.COMMENT:
			most = maxTextColumns
		case tok == token.STRING && strings.Contains(literal, "\n"):
		default:
			continue
		}
		first := file.Line(pos)
		for line := first; line <= first+strings.Count(literal, "\n"); line++ {
			limits[line-1] = most
		}
	}
}

// documentLimits is goLimits of a Markdown file. Code blocks and tables have no limit.
func documentLimits(text string, lines int) []int {
	limits := make([]int, lines)
	inBlock := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case fence.MatchString(line):
			inBlock = !inBlock
		case !inBlock && !strings.HasPrefix(strings.TrimSpace(line), "|"):
			limits[i] = maxTextColumns
		}
	}
	return limits
}

// A check that finds nothing must be able to find something.
func TestWideLinesAreFound(t *testing.T) {
	words := func(n int) string { return strings.Repeat("w", n) }
	const head = "package p\n"
	for name, c := range map[string]struct {
		file, text string
		wide       []string
	}{
		"comment":      {"x.go", head + "// " + words(97), nil},
		"wide comment": {"x.go", head + "// " + words(98), []string{"x.go:2: 101 columns, more than 100"}},
		"characters":   {"x.go", head + "// " + strings.Repeat("é", 97), nil},
		"tab":          {"x.go", head + "\t// " + words(94), []string{"x.go:2: 101 columns, more than 100"}},
		"code":         {"x.go", head + "var " + words(116), nil},
		"wide code":    {"x.go", head + "var " + words(117), []string{"x.go:2: 121 columns, more than 120"}},
		"comment behind code": {
			"x.go", head + "var " + words(90) + " // " + words(10), []string{"x.go:2: 108 columns, more than 100"},
		},
		"comment of lines": {
			"x.go", head + "/*\n" + words(101) + "\n*/", []string{"x.go:3: 101 columns, more than 100"},
		},
		"string": {
			"x.go", head + `var x = "` + words(120) + `"`, []string{"x.go:2: 130 columns, more than 120"},
		},
		"string of lines": {"x.go", head + "var x = `\n" + words(121) + "\n`\n", nil},
		"after a string": {
			"x.go", head + "var x = `\n\n`\n// " + words(98), []string{"x.go:5: 101 columns, more than 100"},
		},
		"directive": {"x.go", head + "//go:generate " + words(101), nil},
		"URL":       {"x.go", head + "// See https://" + words(101), nil},
		"wide besides a URL": {
			"x.go", head + "// " + words(98) + " https://h", []string{"x.go:2: 102 columns, more than 100"},
		},
		"broken Go":          {"x.go", "// " + words(98) + "\n\"", []string{"x.go:1: 101 columns, more than 100"}},
		"document":           {"x.md", words(100), nil},
		"wide document":      {"x.md", "\n" + words(101), []string{"x.md:2: 101 columns, more than 100"}},
		"table":              {"x.md", "| " + words(101) + " |", nil},
		"code block":         {"x.md", "```go\n" + words(101) + "\n```", nil},
		"after a code block": {"x.md", "```\n```\n" + words(101), []string{"x.md:3: 101 columns, more than 100"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.wide, wideLines(c.file, c.text)) })
	}
}
