package main

import (
	"maps"
	"slices"
	"sync"

	sdk "github.com/mirrorfly-go/sdk"
)

// account is a user of the service, and what the outcomes of its calls say about it.
type account struct {
	user string
	// profile is the version of the profile, which is in every field of it.
	profile *cell[string]

	mu sync.Mutex
	// password is empty when it is not known.
	password string
	// pushed is the number of the next push.
	pushed int
	// versions is how many versions of the profile were tried.
	versions int
	// images are the tokens of the picture, by version of the profile.
	images map[string]string
	// blocks says by JID whether it is blocked.
	blocks map[string]*cell[bool]
	// files were uploaded, the newest last.
	files []file
	// leaving: a deletion may have taken effect.
	leaving bool
}

// file is an upload that was acknowledged.
type file struct {
	media   sdk.MediaFile
	content content
	// checked: it was compared with the service.
	checked bool
}

// mostFiles is how many files of an account can be downloaded.
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

// block is the knowledge about one entry of the block list.
func (a *account) block(jid string) *cell[bool] {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blocks[jid] == nil {
		a.blocks[jid] = newCell(false)
	}
	return a.blocks[jid]
}

// blockList is a copy of the knowledge about the whole list.
func (a *account) blockList() map[string]*cell[bool] {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.blocks)
}

// tried are the JIDs for which a call was made, sorted.
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

// picture is the token of the picture of a version; false: no call has returned one.
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

// file is the nth of the files; false: there is none.
func (a *account) file(n uint32) (file, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.files) == 0 {
		return file{}, false
	}
	return a.files[int(n%uint32(len(a.files)))], true
}

// unchecked returns each file once.
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

// numberPush calls give with the number of the next push, and keeps the number when give says that
// it was not sent.
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
