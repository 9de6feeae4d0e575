package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/mirrorfly-go/sdk"
)

// fleet is all accounts of the program.
type fleet struct{ bots []*bot }

func newFleet(place *service, s settings, log *slog.Logger) (*fleet, error) {
	f := &fleet{}
	// All bots share the limit, so that they do not overload a service that has just come back.
	place.cfg.Dials = sdk.NewDialLimit(0, s.starts)
	for _, a := range place.accounts {
		b, err := newBot(place.cfg, a, s, log)
		if err != nil {
			return nil, err
		}
		f.bots = append(f.bots, b)
	}
	return f, nil
}

// run returns when ctx has ended and all bots have ended with it. An account that cannot log in
// does not stop the others. It is an error when no account is left.
func (f *fleet) run(ctx context.Context) error {
	errs := make([]error, len(f.bots))
	var bots sync.WaitGroup
	for i, b := range f.bots {
		bots.Go(func() { errs[i] = b.run(ctx) }) // ends with ctx
	}
	bots.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("no account is left of %d; %s: %w", len(f.bots), f.bots[0].Username, errs[0])
}
