package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// registered is an account that the tour has made.
type registered struct {
	name        string
	client      *sdk.Client
	credentials sdk.Credentials
}

// forget notes that an account is deleted.
func (t *tour) forget(name string) {
	for i, a := range t.made {
		if a.name == name {
			t.made = append(t.made[:i], t.made[i+1:]...)
			return
		}
	}
}

// cleanUp deletes what the tour has registered, however far it has come: the service belongs to
// somebody, while the test server goes with this program. An interrupted tour is cleaned up, too.
func (t *tour) cleanUp(ctx context.Context) error {
	if t.isTest || len(t.made) == 0 {
		return nil
	}
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	t.heading("No account stays behind")
	var failures []error
	for _, a := range t.made {
		if err := t.deleteAccount(ctx, a); err != nil {
			failures = append(failures, fmt.Errorf("%s is still there: %w", a.credentials.Username, err))
		}
	}
	return errors.Join(failures...)
}

func (t *tour) deleteAccount(ctx context.Context, a registered) error {
	if a.client.State() != sdk.StatusConnected {
		if err := t.connect(ctx, a); err != nil {
			return err
		}
	}
	_, err := do(t, a.name+".DeleteMyAccount(reason)", func() (sdk.Result[sdk.None], error) {
		return a.client.DeleteMyAccount(ctx, "the tour is over", "")
	}, nil)
	return err
}

func (t *tour) connect(ctx context.Context, a registered) error {
	_, err := do(t, a.name+".Connect(username, password)", func() (sdk.Result[sdk.None], error) {
		return a.client.Connect(ctx, a.credentials.Username, a.credentials.Password)
	}, func(sdk.None) string { return string(a.client.State()) })
	return err
}
