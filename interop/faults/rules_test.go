package faults

import (
	"strings"
	"sync"
)

// ruled makes a tap follow a rule that remembers nothing: it is one for all the cases that a line
// of the table makes.
func ruled(rule func(packet) fate) func(*site) {
	return func(s *site) { s.tap.tell(rule) }
}

// onDown is a rule for the frames of the server that have a text in them; all others pass.
func onDown(text string, do func(packet) fate) func(packet) fate {
	return func(p packet) fate {
		if p.down && p.has(text) {
			return do(p)
		}
		return pass(p)
	}
}

// What can be done with a frame.

func drop(packet) fate    { return fate{} }
func cutOff(packet) fate  { return fate{end: cut} }
func resets(packet) fate  { return fate{end: reset} }
func freezes(packet) fate { return fate{end: halfOpen} }
func twice(p packet) fate { return fate{send: []string{p.text, p.text}} }

// half is the first half of a frame, and nothing after.
func half(p packet) fate { return fate{send: []string{p.text[:len(p.text)/2]}, end: cut} }

// instead sends something else.
func instead(text string) func(packet) fate {
	return func(packet) fate { return fate{send: []string{text}} }
}

// replacing changes words of a frame.
func replacing(old, by string) func(packet) fate {
	return func(p packet) fate { return fate{send: []string{strings.ReplaceAll(p.text, old, by)}} }
}

// swapped sends the first frame behind the second, once on each wire.
func swapped(first, second func(packet) bool) func(packet) fate {
	var mu sync.Mutex
	held, done := map[int]string{}, map[int]bool{} // by wire
	return func(p packet) fate {
		mu.Lock()
		defer mu.Unlock()
		wire := p.wire.number
		switch {
		case !p.down || done[wire]:
		case held[wire] == "" && first(p):
			held[wire] = p.text
			return fate{}
		case held[wire] != "" && second(p):
			done[wire] = true
			return fate{send: []string{p.text, held[wire]}}
		}
		return pass(p)
	}
}

func having(text string) func(packet) bool { return func(p packet) bool { return p.has(text) } }

// once is a rule for one frame only.
func once(rule func(packet) fate) func(packet) fate {
	var mu sync.Mutex
	done := false
	return func(p packet) fate {
		f := rule(p)
		if len(f.send) == 1 && f.send[0] == p.text && f.end == "" {
			return f
		}
		mu.Lock()
		defer mu.Unlock()
		if done {
			return pass(p)
		}
		done = true
		return f
	}
}

const (
	noise  = `<<<>>> not "XML & nothing like it`
	bigger = 2 << 20 // more than the client takes in one frame
)

func huge(packet) fate {
	return fate{
		send: []string{"<message xmlns='jabber:client'><body>" + strings.Repeat("a", bigger) + "</body></message>"},
	}
}

// isHeader reports whether p is the server's stream header, on either transport.
func isHeader(p packet) bool { return p.down && (p.has("<open") || p.has("<stream:stream")) }

func onHeader(do func(packet) fate) func(packet) fate {
	return func(p packet) fate {
		if isHeader(p) {
			return do(p)
		}
		return pass(p)
	}
}
