package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestHistory(t *testing.T) {
	h := newHistory()
	list, gone, newest, more := h.after(0)
	require.Empty(t, list)
	require.Zero(t, gone+newest)
	h.add(traffic{Text: "1"})
	patient.Receive(t, more)
	list, _, newest, _ = h.after(0)
	require.Equal(t, []traffic{{Text: "1"}}, list)
	for i := 2; i <= maxHistory+10; i++ {
		h.add(traffic{Text: fmt.Sprint(i)})
	}
	list, gone, newest, more = h.after(newest)
	require.Len(t, list, maxHistory)
	require.Equal(t, 9, gone)
	require.Equal(t, maxHistory+10, newest)
	require.Equal(t, "11", list[0].Text)
	kept := list[0]
	h.add(traffic{Text: "more"})
	patient.Receive(t, more)
	require.Equal(t, kept, list[0], "what was handed out stays")
	list, gone, _, _ = h.after(newest)
	require.Equal(t, []traffic{{Text: "more"}}, list)
	require.Zero(t, gone)

	for id, want := range map[string]bool{
		h.id(newest): true, h.id(0): true, h.id(newest + 1): true, h.id(newest + 2): false, h.id(-1): false, "": false,
		h.run: false, h.run + ".x": false, "other.1": false, ".1": false,
	} {
		n, continued := h.from(id)
		require.Equal(t, want, continued, id)
		require.True(t, continued || n == newest+1-maxHistory, id)
	}
}
