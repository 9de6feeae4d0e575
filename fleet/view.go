package fleet

import (
	"strconv"
	"strings"
	"time"
)

// view is what a member knows of the bucket. It may be old: what follows from it is written at the
// revisions that are in it, and so comes to nothing when it is too old.
type view struct {
	// complete: all records have been told once.
	complete bool
	// high is the highest revision that was seen.
	high    uint64
	members map[string]*member
	shards  map[int]*shard
	// count is how many shards the bucket has.
	count int
	// listed are the keys of the list that is being told; nil: none is.
	listed map[string]bool
	// listedHigh is the highest revision of that list.
	listedHigh uint64
}

// member is a member as its last heartbeat says.
type member struct {
	record memberRecord
	// revision is 0 when a shard names a member of which nothing is known.
	revision uint64
	// seen is when the heartbeat was seen first, by the clock here.
	seen time.Time
}

// shard is a shard as its record says.
type shard struct {
	owner    string
	revision uint64
}

func newView(count int) *view {
	return &view{members: make(map[string]*member), shards: make(map[int]*shard), count: count}
}

// begin is the start of a list of all records.
func (v *view) begin() { v.listed, v.listedHigh = make(map[string]bool), 0 }

// end is the end of that list. What is not in it does not exist, unless it is newer.
func (v *view) end() {
	for id, m := range v.members {
		if m.revision <= v.listedHigh && !v.listed[prefixMember+id] {
			delete(v.members, id)
		}
	}
	for n, s := range v.shards {
		if s.revision <= v.listedHigh && !v.listed[keyOfShard(n)] {
			delete(v.shards, n)
		}
	}
	v.listed, v.complete = nil, true
}

// apply notes a record that was told, or written by this member. Older ones than the known change
// nothing.
func (v *view) apply(e Entry, now time.Time) {
	v.high = max(v.high, e.Revision)
	if v.listed != nil {
		v.listed[e.Key] = true
		v.listedHigh = max(v.listedHigh, e.Revision)
	}
	if id, ok := strings.CutPrefix(e.Key, prefixMember); ok {
		v.applyMember(id, e, now)
		return
	}
	if text, ok := strings.CutPrefix(e.Key, prefixShard); ok {
		n, err := strconv.Atoi(text)
		if err == nil && n >= 0 && n < v.count {
			v.applyShard(n, e)
		}
	}
}

func (v *view) applyMember(id string, e Entry, now time.Time) {
	known := v.members[id]
	if known != nil && e.Revision <= known.revision {
		return
	}
	if len(e.Value) == 0 {
		delete(v.members, id)
		return
	}
	m := &member{revision: e.Revision, seen: now}
	if !unmarshal(e.Value, &m.record) {
		// It gets nothing, and counts as gone when it stays as it is.
		m.record = memberRecord{Leaving: true}
	}
	v.members[id] = m
}

func (v *view) applyShard(n int, e Entry) {
	if known := v.shards[n]; known != nil && e.Revision <= known.revision {
		return
	}
	var record shardRecord
	if !unmarshal(e.Value, &record) { // a deleted one, too
		record.Owner = ""
	}
	v.shards[n] = &shard{owner: record.Owner, revision: e.Revision}
}

// findOwners notes members that shards name and of which no heartbeat was seen. It is still to
// come, since one may be told later than it was written when a newer one has taken its place. Or
// there is none: then nobody renews it, and it becomes silent.
func (v *view) findOwners(now time.Time) {
	for _, s := range v.shards {
		if s.owner != "" && v.members[s.owner] == nil {
			v.members[s.owner] = &member{record: memberRecord{Leaving: true}, seen: now}
		}
	}
}

// seenNow forgets how long others have been silent: this member has not listened.
func (v *view) seenNow(now time.Time) {
	for _, m := range v.members {
		m.seen = now
	}
}

// margin is how much longer than the TTL others wait: for clocks that do not run at the same speed,
// and for a member that takes a moment to stop.
func margin(ttl time.Duration) time.Duration { return time.Second + ttl/10 }

// silent lists the members of which nothing was heard for too long.
func (v *view) silent(self string, now time.Time, own time.Duration) []string {
	var ids []string
	for id, m := range v.members {
		ttl := m.record.ttl()
		if m.revision == 0 {
			ttl = own
		}
		if id != self && !m.record.Gone && now.Sub(m.seen) > ttl+margin(ttl) {
			ids = append(ids, id)
		}
	}
	return ids
}

// isFree reports whether a shard is nobody's. Gone is for ever, so this cannot change but by an
// update of the shard's record.
func (v *view) isFree(n int) bool {
	s := v.shards[n]
	if s == nil || s.owner == "" {
		return true
	}
	m := v.members[s.owner]
	return m != nil && m.record.Gone
}

// ownerOf is the id of the member that has a shard; empty: nobody has it.
func (v *view) ownerOf(n int) string {
	if v.isFree(n) {
		return ""
	}
	return v.shards[n].owner
}

// revisionOf is what the next change of a shard's record must name; 0: there is none.
func (v *view) revisionOf(n int) uint64 {
	if s := v.shards[n]; s != nil {
		return s.revision
	}
	return 0
}

// forgetAfter is how long the record of a member that is gone is kept.
const forgetAfter = 10 * time.Minute

// forgettable is the id of a member that is gone for so long that its record can be deleted, where
// that is the task of self; else empty.
func (v *view) forgettable(self string, now time.Time) string {
	var found string
	for id, m := range v.members {
		if !m.record.Gone {
			if id < self {
				return ""
			}
		} else if now.Sub(m.seen) > forgetAfter {
			found = id
		}
	}
	for _, s := range v.shards {
		if s.owner == found {
			return "" // it says that the shard is free
		}
	}
	return found
}
