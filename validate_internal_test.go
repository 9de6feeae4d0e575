package sdk

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is written by hand, as package regexp would make importers' binaries larger by an eighth of
// all of sdk, is what these say.
func TestPatterns(t *testing.T) {
	t.Parallel()
	var (
		email = regexp.MustCompile(`^([_a-zA-Z0-9\-!#$%&+]+(\.[_a-zA-Z0-9\-!#$%&+]+)*` +
			`@[a-zA-Z0-9\-]+(\.[a-zA-Z]{2,6})+)$`)
		identifier = regexp.MustCompile(`^[a-z0-9_-]+$`)
		secret     = regexp.MustCompile(`\?[^,\s]*|[^/,\s]*@`)
	)
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 20_000 {
		s := random(r, []string{
			"a", "Z", "9", "-", "_", ".", ".com", "@", "@a.de", "+", " ", "\n", "\xff", "é",
			"abcdefg", "/", "?", ",", "//",
		})
		require.Equal(t, email.MatchString(s), isEmail(s), "%q", s)
		require.Equal(t, identifier.MatchString(s), consistsOf(s, lowerLetters+digits+"_-"), "%q", s)
		require.Equal(t, secret.ReplaceAllString(s, "..."), withoutSecrets(s), "%q", s)
		if isEmail(s) {
			matched++
		}
	}
	require.Greater(t, matched, 50)
}

func random(r *rand.Rand, parts []string) (s string) {
	for range r.IntN(9) {
		s += parts[r.IntN(len(parts))]
	}
	return s
}
