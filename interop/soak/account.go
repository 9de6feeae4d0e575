package main

import (
	"maps"
	"slices"
	"sync"

	sdk "github.com/mirrorfly-go/sdk"
)

// account is a user of the service, and what its callers were told about it.
type account struct {
	user string
	// version, which is in every field of it
	profile *cell[string]

	mu sync.Mutex
	// empty: not known
	password string
	// number of the next push
	pushed int
	// of the profile, that were tried
	versions int
	// token of the picture, by version of the profile
	images map[string]string
	// by JID: whether it is blocked
	blocks map[string]*cell[bool]
	// that were uploaded, the newest last
	files []file
	// a deletion may have taken effect
	leaving bool
}

// file is an upload that was acknowledged.
type file struct {
	media   sdk.MediaFile
	content content
	// with the service
	checked bool
}

// of an account, to be downloaded
const mostFiles = 8

func newAccount(user string) *account {
	return &account{user: user, profile: newCell(""), images: map[string]string{}, blocks: map[string]*cell[bool]{}}
}

func (a *account) secret() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.password
}

func (a *account) learn(password string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password = password
}

// block is what is known about one entry of the block list.
func (a *account) block(jid string) *cell[bool] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blocks[jid] == nil {
		a.blocks[jid] = newCell(false)
	}
	return a.blocks[jid]
}

// blockList is a copy of what is known about the whole list.
func (a *account) blockList() map[string]*cell[bool] {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.blocks)
}

// tried are the JIDs that a call was made for, sorted.
func (a *account) tried() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.blocks))
}

func (a *account) nextVersion() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.versions++
	return a.versions
}

func (a *account) pictured(version, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.images[version] = token
}

// picture is the token of the picture of a version; false: nobody was told one.
func (a *account) picture(version string) (token string, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	token, known = a.images[version]
	return token, known
}

func (a *account) keep(f file) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files = append(a.files, f)
	if len(a.files) > mostFiles {
		a.files = slices.Delete(a.files, 0, len(a.files)-mostFiles)
	}
}

// file is the nth of those that are there; false: there is none.
func (a *account) file(n uint32) (file, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.files) == 0 {
		return file{}, false
	}
	return a.files[int(n%uint32(len(a.files)))], true
}

// unchecked hands out each file once.
func (a *account) unchecked() (files []file) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, f := range a.files {
		if !f.checked {
			files = append(files, f)
			a.files[i].checked = true
		}
	}
	return files
}

// numberPush hands out the number of the next push, unless give says that nobody got it.
func (a *account) numberPush(give func(n int) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if give(a.pushed) {
		a.pushed++
	}
}

// nextPush is the number of the next push.
func (a *account) nextPush() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pushed
}

func (a *account) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leaving = true
}

func (a *account) mayBeGone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}
