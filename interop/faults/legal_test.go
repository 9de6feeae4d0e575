package faults

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// following is the order that sdk.ConnectionEvent promises, in letters: what may come behind each.
var following = map[byte]string{
	'0': "CFA", // nothing yet; it is no event
	'C': "DL",
	'L': "D",
	'D': "RCFA",
	'R': "CFAD",
	'F': "RCFAD",
	'A': "CFAD",
}

// illegal says what is wrong with the order of a trace: of connection events, or of what is pushed,
// which must not come while there is no connection.
func illegal(trace string) string {
	last := byte('0')
	for i := range len(trace) {
		switch _, event := following[trace[i]]; {
		case !event && last != 'C':
			return "a push outside of a connection: " + trace[:i+1]
		case event && !strings.Contains(following[last], trace[i:i+1]):
			return "out of order: " + trace[:i+1]
		case event:
			last = trace[i]
		}
	}
	return ""
}

func requireLegal(t testing.TB, trace string) {
	t.Helper()
	require.Empty(t, illegal(trace))
}

func TestIllegal(t *testing.T) {
	t.Parallel()
	for _, trace := range []string{"", "C", "CD", "FCD", "ACPPD", "CDRFRFRCD", "CDRD", "CDRFD", "CLD", "CDRCrPD"} {
		require.Empty(t, illegal(trace))
	}
	for _, trace := range []string{
		"D", "R", "P", "CC", "CR", "CDD", "CDRR", "CDP", "CDRP", "AR", "CDRA" + "R", "LD", "CLC",
	} {
		require.NotEmpty(t, illegal(trace), trace)
	}
}
