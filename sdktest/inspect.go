package sdktest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Profile is what the service holds of a user, with the sealed fields opened.
type Profile struct {
	// UserID is the local part of the bare JID UserJID.
	UserID, UserJID string
	// NickName is the name that others see.
	NickName string
	// Email is as the client sent it.
	Email string
	// MobileNumber is as the client sent it.
	MobileNumber string
	// Status is a line of text.
	Status string
	// Image is a media token or a URL.
	Image string
	// ThumbImage is a media token or a URL. It may be empty.
	ThumbImage string
	// IsAdminBlocked is true after BlockByAdmin.
	IsAdminBlocked bool
}

// Users are the ids of all accounts, sorted. An account's id is the identifier that it was
// registered with.
func (s *Server) Users() []string { return s.store.ids() }

// Profile is a user's profile (id or JID); the zero Profile when there is no such user.
func (s *Server) Profile(user string) Profile {
	id := localpart(user)
	a, ok := s.store.view(id)
	if !ok {
		return Profile{}
	}
	_, iv := s.store.ivs()
	f := s.profileFields(context.Background(), id, a)
	return Profile{
		UserID: id, UserJID: s.jid(id),
		NickName:     seal.Open(f["nickName"], id, iv),
		Email:        seal.Open(f["email"], id, iv),
		MobileNumber: seal.Open(f["mobileNumber"], id, iv),
		Status:       f["status"],
		Image:        f["image"], ThumbImage: f["thumbImage"],
		IsAdminBlocked: a.AdminBlocked,
	}
}

// Blocked are the JIDs that a user (id or JID) has blocked, oldest first.
func (s *Server) Blocked(user string) []string {
	a, _ := s.store.view(localpart(user))
	return a.Blocked
}

// Resources are the resources of a user (id or JID) that are connected over XMPP, sorted.
func (s *Server) Resources(user string) []string { return s.hub.resources(localpart(user)) }

// Media opens the uploaded file that a token names, such as Profile.Image. The content type is what
// the uploader has said. The error is fs.ErrNotExist when there is no such file. The caller closes
// content.
func (s *Server) Media(token string) (content io.ReadSeekCloser, contentType string, err error) {
	f, found := s.media.get(token)
	if !found {
		return nil, "", fmt.Errorf("sdktest: media: %w", fs.ErrNotExist)
	}
	file, err := os.Open(s.media.path(f.File))
	if err != nil {
		return nil, "", fmt.Errorf("sdktest: media: %w", err)
	}
	return file, f.ContentType, nil
}

// Feedback is what was sent with SendFeedback, oldest first.
func (s *Server) Feedback() []Feedback {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.state.Feedback.list)
}

// Reports are what was sent with ReportUserOrGroup, oldest first.
func (s *Server) Reports() []Report {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.state.Reports.list)
}

// Deleted are the accounts that were deleted, oldest first.
func (s *Server) Deleted() []Deletion {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.state.Deleted.list)
}

// Features are the plan's flags, as SetFeature has set them.
func (s *Server) Features() map[string]bool { return s.ctl.featureFlags() }

// Faults are what SetFault, FailNext and Delay have set, as far as it was not ended or used up.
type Faults struct {
	// Steps are the faults of SetFault without a Match. Steps without a fault are not in it.
	Steps map[Step]FaultKind
	// Matched are the faults of SetFault with a Match, step by step, in the order of the calls.
	Matched []MatchedFault
	// Next are those of FailNext, in the order of the calls.
	Next []Failure
	// Refusals are the conditions of RefuseNextMessage, in the order of the calls.
	Refusals []string
	// Delay is that of Delay. 0: there is none.
	Delay time.Duration
}

// MatchedFault is a SetFault with a Match.
type MatchedFault struct {
	// Step is as given to SetFault.
	Step Step
	// Kind is as given to SetFault.
	Kind FaultKind
	// Match is as given to SetFault, but User is the id of the user, and Op is without slashes at
	// its ends.
	Match Match
}

// Failure is a FailNext that waits for its request.
type Failure struct {
	// Op is as given to FailNext, without slashes at its ends.
	Op string
	// Status is as given to FailNext.
	Status int
	// Message is as given to FailNext.
	Message string
}

// Faults are the faults that are set.
func (s *Server) Faults() Faults {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	f := Faults{Steps: map[Step]FaultKind{}, Refusals: slices.Clone(s.ctl.refusals), Delay: s.ctl.delay}
	for _, step := range Steps() {
		for _, set := range s.ctl.faults[step] {
			if set.match == (Match{}) {
				f.Steps[step] = set.kind
			} else {
				f.Matched = append(f.Matched, MatchedFault{Step: step, Kind: set.kind, Match: set.match})
			}
		}
	}
	for _, next := range s.ctl.failures {
		f.Next = append(f.Next, Failure{Op: next.op, Status: next.reply.Status, Message: next.reply.Message})
	}
	return f
}
