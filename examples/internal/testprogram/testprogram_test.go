package testprogram

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	Main(func() { fmt.Println("the program") }, func() { m.Run() })
}

func TestStartedProcessIsTheProgram(t *testing.T) {
	printed, err := exec.Command(os.Args[0]).Output()
	require.NoError(t, err)
	require.Equal(t, "the program\n", string(printed))
}
