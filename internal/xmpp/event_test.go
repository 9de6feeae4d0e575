package xmpp

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who is believed, and what is no push at all. None of it ends the session.
func TestEvents(t *testing.T) {
	const (
		bob      = `from="bob@xmpp.example.com"`
		bobPhone = `from="bob@xmpp.example.com/phone"`
		mallory  = `from="mallory@xmpp.example.com/x"`
		own      = `from="` + testBare + `"`
		ownPhone = `from="` + testBare + `/phone"`
		server   = `from="` + testDomain + `"`
		foreign  = `from="bob@elsewhere.example"`
	)
	iq := func(attrs, inner string) string {
		return `<iq id="p1" to="` + testFull + `" ` + attrs + ` xmlns="jabber:client">` + inner + `</iq>`
	}
	msg := func(attrs, inner string) string {
		return `<message ` + attrs + ` xmlns="jabber:client">` + inner + `</message>`
	}
	carbon := func(attrs, innerAttrs, inner string) string {
		return msg(attrs, `<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><delay xmlns="urn:xmpp:delay"/>`+msg(innerAttrs, inner)+`</forwarded></received>`)
	}
	const (
		vcard   = `<vCard xmlns="vcard-temp"><nickName>Bob</nickName></vCard>`
		block   = `<block xmlns="urn:xmpp:blocking"><item jid="x@xmpp.example.com"/></block>`
		unblock = `<unblock xmlns="urn:xmpp:blocking"/>`
		blocked = `<userblocked blocked_user="bob" type="block_user"/>`
		deleted = `<user_deleted user="bob@xmpp.example.com"/>`
		admin   = `<admin_block jid="` + testBare + `"/>`
		logout  = `<logout socket_id=" a, ,b,"/>`
	)
	bobJID := JID{Local: "bob", Domain: testDomain}
	vcardPush := VCardPush{From: bobJID, VCard: VCard{NickName: "Bob"}}
	blockPush := BlockPush{Blocked: true, JIDs: []string{"x@xmpp.example.com"}}
	userBlocked := UserBlocked{User: "bob", Blocked: true}
	userDeleted := UserDeleted{User: "bob@xmpp.example.com"}

	for _, tc := range []struct {
		name    string
		in      string
		want    Event // nil: nothing is told
		ignored int
	}{
		{"presence of another type", `<presence ` + bob + ` type="subscribe" xmlns="jabber:client"/>`, Presence{From: bobJID, Type: "subscribe"}, 0},
		{"presence error", `<presence ` + bob + ` type="error" xmlns="jabber:client"><error/></presence>`, Presence{From: bobJID, Type: "error"}, 0},
		{"presence of our other device", `<presence ` + ownPhone + ` type="unavailable" xmlns="jabber:client"/>`, nil, 0},
		{"presence without from", `<presence xmlns="jabber:client"/>`, nil, 0},
		{"presence of the same name elsewhere", `<presence from="alice_1@elsewhere.example" xmlns="jabber:client"/>`, Presence{From: JID{Local: "alice_1", Domain: "elsewhere.example"}}, 0},
		{"presence from nobody", `<presence from="@" xmlns="jabber:client"/>`, nil, 1},

		{"vCard of our own", iq(own+` type="result"`, vcard), VCardPush{From: JID{Local: testUser, Domain: testDomain}, VCard: VCard{NickName: "Bob"}}, 0},
		{"vCard, case of the sender", iq(`from="BOB@XMPP.Example.COM" type="result"`, vcard), vcardPush, 0},
		{"vCard with a prefix", iq(bob+` type="result"`, `<v:vCard xmlns:v="vcard-temp"><v:nickName>Bob</v:nickName></v:vCard>`), vcardPush, 0},
		{"vCard, empty", iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"/>`), VCardPush{From: bobJID, Empty: true}, 0},
		{"vCard, empty children", iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"><nickName/></vCard>`), VCardPush{From: bobJID}, 0},
		{"vCard, unknown and nested children", iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"><N><nickName>no</nickName></N><nickName>Bob</nickName><nickName>Eve</nickName></vCard>`), vcardPush, 0},
		{"vCard namespace on the iq", `<iq id="p1" ` + bob + ` type="result" xmlns="vcard-temp"><vCard><nickName>Bob</nickName></vCard></iq>`, vcardPush, 0},
		{"vCard from a device", iq(bobPhone+` type="result"`, vcard), nil, 1},
		{"vCard from elsewhere", iq(foreign+` type="result"`, vcard), nil, 1},
		{"vCard from the server", iq(server+` type="result"`, vcard), nil, 1},
		{"vCard from nobody", iq(`type="result"`, vcard), nil, 1},
		{"vCard as an error", iq(bob+` type="error"`, vcard), nil, 1},
		{"vCard as a set", iq(bob+` type="set"`, vcard), nil, 1},
		{"vCard in another namespace", iq(bob+` type="result"`, `<vCard xmlns="urn:other"><nickName>Bob</nickName></vCard>`), nil, 1},
		{"result with nothing", iq(bob+` type="result"`, ``), nil, 1},
		{"iq without type", iq(own, vcard), nil, 1},
		{"iq of a made up type", iq(own+` type="push"`, vcard), nil, 1},

		{"block from our account", iq(own+` type="set"`, block), blockPush, 0},
		{"block from our server", iq(server+` type="set"`, block), blockPush, 0},
		{"block without from", iq(`type="set"`, block), blockPush, 0},
		{"block from our other device", iq(ownPhone+` type="set"`, block), nil, 1},
		{"block from bob", iq(bob+` type="set"`, block), nil, 1},
		{"block without items", iq(`type="set"`, `<block xmlns="urn:xmpp:blocking"/>`), nil, 1},
		{"block without an id", `<iq type="set" xmlns="jabber:client">` + block + `</iq>`, nil, 1},
		{"block in another namespace", iq(`type="set"`, `<block xmlns="urn:other"><item jid="x@xmpp.example.com"/></block>`), nil, 1},
		{"unblock all", iq(`type="set"`, unblock), BlockPush{JIDs: []string{}}, 0},
		{"unblock of items without jid is not all", iq(`type="set"`, `<unblock xmlns="urn:xmpp:blocking"><item/></unblock>`), nil, 1},
		{"unblock all from bob", iq(bob+` type="set"`, unblock), nil, 1},

		{"blocked, says the server", msg(server, blocked), userBlocked, 0},
		{"blocked, says bob", msg(bobPhone, blocked), userBlocked, 0},
		{"blocked, says our account", msg(own, blocked), userBlocked, 0},
		{"blocked, without from", msg(``, blocked), userBlocked, 0},
		{"blocked by bob, says mallory", msg(mallory, blocked), nil, 1},
		{"blocked by bob, says his namesake", msg(foreign, blocked), nil, 1},
		{"blocked, wrapped", msg(server, `<x xmlns="urn:x"><y>`+blocked+`</y></x>`), userBlocked, 0},
		{"blocked, in an error", msg(server+` type="error"`, blocked), nil, 0},
		{"blocked, without user", msg(server, `<userblocked type="block_user"/>`), nil, 1},
		{"blocked, of no known type", msg(server, `<userblocked blocked_user="bob" type="maybe"/>`), nil, 1},
		{"blocked, forwarded", msg(server, `<forwarded xmlns="urn:xmpp:forward:0">`+msg(server, blocked)+`</forwarded>`), nil, 0},
		{"blocked, from the archive", msg(own, `<result xmlns="urn:xmpp:mam:2"><forwarded xmlns="urn:xmpp:forward:0">`+msg(server, deleted)+`</forwarded></result>`), nil, 0},
		{"blocked, sent carbon", msg(own, `<sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+msg(own, deleted)+`</forwarded></sent>`), nil, 0},

		{"deleted, says the server", msg(server, deleted), userDeleted, 0},
		{"deleted, says bob", msg(bob, deleted), nil, 1},
		{"deleted, nobody", msg(server, `<user_deleted/>`), nil, 1},
		{"admin block, by default off", msg(server, admin), AdminBlock{JID: testBare}, 0},
		{"admin block of us, says bob", msg(bob, `<admin_block block_status="1" jid="`+testBare+`"/>`), nil, 1},
		{"admin block, nobody", msg(server, `<admin_block block_status="1"/>`), nil, 1},
		{"logout, says our account", msg(own, logout), LoggedOut{SocketIDs: []string{"a", "b"}}, 0},
		{"logout, says bob", msg(bob, logout), nil, 1},
		{"logout of nothing", msg(server, `<logout socket_id=" , "/>`), nil, 1},

		{"carbon of what bob said", carbon(own, bobPhone, blocked), UserBlocked{User: "bob", Blocked: true, Carbon: true}, 0},
		{"carbon of what the server said", carbon(own, server, deleted), userDeleted, 0},
		{"carbon of what mallory said", carbon(own, mallory, deleted), nil, 1},
		{"carbon of an error", carbon(own, server+` type="error"`, deleted), nil, 0},
		{"carbon from bob", carbon(bob, server, deleted), nil, 1},
		{"carbon from our other device", carbon(ownPhone, server, deleted), nil, 1},
		{"carbon from the server", carbon(server, server, deleted), nil, 1},
		{"carbon in a carbon", carbon(own, mallory, carbon(own, server, deleted)), nil, 0},
		{"carbon with a second message", msg(own, `<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+msg(mallory, deleted)+msg(server, ``)+`</forwarded></received>`), nil, 1},
		{"receipt is no carbon", msg(bob, `<received xmlns="urn:xmpp:receipts" id="1"/>`), nil, 0},

		{"chat", msg(bobPhone+` type="chat"`, `<body>hi &lt;userblocked/&gt; <![CDATA[<user_deleted user="x"/>]]></body>`), nil, 0},
		{"unknown element", `<r xmlns="urn:xmpp:sm:3"/>`, nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events, ignored := push(t, tc.in)
			if tc.want == nil {
				require.Empty(t, events)
			} else {
				require.Equal(t, []Event{tc.want}, events)
			}
			require.Equal(t, tc.ignored, ignored)
		})
	}

	t.Run("all at once, in order", func(t *testing.T) {
		events, ignored := push(t, msg(server, logout+admin+deleted+blocked+blocked), msg(bob, deleted+blocked))
		require.Equal(t, []Event{userBlocked, userDeleted, AdminBlock{JID: testBare}, LoggedOut{SocketIDs: []string{"a", "b"}}, userBlocked}, events)
		require.Equal(t, 1, ignored)
	})
	t.Run("many items", func(t *testing.T) {
		var items strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&items, `<item jid="u%d@xmpp.example.com"/>`, i)
		}
		events, _ := push(t, iq(`type="set"`, `<block xmlns="urn:xmpp:blocking">`+items.String()+`</block>`))
		require.Len(t, events, 1)
		require.Len(t, events[0].(BlockPush).JIDs, 5000)
	})
}

// Who may send us a request may not have us send much more: what an answer would repeat is bounded, whatever the request is.
func TestEnormousRequestIsNotEchoed(t *testing.T) {
	long := strings.Repeat("&quot;", 40_000)
	asks := []string{
		`<iq type="get"%s><ping xmlns="urn:xmpp:ping"/></iq>`,
		`<iq type="get"%s><query xmlns="jabber:iq:version"/></iq>`,
		`<iq type="set"%s><block xmlns="urn:xmpp:blocking"><item jid="bob@xmpp.example.com"/></block></iq>`,
	}
	attributes := []string{
		` id="` + long + `" from="` + testDomain + `"`,
		` id="1" to="` + long + `"`,
		` id="1" from="mallory@xmpp.example.com/` + long + `"`,
	}
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		answered := make(chan int, 1)
		cfg := serve(t, func(p *peer) {
			p.login()
			go func() { // ends with the connection at the latest
				for _, ask := range asks {
					for _, a := range attributes {
						p.send(fmt.Sprintf(ask, a))
					}
				}
				p.send(`<iq id="last" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`)
			}()
			bytes := 0
			for n := p.recv(); ; n = p.recv() {
				if bytes += len(n.String()); n.attr("id") == "last" {
					break
				}
			}
			answered <- bytes
			p.drain()
		})
		cfg.Ignored = new(atomic.Int64)
		cfg.Ignored.Store(100) // of other sessions
		c := dial(t, cfg)
		require.Less(t, <-answered, 1000)
		require.Equal(t, len(asks)*len(attributes), c.Ignored())
		require.EqualValues(t, 100+len(asks)*len(attributes), cfg.Ignored.Load())
		require.NoError(t, c.Err())
	})
}
