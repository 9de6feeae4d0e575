package sdktest

import (
	"context"
	"slices"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Profile is what the service holds of a user, with the sealed fields opened.
type Profile struct {
	UserID, UserJID string
	NickName        string
	Email           string
	MobileNumber    string
	Status          string
	Image           string // media token or URL
	ThumbImage      string
	IsAdminBlocked  bool
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

// Feedback is what was sent with SendFeedback, oldest first.
func (s *Server) Feedback() []Feedback {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.feedback)
}

// Reports are what was sent with ReportUserOrGroup, oldest first.
func (s *Server) Reports() []Report {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.reports)
}

// Deleted are the accounts that were deleted, oldest first.
func (s *Server) Deleted() []Deletion {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.deleted)
}
