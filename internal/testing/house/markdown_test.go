package house

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is one fenced block of a document. A comment right above the fence says what it has to
// agree with:
//
//	<!-- file: PATH -->         the file, word for word
//	<!-- file: PATH NAME -->    the function NAME of that Go file, with its comment
//	<!-- prints: COMMAND -->    what the command prints, see [agrees]
//	<!-- prints -->             what the program in the block before it prints
type block struct {
	doc, lang, text string
	line            int // of the first line of text
	mark            string
}

func (b block) where() string { return fmt.Sprintf("%s:%d", b.doc, b.line) }

var (
	fence   = regexp.MustCompile("^\\s*```\\s*(\\S*)")
	comment = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)
)

// document is a Markdown file, cut into its blocks and the prose between them.
type document struct {
	name   string
	prose  string // lines of blocks and comments are empty here, so that line numbers stay
	blocks []block
}

func parseMarkdown(name, text string) document {
	d := document{name: name}
	var open *block
	mark := ""
	for i, line := range strings.Split(text, "\n") {
		f := fence.FindStringSubmatch(line)
		c := comment.FindStringSubmatch(strings.TrimSpace(line))
		switch {
		case f != nil && open == nil:
			open = &block{doc: name, lang: f[1], line: i + 2, mark: mark}
		case f != nil:
			d.blocks, open, mark = append(d.blocks, *open), nil, ""
		case open != nil:
			open.text += line + "\n"
		case c != nil:
			mark = c[1]
		case strings.TrimSpace(line) != "":
			mark = ""
			d.prose += line
		}
		d.prose += "\n"
	}
	return d
}

// documents are all Markdown files of the repository.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, name := range files(t, ".", ".md") {
		all = append(all, parseMarkdown(name, read(t, name)))
	}
	require.GreaterOrEqual(t, len(all), 6)
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	ourPath = regexp.MustCompile(
		`^(?:\.github|\.ci|bench|docs|examples|internal|interop|sdkotel|sdktest|testdata)/[\w./-]*$` +
			`|^[\w-]+\.(?:go|md|sh)$`,
	)
)

// Every link inside the repository leads somewhere, and every path that is written as code exists.
func TestLinksAndPathsOfDocuments(t *testing.T) {
	for _, d := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(d.prose, -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, ":") {
				continue // another site
			}
			file := d.name
			if target != "" {
				file = path.Join(path.Dir(d.name), target)
				if !exists(file) {
					t.Errorf("%s: link to %s: there is no such file", d.name, found[1])
					continue
				}
			}
			if anchor != "" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s: link to %s: no such heading", d.name, found[1])
			}
		}
		for _, span := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
			if p := span[1]; ourPath.MatchString(p) && !exists(p) && !exists(path.Join(path.Dir(d.name), p)) {
				t.Errorf("%s: `%s`: there is no such file", d.name, p)
			}
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

var notInAnchor = regexp.MustCompile(`[^\pL\pN _-]`)

// anchors are the names that GitHub gives to the headings of a document.
func anchors(text string) (all []string) {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

var (
	makeCall   = regexp.MustCompile(`\bmake ([a-z][a-z-]*(?: [a-z][a-z-]*)*)`)
	makeTarget = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	goCall     = regexp.MustCompile(`\bgo (?:run|test|build|vet)((?: [^\s;&|#` + "`" + `]+)+)`)
	scriptCall = regexp.MustCompile(`(?m)^\.?/?([\w/-]+\.sh)\b`)
)

// Every command in a document can be run: its make target, its packages and its flags exist.
func TestCommandsOfDocuments(t *testing.T) {
	targets := make(map[string]bool)
	for _, found := range makeTarget.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[found[1]] = true
	}
	for _, d := range documents(t) {
		commands := ""
		for _, b := range d.blocks {
			if b.lang == "sh" || b.lang == "" {
				commands += b.text
			}
		}
		for _, span := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
			commands += span[1] + "\n"
		}
		for _, found := range makeCall.FindAllStringSubmatch(commands, -1) {
			for _, target := range strings.Fields(found[1]) {
				if !targets[target] {
					t.Errorf("%s: make %s: the Makefile has no such target", d.name, target)
				}
			}
		}
		for _, found := range goCall.FindAllStringSubmatch(commands, -1) {
			checkGoCall(t, d.name, strings.Fields(found[1]))
		}
		for _, found := range scriptCall.FindAllStringSubmatch(commands, -1) {
			if !exists(found[1]) && !exists(path.Join(path.Dir(d.name), found[1])) {
				t.Errorf("%s: %s: there is no such script", d.name, found[1])
			}
		}
	}
}

// checkGoCall checks the arguments of go run, go test and so on: that folders exist, and that an
// example has the flags behind its folder.
func checkGoCall(t *testing.T, doc string, args []string) {
	t.Helper()
	source := ""
	for _, arg := range args {
		dir := strings.TrimSuffix(arg, "/...")
		if in := path.Dir(doc); strings.HasPrefix(arg, "./") && exists(in+"/go.mod") {
			dir = path.Join(in, dir) // of the document's own module
		}
		switch {
		case strings.HasPrefix(arg, "./") && !exists(dir):
			t.Errorf("%s: go ... %s: there is no such folder", doc, arg)
			return
		case strings.HasPrefix(arg, "./examples/"):
			for _, file := range files(t, dir, ".go") {
				source += read(t, file)
			}
		case source != "" && strings.HasPrefix(arg, "-") && !strings.Contains(
			source, `"`+strings.TrimLeft(arg, "-")+`"`,
		):
			t.Errorf("%s: go %s: the program has no flag %s", doc, strings.Join(args, " "), arg)
		}
	}
}

var (
	testName = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)\p{Lu}\w*$`)
	testDecl = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
)

// Every test that a document names exists.
func TestNamesOfTests(t *testing.T) {
	declared := make(map[string]bool)
	for _, name := range files(t, ".", "_test.go") {
		for _, found := range testDecl.FindAllStringSubmatch(read(t, name), -1) {
			declared[found[1]] = true
		}
	}
	seen := 0
	for _, d := range documents(t) {
		for _, span := range codeSpan.FindAllStringSubmatch(d.prose, -1) {
			if !testName.MatchString(span[1]) {
				continue
			}
			if seen++; !declared[span[1]] {
				t.Errorf("%s: `%s`: there is no such test", d.name, span[1])
			}
		}
	}
	require.Greater(t, seen, 50, "the names were not found")
}

// cited is a section of docs/protocol.md in a comment, maybe with a second one. A line may end
// between the words.
var cited = regexp.MustCompile(`protocol\.md(?:\s|//)+(\d+(?:\.\d+)?)(?:,(?:\s|//)+(\d+\.\d+))?`)

// Every section of docs/protocol.md that a comment cites exists.
func TestCitedSections(t *testing.T) {
	sections := sectionsOf(read(t, "docs/protocol.md"))
	seen := 0
	for _, name := range files(t, ".", ".go") {
		for _, found := range cited.FindAllStringSubmatch(read(t, name), -1) {
			for _, section := range found[1:] {
				if section == "" {
					continue
				}
				if seen++; !sections[section] {
					t.Errorf("%s: docs/protocol.md has no section %s", name, section)
				}
			}
		}
	}
	require.Greater(t, seen, 100, "the citations were not found")
}

var (
	sectionHead = regexp.MustCompile(`^#+ (\d+(?:\.\d+)?)\.? `)
	listItem    = regexp.MustCompile(`^(\d+)\. `)
)

// sectionsOf returns the numbers of the sections. The third point of section 12 is cited as 12.3.
func sectionsOf(text string) map[string]bool {
	sections := make(map[string]bool)
	last := ""
	for line := range strings.Lines(text) {
		if head := sectionHead.FindStringSubmatch(line); head != nil {
			sections[head[1]], last = true, head[1]
		} else if item := listItem.FindStringSubmatch(line); item != nil && !strings.Contains(last, ".") {
			sections[last+"."+item[1]] = true
		}
	}
	return sections
}

// The tests above must be able to fail.
func TestParseMarkdown(t *testing.T) {
	d := parseMarkdown(
		"x.md",
		"# One `two`: three\n\ntext [a](b.md#c)\n<!-- file: f.go F -->\n```go\na\n\nb\n```\n<!-- lost "+
			"-->\nwords\n\n```\nplain\n```\n",
	)
	require.Equal(t, []block{
		{doc: "x.md", lang: "go", text: "a\n\nb\n", line: 6, mark: "file: f.go F"},
		{doc: "x.md", text: "plain\n", line: 14},
	}, d.blocks)
	require.Equal(t, "# One `two`: three\n\ntext [a](b.md#c)\n\n\n\n\n\n\n\nwords\n\n\n\n\n\n", d.prose)
	require.Equal(t, []string{"one-two-three"}, anchors(d.prose))
	require.Equal(t, "b.md#c", link.FindStringSubmatch(d.prose)[1])
	require.True(t, ourPath.MatchString("docs/none.md") && ourPath.MatchString("none.go"))
	require.Equal(t, "test-unit interop", makeCall.FindStringSubmatch("x; make test-unit interop")[1])
	require.Equal(t, []string{"14.3", "14.4"}, cited.FindStringSubmatch("(protocol.md\n// 14.3, 14.4)")[1:])
	require.Equal(t,
		map[string]bool{"1": true, "1.2": true, "12": true, "12.3": true},
		sectionsOf("## 1. One\n### 1.2 Two\n1. no\n## 12. Open\n3. yes\n"),
	)
	require.True(t, testName.MatchString("TestX1") && !testName.MatchString("Testing"))
	require.Equal(t, " -v ./a/... ./b", goCall.FindStringSubmatch("$ go test -v ./a/... ./b # c")[1])
}
