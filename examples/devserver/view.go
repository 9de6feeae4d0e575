package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxUsers = 100 // users that are shown
	maxNames = 20  // users that are named whom a user has blocked
	maxNotes = 50  // feedback, reports and deletions that are shown, of each
)

// view is what the emulator holds, in the form for the page.
type view struct {
	Users []user `json:"users"`
	// More is how many users, of those who were searched for, are not among Users.
	More int `json:"more"`
	// Total is how many users there are, Connected how many of them are connected.
	Total     int `json:"total"`
	Connected int `json:"connected"`

	Feedback []sdktest.Feedback `json:"feedback"`
	Reports  []sdktest.Report   `json:"reports"`
	Deleted  []sdktest.Deletion `json:"deleted"`

	Faults map[sdktest.Step]sdktest.FaultKind `json:"faults"`
	// Matched are texts about the faults that only some requests meet.
	Matched []string `json:"matched"`
	// Next are the calls that will fail next.
	Next []string `json:"next"`
	// Refusals are the conditions with which the next messages will be refused.
	Refusals []string `json:"refusals"`
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
	Blocked []string `json:"blocked"`
	// MoreBlocked is how many they are beyond those.
	MoreBlocked  int  `json:"moreBlocked"`
	AdminBlocked bool `json:"adminBlocked"`
}

// look is what the emulator holds now. Of the users there are those in whose ids or profiles all
// words of search are; the counts are of all users.
func (p *page) look(search string) view {
	f := p.srv.Faults()
	v := view{
		Users:    []user{},
		Feedback: newestFirst(p.srv.Feedback()),
		Reports:  newestFirst(p.srv.Reports()),
		Deleted:  newestFirst(p.srv.Deleted()),
		Faults:   f.Steps, Matched: []string{}, Next: []string{}, Refusals: append([]string{}, f.Refusals...),
		Delay: f.Delay.Milliseconds(), Off: []string{},
	}
	for _, m := range f.Matched {
		v.Matched = append(v.Matched, fmt.Sprintf("%s%s: %s", m.Step, matched(m.Match), m.Kind))
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
	p.lookAtUsers(&v, strings.Fields(strings.ToLower(search)))
	return v
}

func (p *page) lookAtUsers(v *view, words []string) {
	ids := p.srv.Users()
	resources := make(map[string][]string, len(ids)) // of those who are connected
	for _, id := range ids {
		if r := p.srv.Resources(id); len(r) > 0 {
			resources[id] = r
		}
	}
	v.Total, v.Connected = len(ids), len(resources)
	if len(words) > 0 {
		ids = slices.DeleteFunc(ids, func(id string) bool { return !matches(id, p.srv.Profile(id), words) })
	}
	if len(ids) > maxUsers {
		v.More = len(ids) - maxUsers
		// Those who are connected come first.
		slices.SortStableFunc(ids, func(a, b string) int {
			return cmp.Compare(min(1, len(resources[b])), min(1, len(resources[a])))
		})
		ids = ids[:maxUsers]
	}
	for _, id := range ids {
		v.Users = append(v.Users, p.lookAt(id, resources[id]))
	}
}

// matches reports whether all words, which are in lowercase, are in what the page shows of a user.
func matches(id string, pr sdktest.Profile, words []string) bool {
	text := strings.ToLower(strings.Join([]string{id, pr.NickName, pr.Email, pr.MobileNumber, pr.Status}, "\n"))
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (p *page) lookAt(id string, resources []string) user {
	pr := p.srv.Profile(id)
	u := user{
		ID: id, Name: pr.NickName, Email: pr.Email, Mobile: pr.MobileNumber, Status: pr.Status,
		Resources: append([]string{}, resources...), Blocked: []string{}, AdminBlocked: pr.IsAdminBlocked,
	}
	if strings.Contains(pr.Image, "://") {
		u.Link = pr.Image
	} else {
		u.Picture = pr.Image
	}
	blocked := p.srv.Blocked(id)
	u.MoreBlocked = max(0, len(blocked)-maxNames)
	for _, jid := range blocked[:len(blocked)-u.MoreBlocked] {
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
