//go:build unix

// Command run fuzzes all targets of the module, as many at a time as there are cores, and prints
// what each of them needs. A target fails when the fuzzing engine finds an input that fails it,
// which it writes to testdata/fuzz, and when one of its processes has ever held more than 256 MiB.
//
//	go run ./internal/testing/fuzz/run [-t 10s] [-list] [target ...]
package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	module = "github.com/mirrorfly-go/sdk"
	// maxResident is in bytes.
	maxResident = 256 << 20
)

// target is one fuzz function.
type target struct{ pkg, dir, name string }

func main() {
	duration := flag.Duration("t", 10*time.Second, "how long to fuzz each target")
	list := flag.Bool("list", false, "print the targets, run nothing")
	flag.Parse()
	if err := run(os.Stdout, *duration, *list, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, duration time.Duration, list bool, names []string) error {
	targets, err := findTargets()
	if err != nil {
		return err
	}
	if len(names) > 0 {
		targets = slices.DeleteFunc(targets, func(t target) bool { return !slices.Contains(names, t.name) })
	}
	if len(targets) == 0 {
		return errors.New("no such target")
	}
	if list {
		for _, t := range targets {
			fmt.Fprintln(out, t.pkg, t.name)
		}
		return nil
	}
	return fuzzAll(out, duration, targets)
}

// goTool runs a go command and returns what it prints.
func goTool(args ...string) (string, error) {
	var out, said strings.Builder
	cmd := exec.Command("go", args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, said.String())
	}
	return out.String(), nil
}

// findTargets reads the test files of all packages, so that no target is forgotten.
func findTargets() ([]target, error) {
	const format = `{{$p := .}}{{range .TestGoFiles}}{{$p.ImportPath}} {{$p.Dir}} {{.}}{{"\n"}}{{end}}{{range ` +
		`.XTestGoFiles}}{{$p.ImportPath}} {{$p.Dir}} {{.}}{{"\n"}}{{end}}`
	text, err := goTool("list", "-f", format, module+"/...")
	if err != nil {
		return nil, err
	}
	var targets []target
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		file, err := parser.ParseFile(
			token.NewFileSet(), filepath.Join(fields[1], fields[2]), nil, parser.SkipObjectResolution,
		)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
				targets = append(targets, target{pkg: fields[0], dir: fields[1], name: f.Name.Name})
			}
		}
	}
	return targets, nil
}

// fuzzAll builds the tests of each package once and runs its targets.
func fuzzAll(out io.Writer, duration time.Duration, targets []target) error {
	tmp, err := os.MkdirTemp("", "fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cache, err := goTool("env", "GOCACHE")
	if err != nil {
		return err
	}
	// go test -fuzz keeps its corpus in the same place.
	corpus := filepath.Join(strings.TrimSpace(cache), "fuzz")
	fmt.Fprintf(out, "%-24s %-20s %12s %8s %9s\n", "PACKAGE", "TARGET", "INPUTS", "CORPUS", "MEMORY")
	// programs has the test binary of each package.
	programs := map[string]string{}
	cores := runtime.GOMAXPROCS(0)
	lanes := min(len(targets), cores)
	workers := cores / lanes
	var running sync.WaitGroup
	// This also waits when a package cannot be built.
	defer running.Wait()
	slots := make(chan struct{}, lanes)
	// mu guards out and failed.
	var mu sync.Mutex
	failed := 0
	for _, t := range targets {
		program, built := programs[t.pkg]
		if !built {
			program = filepath.Join(tmp, fmt.Sprint(len(programs), ".test"))
			if _, err := goTool("test", "-c", "-fuzz", ".", "-o", program, t.pkg); err != nil {
				return err
			}
			programs[t.pkg] = program
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			var said bytes.Buffer
			good := fuzzOne(&said, t, program, filepath.Join(corpus, t.pkg), workers, duration)
			mu.Lock()
			defer mu.Unlock()
			_, _ = said.WriteTo(out)
			if !good {
				failed++
			}
		})
	}
	running.Wait()
	if failed > 0 {
		return fmt.Errorf("%d of %d targets failed", failed, len(targets))
	}
	return nil
}

var (
	progress = regexp.MustCompile(`execs: (\d+) .*\(total: (\d+)\)`)
	// The inputs of earlier runs come first, and may take all the time.
	baseline = regexp.MustCompile(`baseline coverage: (\d+)/(\d+)`)
)

// fuzzOne runs one target and prints a line about it. When it has failed, it also prints its
// output.
func fuzzOne(out io.Writer, t target, program, keep string, workers int, duration time.Duration) bool {
	var said bytes.Buffer
	cmd := exec.Command(program, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+duration.String(),
		// Without a limit, it would take a minute to make an interesting input shorter.
		"-test.fuzzminimizetime=200x",
		"-test.fuzzcachedir="+keep, "-test.parallel="+strconv.Itoa(workers))
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.dir, &said, &said
	// With a limit, the memory that is counted is memory in use, not garbage.
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=128MiB")
	err := cmd.Run()
	execs, corpus := "0", "0"
	for _, form := range []*regexp.Regexp{baseline, progress} {
		if all := form.FindAllStringSubmatch(said.String(), -1); len(all) > 0 {
			execs, corpus = all[len(all)-1][1], all[len(all)-1][2]
		}
	}
	resident := residentMax(cmd.ProcessState)
	fmt.Fprintf(
		out, "%-24s %-20s %12s %8s %5d MiB\n",
		cmp.Or(strings.TrimPrefix(strings.TrimPrefix(t.pkg, module), "/"), "sdk"), t.name, execs, corpus, resident>>20,
	)
	switch {
	case err != nil && !outOfTime(said.String()):
		fmt.Fprintf(out, "%s%s: %v\n", said.Bytes(), t.name, err)
	case resident > maxResident:
		fmt.Fprintf(out, "%s: a process held %d MiB, more than %d\n", t.name, resident>>20, maxResident>>20)
	case execs == "0":
		fmt.Fprintf(out, "%s%s: nothing was tried\n", said.Bytes(), t.name)
	default:
		return true
	}
	return false
}

// outOfTime reports whether the engine has failed only because its time was over, which happens now
// and then.
func outOfTime(said string) bool {
	return strings.Contains(
		said, "context deadline exceeded",
	) && !strings.Contains(said, "Failing input") && !strings.Contains(said, "panic:")
}

// residentMax is the most memory, in bytes, that the process or one of its workers has held.
func residentMax(state *os.ProcessState) int64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	// Maxrss has 32 bits on some systems.
	most := int64(usage.Maxrss)
	if runtime.GOOS == "darwin" {
		return most
	}
	return most << 10
}
