package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrong is a module, each package of which is wrong on some systems.
var wrong = map[string]string{
	"go.mod":               "module m\n\ngo 1.25.0\n",
	"right/right.go":       "package right\n\nvar X uint64 = 1 << 40\n\nfunc Y() uint64 { return X << 40 }\n",
	"right/inside.go":      "package right\n\nvar inside = 1\n",
	"right/inside_test.go": "package right\n\nvar Inside = &inside\n",
	"right/right_test.go":  "package right_test\n\nimport . \"m/right\"\n\nvar _ = *Inside + int(Y())\n",
	"constant/a.go":        "package constant\n\nvar X int = 1 << 40\n",
	"shift/a.go":           "package shift\n\nfunc F(x int) int {\n\tx >>= 31\n\tx <<= 32\n\treturn x >> 40\n}\n",
	"file/a_windows.go":    "package file\n\nvar X = missing\n",
	"file/a_other.go":      "//go:build !windows\n\npackage file\n",
	"tests/a.go":           "package tests\n",
	"tests/a_test.go":      "package tests\n\nfunc f() int { return -1 << 31 - 1 }\n",
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range wrong {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	for system, want := range map[string]string{
		"linux/amd64": "",
		"linux/arm": "DIR/constant/a.go:3:13: cannot use 1 << 40 (untyped int constant 1099511627776) as int value " +
			"in variable declaration (overflows)\n" +
			"DIR/shift/a.go:5:2: a variable of 32 bits is shifted by 32\n" +
			"DIR/shift/a.go:6:9: a variable of 32 bits is shifted by 40\n" +
			"DIR/tests/a_test.go:3:23: cannot use -1 << 31 - 1 (untyped int constant -2147483649) as int value in " +
			"return statement (overflows)",
		"windows/amd64": "DIR/file/a_windows.go:3:9: undefined: missing",
		"linux/none":    `there is no architecture "none"`,
	} {
		t.Run(system, func(t *testing.T) {
			got := ""
			if err := check(dir, system); err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			require.Equal(t, want, got)
		})
	}
}
