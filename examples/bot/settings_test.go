package main

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArguments(t *testing.T) {
	for args, says := range map[string]string{
		"-nonsense":         "-nonsense",
		"weather":           `"weather"`,
		"-starts 0":         "-starts",
		"-interval 0s":      "-interval",
		"-grace -1s":        "-grace",
		"-log xml":          `"xml"`,
		"-interval quickly": "-interval",
	} {
		var stderr bytes.Buffer
		require.ErrorIs(t, run(t.Context(), strings.Fields(args), io.Discard, &stderr), errUsage, args)
		require.Contains(t, stderr.String(), says)
	}
	s, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Empty(t, s.check(nil))
}
