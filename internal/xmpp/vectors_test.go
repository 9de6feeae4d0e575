package xmpp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every recorded method: what we send, and what we make of the reply.
func TestVectorMethods(t *testing.T) {
	for _, v := range loadVectors(t).Methods {
		t.Run(v.Method+" "+v.Note, func(t *testing.T) {
			want := canon(t, v.Outgoing)
			// The recorded refusals of our own account's requests come from bob, who was
			// never asked: see TestRefusalFromStranger.
			inbound := v.Inbound
			if !strings.Contains(v.Outgoing, " to=") {
				inbound = strings.Replace(inbound, `from="bob@xmpp.example.com"`, `from="`+testBare+`"`, 1)
			}
			c := dial(t, pipeServer(t, func(p *peer) {
				p.login()
				q := p.recv()
				if q.String() != want {
					t.Errorf("sent\n%s\nwant\n%s", q, want)
				}
				p.send(strings.Replace(inbound, `id="ID"`, `id="`+q.attr("id")+`"`, 1))
				p.drain()
			}))
			ctx := soon(t)
			var got any
			var err error
			switch v.Method {
			case "getLastSeen":
				var from string
				var seconds int64
				from, seconds, err = c.LastActivity(ctx, v.Args["toUserJid"])
				got = map[string]any{"fromUserJid": from, "seconds": seconds}
			case "blockUser":
				err = c.Block(ctx, v.Args["toUserJid"])
			case "unblockUser":
				err = c.Unblock(ctx, v.Args["toUserJid"])
			case "getUsersIBlocked":
				var jids []string
				jids, err = c.BlockList(ctx)
				got = jidList(jids)
			case "getUsersWhoBlockedMe":
				var jids []string
				jids, err = c.WhoBlockedMe(ctx)
				got = jidList(jids)
			case "setUserProfile":
				err = c.SetVCard(ctx, sealedVCard(t, v.Outgoing))
			default:
				require.Contains(t, v.Method, "logout")
				require.NoError(t, c.LogOutQR(ctx, v.Args["qrsocketId"]))
				require.Eventually(t, func() bool { return c.pending() == 0 }, patience, time.Millisecond)
				require.Zero(t, c.Ignored(), "its reply is expected")
				return
			}
			checkResult(t, v.Result, got, err)
			require.Zero(t, c.pending())
			require.Zero(t, c.Ignored())
		})
	}
}

// checkResult compares with the recorded result object of the service's client.
func checkResult(t *testing.T, recorded json.RawMessage, got any, err error) {
	t.Helper()
	var want struct {
		StatusCode int
		Data       json.RawMessage
	}
	require.NoError(t, json.Unmarshal(recorded, &want))
	if want.StatusCode != 200 {
		refused := (*StanzaError)(nil)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, StanzaError{Type: "cancel", Condition: "item-not-found"}, *refused)
		return
	}
	require.NoError(t, err)
	if want.Data != nil {
		b, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, string(want.Data), string(b))
	}
}

func jidList(jids []string) any {
	list := make([]map[string]string, len(jids))
	for i, j := range jids {
		list[i] = map[string]string{"jid": j}
	}
	return list
}

// sealedVCard takes the values, which others seal, from the recorded stanza.
func sealedVCard(t *testing.T, outgoing string) VCard {
	t.Helper()
	n, err := parseNode(outgoing)
	require.NoError(t, err)
	values := map[string]string{}
	for _, child := range n.inner[0].(node).inner {
		values[child.(node).name.Local] = child.(node).text()
	}
	require.Len(t, values, 6)
	return VCard{
		NickName: values["nickName"], Image: values["image"], ThumbImage: values["thumbImage"],
		Email: values["email"], MobileNumber: values["mobileNumber"], Status: values["status"],
	}
}

// Every recorded frame of the handshake, on a WebSocket.
func TestVectorStream(t *testing.T) {
	still(t, func(t *testing.T) {
		v := loadVectors(t)
		cfg := webSocketServer(t, func(p *peer) {
			for _, f := range v.Stream {
				switch {
				case f.Step == "server ping" || strings.HasPrefix(f.Step, "pong") || strings.HasPrefix(f.Step, "unknown iq"):
					continue // TestAnswers
				case f.Direction == "in":
					p.send(f.XML)
				case strings.HasPrefix(f.Step, "logout/disconnect 1"):
					p.send(`<presence from="bob@xmpp.example.com/x" xmlns="jabber:client"/>`)
					p.expect(f.XML)
				default:
					p.expect(f.XML)
				}
			}
			p.send(closeFrame)
			p.drain()
		})
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		c.event() // the server is at the end of its list
		require.NoError(t, c.Close(soon(t)))
		require.ErrorIs(t, c.ended(), ErrClosed)
	})
}

// What we answer to requests of the server, frame by frame.
func TestAnswers(t *testing.T) {
	v := loadVectors(t)
	unavailable := v.stream(t, "unknown iq get/set reply")
	withTo := func(to string) string { return strings.Replace(unavailable, "<iq ", `<iq to="`+to+`" `, 1) }
	for _, tc := range []struct{ name, in, want string }{
		{"ping", v.stream(t, "server ping"), v.stream(t, "pong")},
		{
			"ping without to",
			strings.Replace(v.stream(t, "server ping"), ` to="alice_1@xmpp.example.com/Web-r"`, "", 1),
			v.stream(t, "pong when the ping had no to attribute"),
		},
		{"ping without from or to", `<iq id="s1" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`, `<iq id="s1" type="result" xmlns="jabber:client"/>`},
		{"ping as a set", `<iq id="ID" type="set" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`, unavailable},
		{"unknown get", `<iq id="ID" type="get" xmlns="jabber:client"><query xmlns="jabber:iq:version"/></iq>`, unavailable},
		{"unknown set", `<iq id="ID" type="set" from="xmpp.example.com" xmlns="jabber:client"><query xmlns="jabber:iq:privacy"/></iq>`, withTo("xmpp.example.com")},
		{"empty get", `<iq id="ID" type="get" from="bob@elsewhere.example/x" xmlns="jabber:client"/>`, withTo("bob@elsewhere.example/x")},
		{"block push", `<iq id="b1" type="set" from="` + testBare + `" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="bob@xmpp.example.com"/></block></iq>`, `<iq id="b1" to="` + testBare + `" type="result" xmlns="jabber:client"/>`},
		{"forged block push", `<iq id="ID" type="set" from="bob@xmpp.example.com" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="x@xmpp.example.com"/></block></iq>`, withTo("bob@xmpp.example.com")},
		{"block push as a get", `<iq id="ID" type="get" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="x@xmpp.example.com"/></block></iq>`, unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answered := make(chan string, 1)
			dial(t, pipeServer(t, func(p *peer) {
				p.login()
				p.send(tc.in)
				answered <- p.recv().String()
				p.drain()
			}))
			select {
			case got := <-answered:
				require.Equal(t, canon(t, tc.want), got)
			case <-time.After(patience):
				require.FailNow(t, "no answer")
			}
		})
	}
}

// Every recorded push: what we tell, in the terms of the recorded payload.
func TestVectorEvents(t *testing.T) {
	bob := JID{Local: "bob", Domain: testDomain}
	want := map[string]Event{
		"presence online":  Presence{From: JID{"bob", testDomain, "Web-x"}},
		"presence offline": Presence{From: JID{"bob", testDomain, "Web-x"}, Type: "unavailable"},
		"vCard push": VCardPush{From: bob, VCard: VCard{
			NickName: "YS1l5V7cl7vq3/8xxj3WoQ==", Image: "bob.png", ThumbImage: "bobt.png",
			Email: "WlxJ4yVQRiyAIRXeGR4XFhVwsDEFuvRGdm7U1JzfZSk=", MobileNumber: "+pzGA/B6XOs3n0Lutap4uA==", Status: "Hi there",
		}},
		"vCard push, not encrypted":             VCardPush{From: bob, VCard: VCard{NickName: "Plain Bob"}},
		"block push (own other device)":         BlockPush{Blocked: true, JIDs: []string{"bob@xmpp.example.com"}},
		"unblock push (own other device)":       BlockPush{JIDs: []string{"bob@xmpp.example.com"}},
		"someone blocked me":                    UserBlocked{User: "bob", Blocked: true},
		"someone unblocked me":                  UserBlocked{User: "bob"},
		"userblocked carbon":                    UserBlocked{User: "bob", Blocked: true, Carbon: true},
		"user deleted":                          UserDeleted{User: "bob@xmpp.example.com"},
		"admin block":                           AdminBlock{JID: "bob@xmpp.example.com", ChatType: "chat", Blocked: true},
		"web session logged out from the phone": LoggedOut{SocketIDs: []string{"xxxx", "sOcKeTiD_0001"}},
		// Of the roster, which is not ours to keep; and our own presence.
		"own presence": nil, "contact permission off": nil, "contact permission on": nil, "register update": nil, "roster result": nil,
	}
	for _, v := range loadVectors(t).Events {
		t.Run(v.Event, func(t *testing.T) {
			expected, known := want[v.Event]
			require.True(t, known, "a push that this test does not know")
			events, _ := push(t, v.Inbound)
			if expected == nil {
				require.Empty(t, events)
			} else {
				require.Equal(t, []Event{expected}, events)
			}
		})
	}
}

// push sends stanzas to a session, on each transport in turn, and returns what
// it told of them and how many it ignored.
func push(t *testing.T, stanzas ...string) (events []Event, ignored int) {
	t.Helper()
	const mark = "end@of.test/x"
	c := dial(t, pipeServer(t, func(p *peer) {
		p.login()
		go p.drain() // the client may answer; ends with the connection
		for _, s := range stanzas {
			p.send(s)
		}
		p.send(`<presence from="` + mark + `" xmlns="jabber:client"/>`)
	}))
	for {
		e := c.event()
		if pr, ok := e.(Presence); ok && pr.From.String() == mark {
			return events, c.Ignored()
		}
		events = append(events, e)
	}
}
