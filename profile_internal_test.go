package sdk

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"unique"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// A file on a mount that hangs opens, or not, long after nobody waits for it any more: then it is
// closed.
func TestPictureThatOpensTooLate(t *testing.T) {
	for name, end := range map[string]func(cancel context.CancelFunc, c *Client){
		"context": func(cancel context.CancelFunc, _ *Client) { cancel() },
		"Close":   func(_ context.CancelFunc, c *Client) { require.NoError(t, c.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			opening, answers, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
			image := Image{open: func() (picture, error) {
				close(opening)
				<-answers
				return picture{rest.File{Reader: strings.NewReader("")}, func() error {
					close(closed)
					return nil
				}}, nil
			}}
			c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			within, release := endingWith(ctx, c.ctx)
			defer release()
			go func() {
				<-opening
				end(cancel, c)
			}()
			_, err := c.storeImage(within, account{}, image)
			require.Error(t, err)
			require.ErrorIs(t, within.Err(), context.Canceled)
			require.Equal(t, OutcomeNotSent.String(), outcomeOf(err).String())
			close(answers)
			patient.Receive(t, closed)
		})
	}
}

// What the machine is short of is not the caller's mistake.
func TestPictureThatCannotBeOpened(t *testing.T) {
	for cause, ours := range map[error]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.EIO: true,
		fs.ErrNotExist: false, fs.ErrPermission: false, syscall.ENOTDIR: false, io.EOF: false,
	} {
		image := Image{open: func() (picture, error) {
			return picture{}, &os.PathError{Op: "open", Path: "a.png", Err: cause}
		}}
		_, err := image.opened(t.Context())
		e := explain(t.Context(), "SetUserProfile", err)
		require.Equal(t, OutcomeNotSent, e.Outcome)
		require.ErrorContains(t, e, cause.Error())
		require.Equal(t, !ours, e.is(ErrInvalidArgument), cause)
		require.Equal(t, map[bool]int{true: 500, false: 400}[ours], e.StatusCode)
	}
}

// Where sealing is not possible, nothing leaves in its place.
func TestProfileThatCannotBeSealed(t *testing.T) {
	c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
	me := account{username: "alice", told: unique.Make(rest.Service{IVProfile: "é"})}
	for _, p := range []ProfileUpdate{{Name: "Alice"}, {Email: "a@example.com"}, {MobileNumber: "123"}} {
		_, err := c.sealedVCard(me, p)
		e := explain(t.Context(), "SetUserProfile", err)
		require.Equal(t, "Profile cannot be sealed", e.Message)
		require.Equal(t, OutcomeNotSent, e.Outcome)
	}
	card, err := c.sealedVCard(me, ProfileUpdate{Status: "never sealed"})
	require.NoError(t, err)
	require.Equal(t, "never sealed", card.Status)
}
