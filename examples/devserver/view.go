package main

import (
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxUsers = 200 // that are shown
	maxNotes = 50  // feedback, reports, deletions that are shown
)

// view is what the emulator holds, as the page shows it.
type view struct {
	Users    []user             `json:"users"`
	More     int                `json:"more"` // users that are not shown
	Feedback []sdktest.Feedback `json:"feedback"`
	Reports  []sdktest.Report   `json:"reports"`
	Deleted  []sdktest.Deletion `json:"deleted"`

	Faults map[sdktest.Step]sdktest.FaultKind `json:"faults"`
	Next   []string                           `json:"next"`  // calls that are going to fail
	Delay  int64                              `json:"delay"` // milliseconds
	Off    []string                           `json:"off"`   // features
}

type user struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Email        string   `json:"email"`
	Mobile       string   `json:"mobile"`
	Status       string   `json:"status"`
	Picture      string   `json:"picture"` // media token
	Link         string   `json:"link"`    // of a picture that lies elsewhere
	Resources    []string `json:"resources"`
	Blocked      []string `json:"blocked"` // ids of this service, JIDs of others
	AdminBlocked bool     `json:"adminBlocked"`
}

func (p *page) look() view {
	f := p.srv.Faults()
	v := view{
		Users: []user{}, Feedback: newestFirst(p.srv.Feedback()), Reports: newestFirst(p.srv.Reports()), Deleted: newestFirst(p.srv.Deleted()),
		Faults: f.Steps, Next: []string{}, Delay: f.Delay.Milliseconds(), Off: []string{},
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
	// Those who are connected come first, so that they are shown however many there are.
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
