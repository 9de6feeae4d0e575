package main

import (
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxUsers = 200 // users that are shown
	maxNotes = 50  // feedback, reports and deletions that are shown, of each
)

// view is what the emulator holds, in the form for the page.
type view struct {
	Users []user `json:"users"`
	// More is how many users are not shown.
	More     int                `json:"more"`
	Feedback []sdktest.Feedback `json:"feedback"`
	Reports  []sdktest.Report   `json:"reports"`
	Deleted  []sdktest.Deletion `json:"deleted"`

	Faults map[sdktest.Step]sdktest.FaultKind `json:"faults"`
	// Next are the calls that will fail next.
	Next []string `json:"next"`
	// Delay is in milliseconds.
	Delay int64 `json:"delay"`
	// Off are the features that are switched off.
	Off []string `json:"off"`
}

type user struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email"`
	Mobile string `json:"mobile"`
	Status string `json:"status"`
	// Picture is a media token.
	Picture string `json:"picture"`
	// Link is the URL of a picture that is somewhere else.
	Link      string   `json:"link"`
	Resources []string `json:"resources"`
	// Blocked are ids of users of this service, or JIDs of others.
	Blocked      []string `json:"blocked"`
	AdminBlocked bool     `json:"adminBlocked"`
}

func (p *page) look() view {
	f := p.srv.Faults()
	v := view{
		Users:    []user{},
		Feedback: newestFirst(p.srv.Feedback()),
		Reports:  newestFirst(p.srv.Reports()),
		Deleted:  newestFirst(p.srv.Deleted()),
		Faults:   f.Steps, Next: []string{}, Delay: f.Delay.Milliseconds(), Off: []string{},
	}
	for _, next := range f.Next {
		v.Next = append(v.Next, next.Op)
	}
	for name, on := range p.srv.Features() {
		if !on {
			v.Off = append(v.Off, name)
		}
	}
	slices.Sort(v.Off)
	ids := p.srv.Users()
	// When not all can be shown, those who are connected come first.
	connected := func(id string) bool { return len(p.srv.Resources(id)) > 0 }
	if len(ids) > maxUsers {
		there := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !connected(id) })
		v.More = len(ids) - maxUsers
		ids = append(there, slices.DeleteFunc(ids, connected)...)[:maxUsers]
	}
	for _, id := range ids {
		v.Users = append(v.Users, p.lookAt(id))
	}
	return v
}

func (p *page) lookAt(id string) user {
	pr := p.srv.Profile(id)
	u := user{
		ID: id, Name: pr.NickName, Email: pr.Email, Mobile: pr.MobileNumber, Status: pr.Status,
		Resources: p.srv.Resources(id), Blocked: []string{}, AdminBlocked: pr.IsAdminBlocked,
	}
	if strings.Contains(pr.Image, "://") {
		u.Link = pr.Image
	} else {
		u.Picture = pr.Image
	}
	for _, jid := range p.srv.Blocked(id) {
		u.Blocked = append(u.Blocked, strings.TrimSuffix(jid, "@"+p.srv.Domain()))
	}
	return u
}

func newestFirst[T any](list []T) []T {
	list = slices.Clone(list[max(0, len(list)-maxNotes):])
	slices.Reverse(list)
	if list == nil {
		return []T{} // [] in JSON
	}
	return list
}
