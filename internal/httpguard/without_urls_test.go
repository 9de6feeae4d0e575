package httpguard

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
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

func TestCause(t *testing.T) {
	err := fmt.Errorf("get: %w", &url.Error{Op: "Get", URL: "https://h/?key=secret", Err: io.EOF})
	require.Equal(t, io.EOF, Cause(err))
	require.Equal(t, io.ErrNoProgress, Cause(io.ErrNoProgress))
	require.NoError(t, Cause(nil))
	require.NoError(t, WithoutURL(nil))
	err = WithoutURL(&url.Error{URL: "https://h/?key=secret", Err: fmt.Errorf("x509: evil\n%w", io.EOF)})
	require.EqualError(t, err, `x509: evil\nEOF`)
	require.ErrorIs(t, err, io.EOF)
}

func TestErrorWithoutQueries(t *testing.T) {
	require.Equal(t, io.EOF, WithoutQueries(io.EOF), "nothing is hidden")
	err := WithoutQueries(fmt.Errorf("dial https://h/?key=secret: %w", io.EOF))
	require.EqualError(t, err, "dial https://h/?... EOF")
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, errors.Unwrap(err), "the text of what it wraps shows the query")
	require.Len(t, WithoutQueries(errors.New(strings.Repeat("x", 2*MaxText))).Error(), MaxText+len("..."))
}
