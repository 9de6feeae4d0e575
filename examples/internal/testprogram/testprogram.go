// Package testprogram makes a test binary the program that it tests: the tests of an example start
// os.Args[0], which saves a build.
package testprogram

import "os"

// variable tells a process that it is the program.
const variable = "EXAMPLE_TEST_PROGRAM"

// Main is for TestMain. It calls runTests, or in a process that a test has started program.
func Main(program, runTests func()) {
	if os.Getenv(variable) != "" {
		program()
		return
	}
	_ = os.Setenv(variable, "1") // for the processes that the tests start
	runTests()
}
