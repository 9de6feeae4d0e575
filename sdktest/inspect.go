package sdktest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Profile is what the service holds of a user, with the sealed fields opened.
type Profile struct {
	UserID, UserJID string // the id is the local part of the bare JID
	NickName        string // the name that is shown
	Email           string // as the client sent it
	MobileNumber    string // as the client sent it
	Status          string // a line of text
	Image           string // media token or URL
	ThumbImage      string // likewise; may be empty
	IsAdminBlocked  bool   // BlockByAdmin
}

// Users are the ids of all accounts, sorted. An account's id is the identifier that it was registered with.
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

// Resources are the resources that a user (id or JID) is connected with over XMPP, sorted.
func (s *Server) Resources(user string) []string { return s.hub.resources(localpart(user)) }

// Media opens what was uploaded under a token, such as Profile.Image. The
// content type is the uploader's word. It fails with fs.ErrNotExist when there
// is nothing; whoever gets it closes it.
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

// Faults are what SetFault, FailNext and Delay have set and nothing has ended or used up.
type Faults struct {
	Steps map[Step]FaultKind // SetFault; steps that behave are not in it
	Next  []Failure          // FailNext, in the order of the calls
	Delay time.Duration      // 0: none
}

// Failure is one FailNext that waits for its request.
type Failure struct {
	Op      string // as given to FailNext, without slashes around it
	Status  int    // as given to FailNext
	Message string // as given to FailNext
}

// Faults are the faults that are set.
func (s *Server) Faults() Faults {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	f := Faults{Steps: maps.Clone(s.ctl.faults), Delay: s.ctl.delay}
	for _, next := range s.ctl.failures {
		f.Next = append(f.Next, Failure{Op: next.op, Status: next.reply.Status, Message: next.reply.Message})
	}
	return f
}
