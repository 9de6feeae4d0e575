package fleet

// hold is a shard that this member holds. It belongs to the loop.
type hold struct {
	shard   int
	epoch   uint64
	gate    *gate
	giving  bool // its record is being written
	runners map[string]*runner
}

// cut ends all sessions of h at once, without a word to the server.
func (h *hold) cut(reason error) {
	h.gate.set(gateShut)
	h.stop(reason)
}

// stop ends all sessions of h.
func (h *hold) stop(reason error) {
	for _, r := range h.runners {
		r.stop(reason)
	}
}

// up is how many of its accounts are logged in.
func (h *hold) up() int {
	n := 0
	for _, r := range h.runners {
		if r.book.state(r) == StateUp {
			n++
		}
	}
	return n
}

// ended reports whether nothing of h is left.
func (h *hold) ended() bool {
	for _, r := range h.runners {
		select {
		case <-r.ended:
		default:
			return false
		}
	}
	return true
}
