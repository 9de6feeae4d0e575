package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCell(t *testing.T) {
	c := newCell("a")
	set := func(v string, how told) {
		c.begin(v)
		require.Contains(t, c.allowed(), v, "while it is under way")
		c.end(v, how)
	}
	require.Equal(t, []string{"a"}, c.allowed())
	set("b", toldOK)
	require.Equal(t, []string{"b"}, c.allowed(), "what was acknowledged replaces what was there")
	set("c", toldRefused)
	set("d", toldNotSent)
	require.Equal(t, []string{"b"}, c.allowed(), "what was not done is not there")
	set("e", toldUnknown)
	require.ElementsMatch(t, []string{"b", "e"}, c.allowed())
	set("f", toldOK)
	require.ElementsMatch(t, []string{"f", "e"}, c.allowed(), "what is unknown may come late")
	c.settle("e")
	require.Equal(t, []string{"e"}, c.allowed())
	c.begin("g")
	c.begin("g")
	c.end("g", toldRefused)
	require.ElementsMatch(t, []string{"e", "g"}, c.allowed(), "one of two is still under way")
}

func TestClaims(t *testing.T) {
	for _, tc := range []struct {
		name string
		told map[string]told
		held map[string]int
		want []string
	}{
		{
			"all well",
			map[string]told{"a": toldOK, "b": toldUnknown, "c": toldUnknown, "d": toldRefused, "e": toldNotSent},
			map[string]int{"a": 1, "b": 1},
			nil,
		},
		{"lost", map[string]told{"a": toldOK}, nil, []string{"a: what was acknowledged is lost, 200, 0"}},
		{"twice", map[string]told{"a": toldOK}, map[string]int{"a": 2}, []string{"a: it was applied twice, 200, 2"}},
		{
			"unknown, but twice",
			map[string]told{"a": toldUnknown},
			map[string]int{"a": 2},
			[]string{"a: it was applied twice, unknown, 2"},
		},
		{
			"refused, but done",
			map[string]told{"a": toldRefused},
			map[string]int{"a": 1},
			[]string{"a: it has taken effect nevertheless, refused, 1"},
		},
		{
			"not sent, but done",
			map[string]told{"a": toldNotSent},
			map[string]int{"a": 1},
			[]string{"a: it has taken effect nevertheless, not sent, 1"},
		},
		{"out of nothing", nil, map[string]int{"a": 1}, []string{"a: nobody has asked for it, nothing, 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newClaims()
			for key, how := range tc.told {
				c.add(key, how)
			}
			var got []string
			note := func(key, what, told string, times int) {
				got = append(got, fmt.Sprintf("%s: %s, %s, %d", key, what, told, times))
			}
			require.Equal(t, len(tc.told), c.compare(tc.held, note))
			require.Equal(t, tc.want, got)
		})
	}
}

// The service forgets what is old, but an old one must not come again.
func TestClaimsOfEarlierRounds(t *testing.T) {
	c := newClaims()
	c.add("a", toldOK)
	c.add("b", toldNotSent)
	fine := func(key, what, _ string, _ int) { require.Fail(t, key+": "+what) }
	require.Equal(t, 2, c.compare(map[string]int{"a": 1}, fine))
	require.Equal(t, 0, c.compare(nil, fine))
	var got []string
	c.compare(map[string]int{"a": 2, "b": 1}, func(key, what, _ string, _ int) { got = append(got, key+": "+what) })
	require.Equal(t, []string{"a: it was applied twice", "b: it has taken effect nevertheless"}, got)
}
