package fleet

import (
	"maps"
	"slices"
)

// plan is what a member would do now. All members that know the same come to plans that fit
// together: a free shard is in the plan of one of them.
type plan struct {
	// take are free shards that are for this member.
	take []int
	// give are shards of this member that others should have, the best one first.
	give []gift
	// release are shards of this member that nobody has room for.
	release []int
	// nobodys is how many accounts no member has room for.
	nobodys int
	// part is this member's part of all that members should have.
	part float64
}

// gift is a shard for another member.
type gift struct {
	shard int
	to    string
}

// planner is the state of one planning.
type planner struct {
	view *view
	self string
	// counts is how many accounts each shard has.
	counts map[int]int
	// busy are shards that are being changed: they stay out.
	busy func(int) bool
	// up is how many accounts of a shard are logged in here.
	up func(int) int

	ids   []string // of those that take shards, sorted
	limit map[string]int
	share map[string]int
	load  map[string]int
}

// plan says what self would do.
func (p *planner) plan() plan {
	p.measure()
	var out plan
	for _, n := range slices.Sorted(maps.Keys(p.counts)) {
		if c := p.counts[n]; c > 0 && p.view.isFree(n) {
			to := p.receiver(c, "")
			if to == "" {
				out.nobodys += c
				continue
			}
			p.load[to] += c
			if to == p.self && !p.busy(n) {
				out.take = append(out.take, n)
			}
		}
	}
	p.away(&out)
	total := 0
	for _, share := range p.share {
		total += share
	}
	if total > 0 {
		out.part = float64(p.share[p.self]) / float64(total)
	}
	return out
}

// measure finds who takes shards, what each should have and what each has.
func (p *planner) measure() {
	p.limit, p.share, p.load = make(map[string]int), make(map[string]int), make(map[string]int)
	total := 0
	for n, c := range p.counts {
		total += c
		if owner := p.view.ownerOf(n); owner != "" {
			p.load[owner] += c
		}
	}
	var limits []int
	for _, id := range slices.Sorted(maps.Keys(p.view.members)) {
		if m := p.view.members[id]; !m.record.Gone && !m.record.Leaving {
			p.ids = append(p.ids, id)
			p.limit[id] = m.record.Max
			limits = append(limits, m.record.Max)
		}
	}
	for i, share := range shares(total, limits) {
		p.share[p.ids[i]] = share
	}
}

// receiver is who should get a shard with so many accounts: who has the smallest part of its share,
// and room. Empty: nobody has.
func (p *planner) receiver(accounts int, but string) string {
	best := ""
	for _, id := range p.ids {
		if id == but || p.limit[id] > 0 && p.load[id]+accounts > p.limit[id] || p.share[id] == 0 {
			continue
		}
		if best == "" || p.load[id]*p.share[best] < p.load[best]*p.share[id] {
			best = id
		}
	}
	return best
}

// away adds to out what self has too much.
func (p *planner) away(out *plan) {
	leaving := !slices.Contains(p.ids, p.self)
	tooMany := p.limit[p.self] > 0 && p.load[p.self] > p.limit[p.self]
	if !leaving && p.load[p.self] <= p.share[p.self] {
		return
	}
	for _, n := range p.mine() {
		c := p.counts[n]
		to := p.receiver(c, p.self)
		switch {
		case to != "" && (leaving || tooMany || p.improves(c, to)):
			out.give = append(out.give, gift{n, to})
		case to == "" && (leaving || tooMany):
			out.release = append(out.release, n)
		default:
			continue
		}
		p.load[p.self] -= c
		p.load[to] += c
		tooMany = tooMany && p.load[p.self] > p.limit[p.self]
		if !leaving && p.load[p.self] <= p.share[p.self] {
			return
		}
	}
}

// improves reports whether the fuller one of self and to is less full when so many accounts go from
// self to to. Without that, shards could go round.
func (p *planner) improves(accounts int, to string) bool {
	return (p.load[to]+accounts)*p.share[p.self] < p.load[p.self]*p.share[to]
}

// mine are the shards with accounts that self has, those first that have the fewest accounts logged
// in.
func (p *planner) mine() []int {
	var own []int
	for n, c := range p.counts {
		if c > 0 && p.view.ownerOf(n) == p.self && !p.busy(n) {
			own = append(own, n)
		}
	}
	slices.Sort(own)
	up := make(map[int]int, len(own))
	for _, n := range own {
		up[n] = p.up(n)
	}
	slices.SortStableFunc(own, func(a, b int) int { return up[a] - up[b] })
	return own
}
