package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestSameSeedSamePlan(t *testing.T) {
	hashes := map[string]bool{}
	for _, p := range []Plan{{1, 20}, {2, 20}, {1, 21}} {
		for season := 1; season <= 2; season++ {
			require.Equal(t, p.Season(season), p.Season(season))
			for number := 3; number > 0; number-- { // in whatever order they are made
				first, second := p.Round(season, number), Plan{p.Seed, p.Sessions}.Round(season, number)
				require.Equal(t, first, second)
				require.Equal(t, first.Hash(), second.Hash())
				hashes[first.Hash()] = true
			}
		}
	}
	require.Len(t, hashes, 3*2*3, "no two of them are the same")
}

// The hash stands for all that is in the plan.
func TestHashSeesEverything(t *testing.T) {
	fresh := func() *Round { r := Plan{1, 4}.Round(1, 1); return &r }
	want := fresh().Hash()
	for name, change := range map[string]func(*Round){
		"think":    func(r *Round) { r.Steps[0][0].Think++ },
		"eager":    func(r *Round) { r.Steps[1][0].Eager = !r.Steps[1][0].Eager },
		"op":       func(r *Round) { r.Steps[0][0].Calls[0].Op += "x" },
		"argument": func(r *Round) { r.Steps[0][0].Calls[0].Arg++ },
		"patience": func(r *Round) { r.Steps[0][0].Calls[0].Patience += time.Second },
		"after":    func(r *Round) { r.Faults[0].After++ },
		"for":      func(r *Round) { r.Faults[0].For += time.Second },
		"who":      func(r *Round) { r.Faults[0].Who++ },
		"delay":    func(r *Round) { r.Faults[0].Delay += time.Second },
		"fault":    func(r *Round) { r.Faults[0] = Fault{Kind: "x", After: r.Faults[0].After} },
		"times":    func(r *Round) { r.Faults[0].Times++ },
	} {
		t.Run(name, func(t *testing.T) {
			r := fresh()
			change(r)
			require.NotEqual(t, want, r.Hash())
		})
	}
}

// In the long run everything is planned, except steps whose result could not be checked.
func TestPlanHasEverything(t *testing.T) {
	p := Plan{Seed: 1, Sessions: 40}
	ops, faults, misbehaviour := map[op]int{}, map[faultKind]int{}, map[string]bool{}
	for n := range 60 {
		r := p.Round(1, n+1)
		require.Equal(t, 40*stepsOfRound, r.steps())
		inRound := map[op]int{}
		for i, steps := range r.Steps {
			for _, s := range steps {
				checkStep(t, s, i%mortals == mortals-1, inRound)
			}
		}
		for _, k := range kinds {
			ops[k.op] += inRound[k.op]
			if k.most > 0 {
				require.LessOrEqual(t, inRound[k.op], k.most, k.op)
			}
		}
		require.True(t, slices.IsSortedFunc(r.Faults, func(a, b Fault) int { return a.After - b.After }))
		for _, f := range r.Faults {
			faults[f.Kind]++
			if f.Kind == faultMisbehave {
				misbehaviour[f.name()] = true
			}
			require.Less(t, f.After, r.steps())
		}
	}
	for o := range calls {
		require.NotZero(t, ops[o], o)
	}
	for _, k := range faultKinds {
		require.NotZero(t, faults[k], k)
	}
	require.Greater(t, len(misbehaviour), len(sdktest.Steps())*len(sdktest.FaultKinds())/2)
}

func checkStep(t *testing.T, s Step, mortal bool, count map[op]int) {
	t.Helper()
	taken := map[class]bool{}
	for _, c := range s.Calls {
		count[c.Op]++
		k := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.op == c.Op })]
		if taken[k.class] || c.Op == opDelete && !mortal || calls[c.Op] == nil {
			require.Fail(t, "what cannot be told apart, or done", "%v", s)
		}
		taken[k.class] = k.class != reading
	}
}
