package rest

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWithoutQueries(t *testing.T) {
	query := regexp.MustCompile(`\?[^\s"']*`)
	r := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "https://h/p", "?", "?k=v&x=y", " ", "\n", "\f", "\v", "\"", "'", "\xff", "é", "\u00a0"}
	for range 100_000 {
		var s string
		for range r.IntN(9) {
			s += parts[r.IntN(len(parts))]
		}
		require.Equal(t, query.ReplaceAllString(s, "?..."), withoutQueries(s), "%q", s)
	}
}
