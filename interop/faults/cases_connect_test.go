package faults

import (
	"context"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func callConnect(ctx context.Context, s *site) error {
	_, err := s.client.Connect(ctx, s.account.Username, s.account.Password)
	return err
}

func nameCases() []faultCase {
	set := func(f fault) func(*site) { return func(s *site) { theNames.set(s.name, f) } }
	return join(
		each(dns, []way{webSocket, startTLS}, named, callConnect, []faultCase{
			{fault: refused, want: unreachable, begin: set(refused)},
			{fault: silent, want: timedOut, begin: set(silent)},
		}),
		each(dns, []way{webSocket}, named, callConnect, []faultCase{
			{fault: slow, want: timedOut, begin: set(slow)},
			{fault: cut, want: unreachable, begin: set(cut)},
			{fault: reset, want: unreachable, begin: set(reset)},
			{fault: garbage, note: "no answer to the question: the wait goes on", want: timedOut, begin: set(garbage)},
			{fault: truncated, want: unreachable, begin: set(truncated)},
			{fault: oversized, note: "what fits is enough", want: connected, begin: set(oversized)},
			{fault: duplicated, want: connected, begin: set(duplicated)},
			{fault: reordered, note: "the address before the alias", want: connected, begin: set(reordered)},
			{fault: wrongSender, want: timedOut, begin: set(wrongSender)},
			{fault: wrongID, want: timedOut, begin: set(wrongID)},
		}),
		restCases(dns, named, []faultCase{
			{fault: refused, want: noLogin(soon), begin: set(refused)},
			{fault: silent, want: noLogin(late), begin: set(silent)},
		}),
	)
}

// restCases are about the login of a Connect, on a connection of its own.
func restCases(at place, what through, cases []faultCase) []faultCase {
	for i := range cases {
		cases[i].prepare = freshConnections
	}
	return each(at, []way{rest}, what, callConnect, cases)
}

func connectCases() []faultCase {
	door := func(f fault) func(*site) { return func(s *site) { s.door.set(s.t, f) } }
	return join(
		each(connect, ways, network, callConnect, []faultCase{
			{fault: refused, want: unreachable, begin: func(s *site) { s.line.refuse() }},
		}),
		each(connect, ways, frontage, callConnect, []faultCase{
			{fault: silent, want: timedOut, begin: door(silent)},
		}),
		each(connect, []way{webSocket, startTLS}, frontage, callConnect, []faultCase{
			{fault: cut, want: unreachable, begin: door(cut)},
			{fault: reset, want: unreachable, begin: door(reset)},
		}),
		restCases(connect, network, []faultCase{
			{fault: refused, want: noLogin(soon), begin: func(s *site) { s.line.refuse() }},
		}),
		restCases(connect, frontage, []faultCase{
			{fault: silent, want: noLogin(late), begin: door(silent)},
			{fault: cut, want: noLogin(soon), begin: door(cut)},
			{fault: reset, want: noLogin(soon), begin: door(reset)},
		}),
		each(connect, []way{startTLS}, network, callConnect, []faultCase{
			{
				fault: garbage, note: "another protocol answers", want: unreachable,
				begin: func(s *site) { s.line.speakBanner() },
			},
		}),
	)
}

func tlsCases() []faultCase {
	onLine := func(f func(*line)) func(*site) { return func(s *site) { f(s.line) } }
	someone := func(s *site) {
		other := s.stranger()
		s.line.leadTo(addresses{https: hostOf(other.URL()), tls: other.XMPPSAddress()}.of(s.way))
	}
	secure := []way{webSocket, directTLS} // from the first byte
	return join(
		each(tlsShake, secure, network, callConnect, []faultCase{
			{fault: refused, note: "by an alert", want: unreachable, begin: onLine((*line).alert)},
			{fault: silent, want: timedOut, begin: onLine((*line).silence)},
			{fault: slow, want: timedOut, begin: func(s *site) { s.line.slow("downstream") }},
			{fault: cut, want: unreachable, begin: func(s *site) { s.line.cutAfter(0) }},
			{fault: reset, want: unreachable, begin: onLine((*line).resetAtAnswer)},
			{fault: halfOpen, want: timedOut, begin: onLine((*line).halfOpen)},
			{fault: garbage, want: unreachable, begin: onLine((*line).garble)},
			{
				fault: truncated, note: "in the first message", want: unreachable,
				begin: func(s *site) { s.line.cutAfter(60) },
			},
			{fault: oversized, note: "a record", want: unreachable, begin: onLine((*line).oversize)},
			{fault: duplicated, want: unreachable, begin: onLine((*line).duplicate)},
			{fault: reordered, want: unreachable, begin: onLine((*line).reorder)},
			{fault: wrongSender, note: "unknown authority", want: unreachable, begin: someone},
		}),
		restCases(tlsShake, network, []faultCase{
			{fault: refused, note: "by an alert", want: noLogin(soon), begin: onLine((*line).alert)},
			{fault: silent, want: noLogin(late), begin: onLine((*line).silence)},
			{fault: slow, want: noLogin(late), begin: func(s *site) { s.line.slow("downstream") }},
			{fault: cut, want: noLogin(soon), begin: func(s *site) { s.line.cutAfter(0) }},
			{fault: reset, want: noLogin(soon), begin: onLine((*line).resetAtAnswer)},
			{fault: garbage, want: noLogin(soon), begin: onLine((*line).garble)},
			{fault: wrongSender, note: "unknown authority", want: noLogin(soon), begin: someone},
		}),
		each(tlsShake, []way{directTLS}, insider, callConnect, []faultCase{
			{fault: wrongID, note: "another's name", want: unreachable, begin: otherName},
		}),
		each(tlsShake, []way{startTLS}, nothing, callConnect, []faultCase{
			{
				fault: refused, note: "STARTTLS", want: unreachable,
				begin: faulty(sdktest.StepStartTLS, sdktest.FaultError),
			},
			{fault: silent, note: "STARTTLS", want: timedOut, begin: faulty(sdktest.StepStartTLS, sdktest.FaultSilent)},
			{fault: silent, want: timedOut, begin: faulty(sdktest.StepTLS, sdktest.FaultSilent)},
			{fault: cut, want: unreachable, begin: faulty(sdktest.StepTLS, sdktest.FaultClose)},
			{fault: garbage, want: unreachable, begin: faulty(sdktest.StepTLS, sdktest.FaultMalformed)},
			{
				fault: wrongSender, note: "unknown authority", want: unreachable,
				begin: faulty(sdktest.StepTLS, sdktest.FaultWrongSender),
			},
		}),
		each(tlsShake, []way{startTLS}, insider, callConnect, []faultCase{
			{
				fault: garbage, note: "injected before the handshake", want: unreachable,
				begin: ruled(onDown("<proceed", func(p packet) fate {
					return fate{send: []string{p.text + "<message from='evil'/>"}}
				})),
			},
		}),
	)
}

// otherName makes the tap show a certificate of a trusted authority for another name.
func otherName(s *site) { s.tap.showAs(otherIdentity()) }

// faulty makes sdktest misbehave.
func faulty(at sdktest.Step, kind sdktest.FaultKind) func(*site) {
	return func(s *site) { s.srv.SetFault(at, kind) }
}
