package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// docs/logging.md has every line that the library writes, with its keys and its level, and every
// reason for which a stanza is ignored, and nothing else.
func TestLoggingIsDocumented(t *testing.T) {
	lines, reasons := make(map[string]logLine), make(map[string]bool)
	for _, name := range files(t, ".", ".go") {
		dir := filepath.ToSlash(filepath.Dir(name))
		library := dir == "." || strings.HasPrefix(dir, "internal/") && !strings.HasPrefix(dir, "internal/testing")
		if library && !strings.HasSuffix(name, "_test.go") {
			file, err := parser.ParseFile(
				token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution,
			)
			require.NoError(t, err)
			found, why := loggedBy(file)
			maps.Copy(lines, found)
			maps.Copy(reasons, why)
		}
	}
	require.Greater(t, len(lines), 15, "the lines were not found")
	require.Greater(t, len(reasons), 8, "the reasons were not found")
	documented, why := tablesOf(read(t, "docs/logging.md"))
	require.Equal(t, documented, lines, "docs/logging.md has what is expected, the source what is actual")
	require.Equal(t, slices.Sorted(maps.Keys(why)), slices.Sorted(maps.Keys(reasons)))
}

// logLine is a kind of line: its level, "" where it varies, and its keys, sorted.
type logLine struct{ level, keys string }

var (
	logMethod = regexp.MustCompile(`^(Debug|Info|Warn|Error|Log)(Context|Attrs)?$`)
	tableRow  = regexp.MustCompile("(?m)^\\| ([a-z, ]+) \\| `([^`]+)` \\|([^|]*)\\|")
	reasonRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

// loggedBy returns the lines that a file writes, by their text, and why stanzas are ignored.
func loggedBy(file *ast.File) (lines map[string]logLine, reasons map[string]bool) {
	lines, reasons = make(map[string]logLine), make(map[string]bool)
	for _, d := range file.Decls {
		f, is := d.(*ast.FuncDecl)
		if !is || f.Body == nil {
			continue
		}
		for call := range callsIn(f.Body) {
			name := calledName(call)
			if name == "ignore" || name == "ignoreFrom" {
				if why, is := literal(call.Args[len(call.Args)-1]); is {
					reasons[why] = true
				}
			}
			if !logMethod.MatchString(name) {
				continue
			}
			at := slices.IndexFunc(call.Args, func(arg ast.Expr) bool {
				_, is := literal(arg)
				return is
			})
			if at < 0 {
				if len(call.Args) > 0 && !isOf(call, "plain") { // (error).Error has none
					lines["a line of "+f.Name.Name+" whose text is no constant"] = logLine{}
				}
				continue
			}
			text, _ := literal(call.Args[at])
			lines[text] = logLine{level: levelIn(name, call.Args[:at]), keys: keysIn(f.Body, call.Args[at+1:])}
		}
	}
	return lines, reasons
}

func callsIn(n ast.Node) func(func(*ast.CallExpr) bool) {
	return func(yield func(*ast.CallExpr) bool) {
		goesOn := true
		ast.Inspect(n, func(n ast.Node) bool {
			if call, is := n.(*ast.CallExpr); is && goesOn {
				goesOn = yield(call)
			}
			return goesOn
		})
	}
}

// calledName is the name of the method or function that is called.
func calledName(call *ast.CallExpr) string {
	if s, is := call.Fun.(*ast.SelectorExpr); is {
		return s.Sel.Name
	}
	return ""
}

// isOf reports whether a function of that package is called.
func isOf(call *ast.CallExpr, name string) bool {
	s, is := call.Fun.(*ast.SelectorExpr)
	if !is {
		return false
	}
	pkg, is := s.X.(*ast.Ident)
	return is && pkg.Name == name
}

// literal is the text of a constant that stands there, or of a sum of such.
func literal(e ast.Expr) (string, bool) {
	if sum, is := e.(*ast.BinaryExpr); is {
		left, isLeft := literal(sum.X)
		right, isRight := literal(sum.Y)
		return left + right, isLeft && isRight
	}
	l, is := e.(*ast.BasicLit)
	if !is || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// levelIn is the level of a line, from the method or from an argument before its text.
func levelIn(method string, before []ast.Expr) string {
	if !strings.HasPrefix(method, "Log") {
		return strings.ToLower(strings.TrimSuffix(method, "Context"))
	}
	for _, arg := range before {
		if s, is := arg.(*ast.SelectorExpr); is && strings.HasPrefix(s.Sel.Name, "Level") {
			return strings.ToLower(strings.TrimPrefix(s.Sel.Name, "Level"))
		}
	}
	return "varies"
}

// keysIn are those of a line: every second of the arguments behind its text, and those of all
// attributes that its function makes.
func keysIn(body ast.Node, behind []ast.Expr) string {
	var keys []string
	for i := 0; i < len(behind); i += 2 {
		if key, is := literal(behind[i]); is {
			keys = append(keys, key)
		}
	}
	for call := range callsIn(body) {
		if !isOf(call, "slog") || len(call.Args) != 2 {
			continue
		}
		if key, is := literal(call.Args[0]); is {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

// tablesOf reads the two tables of docs/logging.md.
func tablesOf(text string) (lines map[string]logLine, reasons map[string]bool) {
	lines, reasons = make(map[string]logLine), make(map[string]bool)
	for _, row := range tableRow.FindAllStringSubmatch(text, -1) {
		var keys []string
		for _, key := range codeSpan.FindAllStringSubmatch(row[3], -1) {
			keys = append(keys, key[1])
		}
		slices.Sort(keys)
		level := row[1]
		if strings.Contains(level, ",") {
			level = "varies"
		}
		lines[row[2]] = logLine{level: level, keys: strings.Join(keys, " ")}
	}
	for _, row := range reasonRow.FindAllStringSubmatch(text, -1) {
		reasons[row[1]] = true
	}
	return lines, reasons
}
