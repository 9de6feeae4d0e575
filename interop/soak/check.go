package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// checkHeld compares what callers were told with what the service holds. No call is under way, at
// either end.
func (st *stage) checkHeld(at string) {
	st.all(func(p *player) {
		where := at + "/" + p.label
		for _, l := range p.lives() {
			if !l.who.mayBeGone() {
				st.checkAccount(where, l.who)
			}
		}
	})
	st.checkUsers(at)
	count := func(n int, key func(i int) string) map[string]int {
		held := map[string]int{}
		for i := range n {
			held[key(i)]++
		}
		return held
	}
	feedback, reports, deleted := st.srv.Feedback(), st.srv.Reports(), st.srv.Deleted()
	st.compare(at, "feedback", st.feedback, count(len(feedback), func(i int) string { return feedback[i].Title }))
	st.compare(at, "report", st.reports, count(len(reports), func(i int) string { return reported(reports[i].Data) }))
	st.compare(at, "deletion", st.deletions, count(len(deleted), func(i int) string { return deleted[i].Reason }))
}

func (st *stage) compare(at, what string, told *claims, held map[string]int) {
	n := told.compare(held, func(key, wrong, told string, times int) {
		st.book.fail(
			violation{
				where: fmt.Sprintf("%s, %s of step %s", at, what, key), what: wrong, told: told,
				held: fmt.Sprintf("%d times", times),
			},
		)
	})
	for range n {
		st.book.checked(what)
	}
}

func (st *stage) checkUsers(at string) {
	users := st.srv.Users()
	st.mu.Lock()
	defer st.mu.Unlock()
	for user := range st.gone {
		st.book.checked("deleted account")
		if slices.Contains(users, user) {
			st.book.fail(
				violation{
					where: at + "/" + user, what: "the account was deleted", told: toldOK.String(), held: "it is there",
				},
			)
		}
	}
}

func (st *stage) checkAccount(at string, a *account) {
	held := st.srv.Profile(a.user)
	if held.UserID == "" {
		if a.secret() != "" {
			st.book.fail(violation{where: at, what: "the account is gone", told: "registered", held: "nothing"})
		}
		return
	}
	st.checkProfile(at, a, held)
	st.checkBlocks(at, a, st.srv.Blocked(a.user))
	for _, f := range a.unchecked() {
		st.checkFile(at, f)
	}
}

func (st *stage) checkProfile(at string, a *account, held sdktest.Profile) {
	st.book.checked("profile")
	allowed := a.profile.allowed()
	if !slices.Contains(allowed, held.Status) {
		st.book.fail(
			violation{
				where: at, what: "another profile than was set",
				told: fmt.Sprintf("%q, or of unknown outcome %q", allowed[0], allowed[1:]), held: held.Status,
			},
		)
	}
	if !whole(held.NickName, held.Status, held.MobileNumber, held.Email) {
		st.book.fail(violation{where: at, what: "a profile of several versions", held: fmt.Sprintf("%+v", held)})
	}
	if token, known := a.picture(held.Status); known && token != held.Image {
		st.book.fail(violation{where: at, what: "another picture than was set", told: token, held: held.Image})
	}
	a.profile.settle(held.Status)
}

func (st *stage) checkBlocks(at string, a *account, held []string) {
	entries := a.blockList()
	for _, jid := range held {
		if entries[jid] == nil {
			st.book.fail(violation{where: at, what: "blocked somebody whom nobody asked to block", held: jid})
		}
	}
	for _, jid := range slices.Sorted(maps.Keys(entries)) {
		st.book.checked("block list entry")
		blocked, allowed := slices.Contains(held, jid), entries[jid].allowed()
		if !slices.Contains(allowed, blocked) {
			st.book.fail(
				violation{
					where: at, what: "another block list than was set",
					told: fmt.Sprintf("%s blocked: %v", jid, allowed[0]), held: fmt.Sprint(blocked),
				},
			)
		}
		entries[jid].settle(blocked)
	}
}

func (st *stage) checkFile(at string, f file) {
	st.book.checked("file")
	r, _, err := st.srv.Media(f.media.FileToken)
	if err != nil {
		st.book.fail(
			violation{
				where: at, what: "an uploaded file is lost", told: fmt.Sprintf("%+v", f.media), held: err.Error(),
			},
		)
		return
	}
	held := bytes.NewBuffer(make([]byte, 0, f.content.size+bytes.MinRead))
	_, err = held.ReadFrom(r)
	if err = errors.Join(err, r.Close()); err != nil {
		st.book.fail(violation{where: at, what: "an uploaded file cannot be read", held: err.Error()})
	}
	if b := held.Bytes(); f.media.FileKey == "" && !f.content.is(b) {
		st.book.fail(
			violation{
				where: at, what: "another file than was uploaded", told: fmt.Sprintf("%d bytes", f.content.size),
				held: fmt.Sprintf("%d bytes", len(b)),
			},
		)
	}
}

// checkComplete: what was acknowledged was told to the own listeners, too, where no event can have
// been missed.
func (st *stage) checkComplete(at string) {
	st.all(func(p *player) {
		l := p.current()
		blocks, _ := l.watch.heard()
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.watch.isLossless() {
			return
		}
		for change, n := range l.done {
			st.book.checked("event of an acknowledged change")
			if blocks[change] < n {
				st.book.fail(
					violation{
						where: at + "/" + p.label, what: "an event never came",
						told: fmt.Sprintf("%+v done %d times", change, n),
						held: fmt.Sprintf("%d events", blocks[change]),
					},
				)
			}
		}
	})
}

// checkOnce: no event came more often than its change was made.
func (st *stage) checkOnce(at string) {
	st.all(func(p *player) {
		for _, l := range p.lives() {
			blocks, profiles := l.watch.heard()
			l.mu.Lock()
			for change, n := range blocks {
				st.book.checked("event of a change")
				if most := l.done[change] + l.maybe[change]; n > most {
					st.book.fail(
						violation{
							where: at + "/" + p.label, what: "an event came twice",
							told: fmt.Sprintf("%+v done %d times at most", change, most),
							held: fmt.Sprintf("%d events", n),
						},
					)
				}
			}
			for version, n := range profiles {
				st.book.checked("event of a change")
				if most := l.reads[version] + 1; n > most || !strings.HasPrefix(version,
					l.who.user+"#") && version != "" {
					st.book.fail(
						violation{
							where: at + "/" + p.label, what: "an event came twice, or for nothing",
							told: fmt.Sprintf("%q set once, read %d times", version, most-1),
							held: fmt.Sprintf("%d events", n),
						},
					)
				}
			}
			l.mu.Unlock()
		}
	})
}
