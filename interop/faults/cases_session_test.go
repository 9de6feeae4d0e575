package faults

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func upgradeCases() []faultCase {
	at := func(do func(*exchange)) func(*site) { return answering("/websocket", do) }
	return join(
		each(upgrade, []way{webSocket}, nothing, callConnect, []faultCase{
			{fault: refused, want: unreachable, begin: faulty(sdktest.StepUpgrade, sdktest.FaultError)},
			{fault: silent, want: timedOut, begin: faulty(sdktest.StepUpgrade, sdktest.FaultSilent)},
			{fault: cut, want: unreachable, begin: faulty(sdktest.StepUpgrade, sdktest.FaultClose)},
			{
				fault: garbage, note: "a page instead", want: unreachable,
				begin: faulty(sdktest.StepUpgrade, sdktest.FaultMalformed),
			},
		}),
		each(upgrade, []way{webSocket}, insider, callConnect, []faultCase{
			{fault: slow, want: timedOut, begin: at(dribble(switching))},
			{fault: reset, want: unreachable, begin: at((*exchange).reset)},
			{fault: garbage, note: "not HTTP", want: unreachable, begin: at(raw(noise))},
			{fault: truncated, want: unreachable, begin: at(raw(switching))},
			{fault: oversized, note: "headers without end", want: unreachable, begin: at(endless)},
			{
				fault: duplicated, note: "the answer comes again, as frames", want: unreachable,
				begin: at(func(x *exchange) {
					raw(accepting(x) + accepting(x))(x)
				}),
			},
			{fault: wrongSender, note: "sent elsewhere", want: unreachable, begin: func(s *site) {
				away := s.stranger().XMPPURL()
				answering(
					"/websocket",
					func(x *exchange) {
						http.Redirect(x.w, x.r, "https"+strings.TrimPrefix(away, "wss"), http.StatusFound)
					},
				)(s)
			}},
			{
				fault: wrongID, note: "Sec-WebSocket-Accept", want: unreachable,
				begin: at(raw(switching + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n")),
			},
		}),
	)
}

func streamCases() []faultCase {
	return join(
		each(opening, both, nothing, callConnect, []faultCase{
			{
				fault: refused, note: "by a stream error", want: unreachable,
				begin: faulty(sdktest.StepStream, sdktest.FaultError),
			},
			{fault: silent, want: timedOut, begin: faulty(sdktest.StepStream, sdktest.FaultSilent)},
			{
				fault: slow, note: "from here on, 5 ms a byte", want: timedOut,
				begin: faulty(sdktest.StepStream, sdktest.FaultSlow),
			},
			{fault: cut, want: unreachable, begin: faulty(sdktest.StepStream, sdktest.FaultClose)},
			{fault: garbage, want: unreachable, begin: faulty(sdktest.StepStream, sdktest.FaultMalformed)},
			{fault: oversized, want: unreachable, begin: faulty(sdktest.StepStream, sdktest.FaultHuge)},
			{
				fault: wrongSender, note: "the certificate has said who it is", want: connected,
				begin: faulty(sdktest.StepStream, sdktest.FaultWrongSender),
			},
		}),
		each(opening, both, insider, callConnect, []faultCase{
			{fault: reset, want: unreachable, begin: ruled(onHeader(resets))},
			{fault: halfOpen, want: timedOut, begin: ruled(onHeader(freezes))},
			{fault: truncated, want: unreachable, begin: ruled(onHeader(half))},
			{fault: duplicated, want: unreachable, begin: ruled(onHeader(twice))},
			{
				fault: reordered, note: "features first", want: unreachable,
				begin: func(s *site) { s.tap.tell(swapped(isHeader, having("features"))) },
			},
		}),
	)
}

func authCases() []faultCase {
	return join(
		each(auth, both, nothing, callConnect, []faultCase{
			{fault: refused, want: denied, begin: faulty(sdktest.StepAuth, sdktest.FaultError)},
			{fault: silent, want: timedOut, begin: faulty(sdktest.StepAuth, sdktest.FaultSilent)},
			{
				fault: slow, note: "from here on, 5 ms a byte", want: timedOut,
				begin: faulty(sdktest.StepAuth, sdktest.FaultSlow),
			},
			{fault: cut, want: unreachable, begin: faulty(sdktest.StepAuth, sdktest.FaultClose)},
			{fault: garbage, want: unreachable, begin: faulty(sdktest.StepAuth, sdktest.FaultMalformed)},
			{fault: oversized, want: unreachable, begin: faulty(sdktest.StepAuth, sdktest.FaultHuge)},
		}),
		each(auth, both, insider, callConnect, []faultCase{
			{fault: reset, want: unreachable, begin: ruled(onDown("<challenge", resets))},
			{fault: halfOpen, want: timedOut, begin: ruled(onDown("<success", freezes))},
			{fault: truncated, want: unreachable, begin: ruled(onDown("<challenge", half))},
			{fault: duplicated, note: "challenge", want: unreachable, begin: ruled(onDown("<challenge", twice))},
			{
				fault: reordered, note: "success first", want: unreachable,
				begin: ruled(onDown("<challenge", instead(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`))),
			},
			{
				fault: wrongSender, note: "does not know the password", want: unreachable,
				begin: ruled(onDown("<success", func(packet) fate {
					return fate{
						send: []string{
							`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` + base64.StdEncoding.EncodeToString(
								[]byte("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
							) + `</success>`,
						},
					}
				})),
			},
			{fault: wrongID, note: "nonce", want: unreachable, begin: ruled(onDown("<challenge", func(packet) fate {
				first := "r=somebodyelses,s=" + base64.StdEncoding.EncodeToString([]byte("salt")) + ",i=4096"
				return fate{
					send: []string{
						`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` +
							base64.StdEncoding.EncodeToString([]byte(first)) + `</challenge>`,
					},
				}
			}))},
		}),
	)
}

func bindCases() []faultCase {
	const id = "_bind_auth_2"
	early := func(s *site) {
		s.tap.tell(onDown(id, func(p packet) fate { return fate{send: []string{s.profilePush("P"), p.text}} }))
	}
	return join(
		each(bind, both, nothing, callConnect, []faultCase{
			{
				fault: refused, want: unreachable.sent(sdk.OutcomeRefused),
				begin: faulty(sdktest.StepBind, sdktest.FaultError),
			},
			{fault: silent, want: timedOut, begin: faulty(sdktest.StepBind, sdktest.FaultSilent)},
			{
				fault: slow, note: "from here on, 5 ms a byte",
				want:  timedOut.within(limit{request: time.Second, bound: slack * time.Second}),
				begin: faulty(sdktest.StepBind, sdktest.FaultSlow),
			},
			{fault: cut, want: unreachable, begin: faulty(sdktest.StepBind, sdktest.FaultClose)},
			{fault: garbage, want: unreachable, begin: faulty(sdktest.StepBind, sdktest.FaultMalformed)},
			{fault: oversized, want: unreachable, begin: faulty(sdktest.StepBind, sdktest.FaultHuge)},
		}),
		each(bind, both, insider, callConnect, []faultCase{
			{fault: reset, want: unreachable, begin: ruled(onDown(id, resets))},
			{fault: halfOpen, want: timedOut, begin: ruled(onDown(id, freezes))},
			{fault: truncated, want: unreachable, begin: ruled(onDown(id, half))},
			{fault: duplicated, want: connected, begin: ruled(onDown(id, twice))},
			{fault: reordered, note: "a push comes first", want: want{limit: soon, trace: "CP"}, begin: early},
			{fault: wrongID, want: timedOut, begin: ruled(onDown(id, replacing(id, "_bind_auth_3")))},
		}),
	)
}

// resumed makes cases run on a service that offers stream management.
func resumed(cases []faultCase) []faultCase {
	for i := range cases {
		if cases[i].resume == 0 {
			cases[i].resume = time.Hour
		}
	}
	return cases
}

// briefly is long enough to resume a stream, and short enough to wait for the end of one that the
// client has left.
const briefly = 3 * time.Second

// barrier pushes what shows that everything before has come.
func barrier(s *site) { s.srv.Push("alice", s.profilePush("b")) }

func idleCases() []faultCase {
	onLine := func(f func(*line)) func(*site) { return func(s *site) { f(s.line) } }
	pushing := func(text string) func(*site) {
		return func(s *site) { s.srv.Push("alice", text); barrier(s) }
	}
	return join(
		each(idle, ways, network, nil, []faultCase{
			{fault: refused, note: "the server is away", until: "RF", want: lost(soon), begin: onLine((*line).refuse)},
			{fault: cut, until: "RC", want: lost(soon), begin: onLine((*line).cut)},
			{fault: silent, until: "D", want: lost(unheard), begin: onLine((*line).silence)},
			{fault: halfOpen, until: "D", want: lost(unheard), begin: onLine((*line).halfOpen)},
		}),
		resumed(each(idle, both, network, nil, []faultCase{
			{fault: refused, note: "the server is away", until: "RF", want: taken(soon, "P"), begin: func(s *site) {
				s.line.refuse()
				s.await("the loss", func(trace string) bool { return strings.Contains(trace, "D") })
				s.srv.Push("alice", s.profilePush("P"))
			}},
			{fault: cut, until: "RC", want: taken(soon, ""), begin: onLine((*line).cut)},
			{fault: silent, until: "D", want: taken(unheard, ""), begin: onLine((*line).silence)},
			{fault: halfOpen, until: "D", want: taken(unheard, ""), begin: onLine((*line).halfOpen)},
		})),
		resumed(each(idle, both, insider, nil, []faultCase{
			{
				fault: wrongID, note: "another stream is resumed", until: "G", want: lost(soon),
				begin: resuming(replacing("previd=", "previd='x' was=")), resume: briefly,
			},
			{
				fault: garbage, note: "a count that cannot be", until: "G", want: lost(soon),
				begin: resuming(replacing(` h="`, ` h="9`)), resume: briefly,
			},
			{
				fault: refused, note: "the resumption, by a stream error", until: "G", want: lost(soon),
				begin: resuming(instead(
					`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><undefined-condition ` +
						`xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)), resume: briefly,
			},
		})),
		each(idle, ways, brittle, nil, []faultCase{
			{fault: reset, until: "RC", want: lost(soon), begin: onLine((*line).cut)},
		}),
		each(idle, both, network, nil, []faultCase{
			{fault: slow, until: "D", want: lost(unheard), begin: func(s *site) { s.line.slow("downstream") }},
			{
				fault: garbage, note: "inside TLS records", until: "D", want: lost(unheard),
				begin: onLine((*line).garble),
			},
			{fault: duplicated, note: "TLS records", until: "D", want: lost(unheard), begin: onLine((*line).duplicate)},
			{fault: reordered, note: "TLS records", until: "D", want: lost(unheard), begin: onLine((*line).reorder)},
		}),
		each(idle, both, nothing, nil, []faultCase{
			{fault: garbage, until: "RC", want: lost(soon), begin: pushing(noise)},
			{
				fault: truncated, note: "a stanza", until: "RC", want: lost(soon),
				begin: func(s *site) { s.srv.Push("alice", "<message><body>"); s.srv.DropConnections() },
			},
			{
				fault: oversized, until: "RC", want: lost(soon),
				begin: func(s *site) { s.srv.Push("alice", huge(packet{}).send[0]) },
			},
			{
				fault: wrongSender, note: "a request of somebody", until: "b", want: kept,
				begin: pushing(
					`<iq xmlns="jabber:client" type="set" id="x" from="mallory@stranger.example/x"><block ` +
						`xmlns="urn:xmpp:blocking"><item jid="bob@xmpp.mirrorfly.test"/></block></iq>`,
				),
			},
			{
				fault: wrongID, note: "a reply to nothing", until: "b", want: kept,
				begin: pushing(`<iq xmlns="jabber:client" type="result" id="nobody-asked"/>`),
			},
		}),
		each(idle, both, insider, nil, []faultCase{
			{
				fault: wrongSender, note: "of every pong", until: "b", want: want{limit: unheard, trace: "Cb"},
				begin: func(s *site) {
					s.forgePongs(3)
					barrier(s)
				},
			},
		}),
	)
}

// resuming does something to every answer to a resumption, and cuts the connection.
func resuming(rule func(packet) fate) func(*site) {
	return func(s *site) {
		s.tap.tell(onDown("<resumed", rule))
		s.tap.newest().finish(cut)
	}
}

// forgePongs makes answers to pings come from a stranger, and waits for that many.
func (s *site) forgePongs(count int) {
	pongs := make(chan struct{}, 100)
	s.tap.tell(func(p packet) fate {
		if !p.down || p.has("vCard") || !p.has(`type="result"`) {
			return pass(p)
		}
		select {
		case pongs <- struct{}{}:
		default:
		}
		return replacing(`from="`+s.srv.Domain()+`"`, `from="mallory@stranger.example"`)(p)
	})
	for range count {
		patient.Receive(s.t, pongs)
	}
}

func flightCases() []faultCase {
	const reply = "<blocklist"
	gone := lost(soon).during(500, sdk.ErrNotConnected, sdk.OutcomeUnknown)
	// the connection is given up later than the call
	late := lost(late).during(599, sdk.ErrNetwork, sdk.OutcomeUnknown)
	return join(
		each(inFlight, both, nothing, callBlocked, []faultCase{
			{fault: refused, want: refusal(500, sdk.OutcomeUnknown), begin: faulty(sdktest.StepIQ, sdktest.FaultError)},
			{fault: silent, want: unanswered, begin: faulty(sdktest.StepIQ, sdktest.FaultSilent)},
			{fault: cut, want: gone, begin: faulty(sdktest.StepIQ, sdktest.FaultClose)},
			{fault: garbage, want: gone, begin: faulty(sdktest.StepIQ, sdktest.FaultMalformed)},
			{fault: oversized, want: gone, begin: faulty(sdktest.StepIQ, sdktest.FaultHuge)},
			{fault: wrongSender, want: unanswered, begin: faulty(sdktest.StepIQ, sdktest.FaultWrongSender)},
		}),
		each(inFlight, both, insider, callBlocked, []faultCase{
			{fault: reset, want: gone, begin: ruled(onDown(reply, resets))},
			{fault: halfOpen, want: late, begin: ruled(onDown(reply, freezes))},
			{fault: truncated, want: gone, begin: ruled(onDown(reply, half))},
			{fault: duplicated, want: works, begin: ruled(onDown(reply, twice))},
			{fault: reordered, note: "two replies", want: works, begin: func(s *site) {
				// which is asked for first is open
				either := func(p packet) bool { return p.has(reply) || p.has("jabber:iq:last") }
				s.tap.tell(swapped(either, either))
			}, call: callTwo},
			{fault: wrongID, want: unanswered, begin: ruled(onDown(reply, replacing(` id="`, ` id="x`)))},
		}),
		resumed(each(inFlight, both, insider, callBlocked, []faultCase{
			{
				fault: cut, want: taken(soon, "").during(500, sdk.ErrNotConnected, sdk.OutcomeUnknown),
				begin: func(s *site) { s.tap.tell(once(onDown(reply, cutOff))) },
			},
		})),
		each(inFlight, both, network, callBlocked, []faultCase{
			{fault: slow, want: late, begin: func(s *site) { s.line.slow("downstream") }},
			{
				fault: halfOpen, note: "noticed by pings",
				want:  lost(unheard).during(500, sdk.ErrNotConnected, sdk.OutcomeUnknown),
				begin: func(s *site) { s.line.halfOpen() },
			},
			{fault: refused, note: "no connection any more", want: gone.sent(sdk.OutcomeNotSent), begin: func(s *site) {
				s.line.refuse()
				s.await("the loss", func(trace string) bool { return strings.Contains(trace, "D") })
			}},
		}),
	)
}

func callBlocked(ctx context.Context, s *site) error {
	_, err := s.client.GetUsersIBlocked(ctx)
	return err
}

// callTwo has two requests in flight and checks that each gets its own reply.
func callTwo(ctx context.Context, s *site) error {
	other := make(chan error, 1)
	go func() { // ends with the call
		res, err := s.client.GetLastSeen(ctx, s.account.UserJID)
		if err == nil && res.Data.FromUserJID != s.account.UserJID {
			err = fmt.Errorf("last seen of %q", res.Data.FromUserJID)
		}
		other <- err
	}()
	list, err := s.client.GetUsersIBlocked(ctx)
	if err == nil && len(list.Data) != 0 {
		err = fmt.Errorf("blocked: %v", list.Data)
	}
	if second := <-other; err == nil {
		err = second
	}
	return err
}

func pushCases() []faultCase {
	const mark = pushMark + "P"
	// Pushes P, which meets the fault, then b, which does not.
	through := func(rule func(packet) fate) func(*site) {
		return func(s *site) {
			s.tap.tell(once(onDown(mark, rule)))
			s.srv.Push("alice", s.profilePush("P"))
			barrier(s)
		}
	}
	raw := func(text func(s *site) string) func(*site) {
		return func(s *site) { s.srv.Push("alice", text(s)); barrier(s) }
	}
	from := func(who string) func(*site) {
		return raw(func(s *site) string {
			return strings.Replace(s.profilePush("P"), `from="bob@`+s.srv.Domain()+`"`, who, 1)
		})
	}
	told := func(trace string) want { return want{limit: soon, trace: trace} }
	return join(
		each(push, both, insider, nil, []faultCase{
			{fault: silent, note: "it gets lost", until: "b", want: told("Cb"), begin: through(drop)},
			{fault: cut, until: "RC", want: lost(soon), begin: through(cutOff)},
			{fault: reset, until: "RC", want: lost(soon), begin: through(resets)},
			{fault: halfOpen, until: "D", want: lost(unheard), begin: through(freezes)},
			{fault: garbage, until: "RC", want: lost(soon), begin: through(instead(noise))},
			{fault: truncated, until: "RC", want: lost(soon), begin: through(half)},
			{fault: oversized, until: "RC", want: lost(soon), begin: through(huge)},
			{fault: duplicated, note: "two pushes are two", until: "b", want: told("CPPb"), begin: through(twice)},
			{fault: reordered, note: "as they come", until: "P", want: told("CbP"), begin: func(s *site) {
				s.tap.tell(swapped(having(mark), having(pushMark+"b")))
				s.srv.Push("alice", s.profilePush("P"))
				barrier(s)
			}},
		}),
		resumed(each(push, both, insider, nil, []faultCase{
			{fault: cut, until: "b", want: taken(soon, "Pb"), begin: through(cutOff)},
			{fault: reset, until: "b", want: taken(soon, "Pb"), begin: through(resets)},
			{fault: halfOpen, until: "b", want: taken(unheard, "Pb"), begin: through(freezes)},
			{
				fault: garbage, note: "the client ends the stream", until: "RC", want: lost(soon),
				begin: through(instead(noise)), resume: briefly,
			},
		})),
		// a stanza that the client cannot accept would come again with the stream
		resumed(each(push, both, nothing, nil, []faultCase{
			{
				fault: garbage, note: "kept by the server", until: "G", want: lost(soon),
				begin: raw(func(*site) string { return noise }), resume: briefly,
			},
			{
				fault: oversized, note: "kept by the server", until: "G", want: lost(soon),
				begin: raw(func(*site) string { return huge(packet{}).send[0] }), resume: briefly,
			},
		})),
		// a WebSocket message is whole, or its content is garbage
		resumed(each(push, []way{startTLS}, insider, nil, []faultCase{
			{fault: truncated, until: "b", want: taken(soon, "Pb"), begin: through(half)},
		})),
		each(push, both, nothing, nil, []faultCase{
			{
				fault: wrongSender, note: "another domain", until: "b", want: told("Cb"),
				begin: from(`from="bob@stranger.example"`),
			},
			{
				fault: wrongSender, note: "a device of the user", until: "b", want: told("Cb"),
				begin: from(`from="bob@xmpp.mirrorfly.test/phone"`),
			},
			{
				fault: wrongID, note: "none at all", until: "b", want: told("CPb"),
				begin: raw(func(s *site) string { return strings.Replace(s.profilePush("P"), ` id="push"`, "", 1) }),
			},
		}),
		each(push, []way{webSocket}, network, nil, []faultCase{
			{fault: slow, until: "D", want: lost(unheard), begin: func(s *site) {
				s.line.slow("downstream")
				s.srv.Push("alice", s.profilePush("P"))
			}},
		}),
	)
}
