package faults

import (
	"strings"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// onUp is a rule for the frames of the client that have a text in them; all others pass.
func onUp(text string, do func(packet) fate) func(packet) fate {
	return func(p packet) fate {
		if !p.down && p.has(text) {
			return do(p)
		}
		return pass(p)
	}
}

func thenCut(p packet) fate { return fate{send: []string{p.text}, end: cut} }

// sendingCases are about a message to the peer.
func sendingCases() []faultCase {
	const ours, acknowledge = "<body", "<acknowledge"
	unknown := func(w want) want { return w.during(500, sdk.ErrNotConnected, sdk.OutcomeUnknown) }
	told := func(trace string) want { return want{limit: soon, trace: trace} }
	refusal := want{code: 500, outcome: sdk.OutcomeRefused, limit: soon, trace: "C"}
	first := func(rule func(packet) fate) func(*site) { return func(s *site) { s.tap.tell(once(rule)) } }
	message := func(kind sdktest.FaultKind) func(*site) { return faulty(sdktest.StepMessage, kind) }
	delivery := func(kind sdktest.FaultKind) func(*site) { return faulty(sdktest.StepDelivery, kind) }
	return join(
		toPeer(0, 0, join(
			each(sending, both, insider, callSend, []faultCase{
				{fault: cut, note: "before it is out", want: unknown(lost(soon)), begin: first(onUp(ours, cutOff))},
				{fault: reset, note: "before it is out", want: unknown(lost(soon)), begin: first(onUp(ours, resets))},
			}),
			each(sending, both, network, callSend, []faultCase{
				{
					fault: refused, note: "no connection any more",
					want: unknown(lost(soon)).sent(sdk.OutcomeNotSent), begin: func(s *site) {
						s.line.refuse()
						s.await("the loss", func(trace string) bool { return strings.Contains(trace, "D") })
					},
				},
			}),
			each(sending, both, nothing, callSend, []faultCase{
				{
					fault: refused, note: "by a server that has failed", want: refusal.sent(sdk.OutcomeRefused),
					begin: message(sdktest.FaultError),
				},
				{fault: refused, note: "by a rule of the server", want: refusal, begin: func(s *site) {
					s.srv.RefuseNextMessage("policy-violation")
				}},
				{fault: refused, note: "after it was taken", want: told("Cax"), begin: delivery(sdktest.FaultError)},
				{
					fault: silent, note: "it is lost behind the server", want: told("Ca"),
					begin: delivery(sdktest.FaultSilent),
				},
			}),
		)),
		toPeer(1, 1, resumed(each(sending, both, insider, callSend, []faultCase{
			{fault: cut, note: "before it is out", want: taken(soon, "a"), begin: first(onUp(ours, cutOff))},
			{fault: reset, note: "before it is out", want: taken(soon, "a"), begin: first(onUp(ours, resets))},
			{fault: cut, note: "when it is out", want: taken(soon, "a"), begin: first(onUp(ours, thenCut))},
		}))),
		toPeer(0, 1, each(sending, both, insider, callSend, []faultCase{
			{fault: cut, note: "when it is out", want: unknown(lost(soon)), begin: first(onUp(ours, thenCut))},
		})),
		toPeer(1, 1, join(
			each(sending, both, nothing, callSend, []faultCase{
				{fault: silent, note: "late behind the server", want: told("Ca"), begin: delivery(sdktest.FaultHeld)},
			}),
			each(confirm, both, insider, callSend, []faultCase{
				{fault: cut, want: unknown(lost(soon)), begin: first(onDown(acknowledge, cutOff))},
				{fault: reset, want: unknown(lost(soon)), begin: first(onDown(acknowledge, resets))},
				{fault: truncated, want: unknown(lost(soon)), begin: first(onDown(acknowledge, half))},
				{
					fault: halfOpen, want: lost(late).during(599, sdk.ErrNetwork, sdk.OutcomeUnknown),
					begin: first(onDown(acknowledge, freezes)),
				},
				{
					fault: cut, note: "right behind it", want: want{limit: soon, trace: "CaD(RF)*RCG"},
					begin: first(onDown(acknowledge, thenCut)),
				},
			}),
			resumed(each(confirm, both, insider, callSend, []faultCase{
				{fault: cut, want: taken(soon, "a"), begin: first(onDown(acknowledge, cutOff))},
				{fault: reset, want: taken(soon, "a"), begin: first(onDown(acknowledge, resets))},
			})),
			resumed(each(confirm, []way{webSocket}, insider, callSend, []faultCase{
				{fault: halfOpen, want: taken(unheard, "a"), begin: first(onDown(acknowledge, freezes))},
			})),
			each(confirm, both, nothing, callSend, []faultCase{
				{fault: silent, want: told("C"), begin: message(sdktest.FaultSilent)},
				{fault: silent, note: "it is late", want: told("Ca"), begin: message(sdktest.FaultHeld)},
				{fault: duplicated, want: told("Caa"), begin: message(sdktest.FaultTwice)},
				{fault: wrongSender, want: told("C"), begin: message(sdktest.FaultWrongSender)},
				{fault: cut, note: "by the server", want: unknown(lost(soon)), begin: message(sdktest.FaultClose)},
				{fault: garbage, want: unknown(lost(soon)), begin: message(sdktest.FaultMalformed)},
				{fault: oversized, want: unknown(lost(soon)), begin: message(sdktest.FaultHuge)},
			}),
			resumed(each(confirm, both, nothing, callSend, []faultCase{
				{fault: silent, want: told("C"), begin: message(sdktest.FaultSilent)},
				{fault: silent, note: "it is late", want: told("Ca"), begin: message(sdktest.FaultHeld)},
				{fault: wrongSender, want: told("C"), begin: message(sdktest.FaultWrongSender)},
			})),
		)),
		toPeer(2, 2, each(sending, both, nothing, callSend, []faultCase{
			{fault: duplicated, note: "behind the server", want: told("Ca"), begin: delivery(sdktest.FaultTwice)},
		})),
	)
}

// arrivingCases are about a message from the peer. M meets the fault, b comes behind it.
func arrivingCases() []faultCase {
	const coming = "<body"
	through := func(rule func(packet) fate) func(*site) {
		return func(s *site) {
			s.tap.tell(once(onDown(coming, rule)))
			s.message("M")
			barrier(s)
		}
	}
	misled := func(kind sdktest.FaultKind, letters ...string) func(*site) {
		return func(s *site) {
			s.srv.SetFault(sdktest.StepDelivery, kind)
			for _, letter := range letters {
				s.message(letter)
			}
			barrier(s)
		}
	}
	told := func(trace string) want { return want{limit: soon, trace: trace} }
	return join(
		each(arriving, both, insider, nil, []faultCase{
			{fault: silent, note: "it gets lost", until: "b", want: told("Cb"), begin: through(drop)},
			{fault: cut, until: "G", want: lost(soon), begin: through(cutOff)},
			{fault: reset, until: "G", want: lost(soon), begin: through(resets)},
			{fault: truncated, until: "G", want: lost(soon), begin: through(half)},
			{fault: halfOpen, until: "G", want: lost(unheard), begin: func(s *site) {
				through(freezes)(s)
				s.await("the loss", func(trace string) bool { return strings.Contains(trace, "D") })
				s.tap.heal()
			}},
			{fault: duplicated, until: "b", want: told("CMb"), begin: through(twice), peer: [2]int{1, 2}},
		}),
		toPeer(1, 1, join(
			resumed(each(arriving, both, insider, nil, []faultCase{
				{fault: cut, until: "b", want: taken(soon, "Mb"), begin: through(cutOff)},
				{fault: reset, until: "b", want: taken(soon, "Mb"), begin: through(resets)},
				{fault: cut, note: "right behind it", until: "b", want: told("CMD(RF)*RCrb"), begin: through(thenCut)},
			})),
			resumed(each(arriving, []way{startTLS}, insider, nil, []faultCase{
				{fault: truncated, until: "b", want: taken(soon, "Mb"), begin: through(half)},
			})),
		)),
		toPeer(2, 2, each(arriving, both, nothing, nil, []faultCase{
			{
				fault: reordered, note: "as they come", until: "b", want: told("CNMb"),
				begin: misled(sdktest.FaultReordered, "M", "N"),
			},
		})),
		toPeer(1, 2, resumed(each(arriving, both, nothing, nil, []faultCase{
			{fault: duplicated, until: "b", want: told("CMb"), begin: misled(sdktest.FaultTwice, "M")},
		}))),
		// it is from whom the server says, who refuses the receipt: nobody is told of that
		each(arriving, both, nothing, nil, []faultCase{
			{fault: wrongSender, until: "b", want: told("Cmb"), begin: misled(sdktest.FaultWrongSender, "M")},
		}),
	)
}

// handlingCases are about a message that a listener has, and about its receipt.
func handlingCases() []faultCase {
	const delivered = "<delivered"
	// The connection is lost while H is not handled, and there again before it is.
	across := func(back string) func(*site) {
		return func(s *site) {
			s.message("H")
			s.await("the message", func(trace string) bool { return strings.Contains(trace, "H") })
			if s.line != nil {
				s.line.cut()
			} else {
				resuming(replacing("previd=", "previd='x' was="))(s)
			}
			s.await("the next connection", func(trace string) bool { return strings.Contains(trace, back) })
			s.deferred()
		}
	}
	// H is handled while there is none.
	away := func(s *site) {
		s.message("H")
		s.await("the message", func(trace string) bool { return strings.Contains(trace, "H") })
		s.line.refuse()
		s.await("the loss", func(trace string) bool { return strings.Contains(trace, "F") })
		s.deferred()
		s.line.heal()
	}
	receiptMeets := func(rule func(packet) fate) func(*site) {
		return func(s *site) {
			s.tap.tell(once(onUp(delivered, rule)))
			s.message("M")
		}
	}
	anew := func(letter string) want { return want{limit: soon, trace: "C" + letter + "D(RF)*RCG"} }
	again := func(letter string) want { return want{limit: soon, trace: "C" + letter + "D(RF)*RCr"} }
	return join(
		toPeer(1, 1, join(
			each(handling, both, network, nil, []faultCase{
				{fault: cut, until: "G", want: anew("H"), begin: across("G")},
			}),
			resumed(each(handling, both, network, nil, []faultCase{
				{fault: cut, until: "r", want: again("H"), begin: across("r")},
			})),
			each(receipt, both, network, nil, []faultCase{
				{fault: refused, note: "it waits", until: "G", want: anew("H"), begin: away},
			}),
			resumed(each(receipt, both, network, nil, []faultCase{
				{fault: refused, note: "it waits", until: "r", want: again("H"), begin: away},
			})),
			resumed(each(receipt, both, insider, nil, []faultCase{
				{fault: cut, note: "before it is out", until: "r", want: again("M"), begin: receiptMeets(cutOff)},
				{fault: cut, note: "when it is out", until: "r", want: again("M"), begin: receiptMeets(thenCut)},
			})),
		)),
		// it comes again over the new stream, and its receipt goes out again if the first has
		toPeer(1, 2, resumed(each(handling, both, insider, nil, []faultCase{
			{
				fault: wrongID, note: "another stream is resumed", until: "G", want: anew("H"), begin: across("G"),
				resume: briefly,
			},
		}))),
		each(receipt, both, insider, nil, []faultCase{
			{fault: cut, note: "before it is out", until: "G", want: anew("M"), begin: receiptMeets(cutOff)},
			{
				fault: cut, note: "when it is out", until: "G", want: anew("M"), begin: receiptMeets(thenCut),
				peer: [2]int{0, 1},
			},
		}),
	)
}
