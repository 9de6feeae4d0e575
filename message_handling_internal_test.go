package sdk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// However often a message comes while it waits for its listeners, it is held once.
func TestCopiesOfAWaitingMessageAreNotHeld(t *testing.T) {
	var b inbox
	of := func() *handling { return &handling{key: messageKey{1}, stanza: new(xmpp.Message)} }
	first := of()
	require.True(t, b.admit(first))
	stanza := first.stanza
	for range 100 {
		again := of()
		require.False(t, b.admit(again))
		require.Same(t, stanza, first.stanza)
	}
	require.Len(t, b.order, 1)
	require.Same(t, stanza, b.end(first, false, false))
	require.Nil(t, b.end(first, false, false))
	require.Nil(t, first.stanza)
	require.False(t, b.admit(of()))
}
