package unsent_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

func TestMark(t *testing.T) {
	require.NoError(t, unsent.Mark(nil))
	require.False(t, unsent.Is(nil))
	require.False(t, unsent.Is(io.EOF))

	err := fmt.Errorf("op: %w", unsent.Mark(io.EOF))
	require.True(t, unsent.Is(err))
	require.ErrorIs(t, err, io.EOF)
	require.EqualError(t, err, "op: EOF")
	require.True(t, unsent.Is(errors.Join(io.ErrClosedPipe, err)))
}
