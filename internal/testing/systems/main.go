// Command systems checks the types of this module, its tests included, as they are on other
// systems. It finds what does not compile there, constants that do not fit into a word, and shifts
// by more than a word has. It reads the standard library as source, and compiles nothing, so that
// it needs a small part of the time of a build. Only a build finds what a compiler or a linker
// refuses when all types are right.
//
//	go run ./internal/testing/systems windows/386 darwin/arm64
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

func main() {
	systems := os.Args[1:]
	errs := make([]error, len(systems))
	var all sync.WaitGroup
	for i, system := range systems {
		all.Go(func() {
			if err := check(".", system); err != nil {
				errs[i] = fmt.Errorf("%s:\n%w", system, err)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir string
	GoFiles         []string
	// ImportMap has the imports whose packages have other paths: those that the standard library
	// brings along, and those that are compiled once more for a test.
	ImportMap map[string]string
	Module    *struct {
		Main      bool
		GoVersion string
	}
}

func (p listed) ours() bool { return p.Module != nil && p.Module.Main }

// check checks the module in the folder dir for a system, which is named GOOS/GOARCH.
func check(dir, system string) error {
	goos, goarch, _ := strings.Cut(system, "/")
	sizes := types.SizesFor("gc", goarch)
	if sizes == nil {
		return fmt.Errorf("there is no architecture %q", goarch)
	}
	packages, err := list(dir, goos, goarch)
	if err != nil {
		return err
	}
	return checkTypes(packages, sizes)
}

// list is the packages of a module, those of its tests, and all that they import. It is an error
// when one of them is missing.
func list(dir, goos, goarch string) (all []listed, err error) {
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Dir,GoFiles,ImportMap,Module", "./...")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	// The race detector, which GOFLAGS may ask for, is not there for all systems.
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	in := json.NewDecoder(out)
	for {
		var p listed
		if err = in.Decode(&p); err != nil {
			break
		}
		all = append(all, p)
	}
	if ended := cmd.Wait(); ended != nil {
		return nil, fmt.Errorf("go list: %w", ended)
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("go list says what is no package: %w", err)
	}
	return all, nil
}
