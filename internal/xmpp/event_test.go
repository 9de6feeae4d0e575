package xmpp

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

func BenchmarkReceivePresence(b *testing.B) {
	cfg := Config{Handle: func(Event) {}}
	cfg.setDefaults()
	s := newSession(&cfg, &handshake{
		cfg: &cfg, conn: nowhere{},
		jid: JID{scripted.User, scripted.Domain, scripted.Resource},
	})
	defer s.end(ErrClosed)
	frame := (`<presence xmlns='jabber:client' xml:lang='en' to='` + scripted.Full +
		`' from='bob@xmpp.example.com/x'><priority>1</priority></presence>`)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.receive(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// Who is believed, and what is no push at all. None of it ends the session.
func TestEvents(t *testing.T) {
	const (
		bob      = `from="bob@xmpp.example.com"`
		bobPhone = `from="bob@xmpp.example.com/phone"`
		mallory  = `from="mallory@xmpp.example.com/x"`
		own      = `from="` + scripted.Bare + `"`
		ownPhone = `from="` + scripted.Bare + `/phone"`
		server   = `from="` + scripted.Domain + `"`
		foreign  = `from="bob@elsewhere.example"`
	)
	iq := func(attrs, inner string) string {
		return `<iq id="p1" to="` + scripted.Full + `" ` + attrs + ` xmlns="jabber:client">` + inner + `</iq>`
	}
	msg := func(attrs, inner string) string {
		return `<message ` + attrs + ` xmlns="jabber:client">` + inner + `</message>`
	}
	carbon := func(attrs, innerAttrs, inner string) string {
		return msg(attrs, `<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+
			`<delay xmlns="urn:xmpp:delay"/>`+msg(innerAttrs, inner)+`</forwarded></received>`)
	}
	const (
		vcard   = `<vCard xmlns="vcard-temp"><nickName>Bob</nickName></vCard>`
		block   = `<block xmlns="urn:xmpp:blocking"><item jid="x@xmpp.example.com"/></block>`
		unblock = `<unblock xmlns="urn:xmpp:blocking"/>`
		blocked = `<userblocked blocked_user="bob" type="block_user"/>`
		deleted = `<user_deleted user="bob@xmpp.example.com"/>`
		admin   = `<admin_block jid="` + scripted.Bare + `"/>`
		logout  = `<logout socket_id=" a, ,b,"/>`
	)
	bobJID := JID{Local: "bob", Domain: scripted.Domain}
	vcardPush := VCardPush{From: bobJID, VCard: VCard{NickName: "Bob"}}
	blockPush := BlockPush{Blocked: true, JIDs: []string{"x@xmpp.example.com"}}
	userBlocked := UserBlocked{User: "bob", Blocked: true}
	userDeleted := UserDeleted{User: "bob@xmpp.example.com"}

	for _, tc := range []struct {
		name string
		in   string
		// Nil: nothing is told.
		want    Event
		ignored int
	}{
		{
			"presence of another type", `<presence ` + bob + ` type="subscribe" xmlns="jabber:client"/>`,
			Presence{From: bobJID, Type: "subscribe"},
			0,
		},
		{
			"presence error", `<presence ` + bob + ` type="error" xmlns="jabber:client"><error/></presence>`,
			Presence{From: bobJID, Type: "error"},
			0,
		},
		{
			"presence of our other device", `<presence ` + ownPhone + ` type="unavailable" xmlns="jabber:client"/>`,
			nil,
			0,
		},
		{"presence without from", `<presence xmlns="jabber:client"/>`, nil, 0},
		{
			"presence of the same name elsewhere", `<presence from="alice_1@elsewhere.example" xmlns="jabber:client"/>`,
			Presence{From: JID{Local: "alice_1", Domain: "elsewhere.example"}},
			0,
		},
		{"presence from nobody", `<presence from="@" xmlns="jabber:client"/>`, nil, 1},

		{
			"vCard of our own", iq(own+` type="result"`, vcard),
			VCardPush{From: JID{Local: scripted.User, Domain: scripted.Domain}, VCard: VCard{NickName: "Bob"}},
			0,
		},
		{"vCard, case of the sender", iq(`from="BOB@XMPP.Example.COM" type="result"`, vcard), vcardPush, 0},
		{"vCard with a prefix", iq(bob+
			` type="result"`, `<v:vCard xmlns:v="vcard-temp"><v:nickName>Bob</v:nickName></v:vCard>`), vcardPush, 0},
		{
			"vCard, empty", iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"/>`),
			VCardPush{From: bobJID},
			0,
		},
		{
			"vCard, empty children", iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"><nickName/></vCard>`),
			VCardPush{From: bobJID},
			0,
		},
		{
			"vCard, unknown and nested children",
			iq(bob+` type="result"`, `<vCard xmlns="vcard-temp"><N><nickName>no</nickName></N>`+
				`<nickName>Bob</nickName><nickName>Eve</nickName></vCard>`), vcardPush, 0,
		},
		{"vCard namespace on the iq", `<iq id="p1" ` + bob +
			` type="result" xmlns="vcard-temp"><vCard><nickName>Bob</nickName></vCard></iq>`, vcardPush, 0},
		{"vCard from a device", iq(bobPhone+` type="result"`, vcard), nil, 1},
		{"vCard from elsewhere", iq(foreign+` type="result"`, vcard), nil, 1},
		{"vCard from the server", iq(server+` type="result"`, vcard), nil, 1},
		{"vCard from nobody", iq(`type="result"`, vcard), nil, 1},
		{"vCard as an error", iq(bob+` type="error"`, vcard), nil, 1},
		{"vCard as a set", iq(bob+` type="set"`, vcard), nil, 1},
		{
			"vCard in another namespace",
			iq(bob+` type="result"`, `<vCard xmlns="urn:other"><nickName>Bob</nickName></vCard>`), nil, 1,
		},
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
		{
			"block in another namespace",
			iq(`type="set"`, `<block xmlns="urn:other"><item jid="x@xmpp.example.com"/></block>`), nil, 1,
		},
		{"unblock all", iq(`type="set"`, unblock), BlockPush{JIDs: []string{}}, 0},
		{
			"unblock of items without jid is not all",
			iq(`type="set"`, `<unblock xmlns="urn:xmpp:blocking"><item/></unblock>`), nil, 1,
		},
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
		{"blocked, forwarded", msg(server, `<forwarded xmlns="urn:xmpp:forward:0">`+msg(server, blocked)+
			`</forwarded>`), nil, 0},
		{"blocked, from the archive", msg(own, `<result xmlns="urn:xmpp:mam:2"><forwarded xmlns="urn:xmpp:forward:0">`+
			msg(server, deleted)+`</forwarded></result>`), nil, 0},
		{"blocked, sent carbon", msg(own, `<sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+
			msg(own, deleted)+`</forwarded></sent>`), nil, 0},

		{"deleted, says the server", msg(server, deleted), userDeleted, 0},
		{"deleted, says bob", msg(bob, deleted), nil, 1},
		{"deleted, nobody", msg(server, `<user_deleted/>`), nil, 1},
		{"admin block, by default off", msg(server, admin), AdminBlock{JID: scripted.Bare}, 0},
		{"admin block of us, says bob", msg(bob, `<admin_block block_status="1" jid="`+scripted.Bare+`"/>`), nil, 1},
		{"admin block, nobody", msg(server, `<admin_block block_status="1"/>`), nil, 1},
		{"logout, says our account", msg(own, logout), LoggedOut{SocketIDs: []string{"a", "b"}}, 0},
		{"logout, says bob", msg(bob, logout), nil, 1},
		{"logout of nothing", msg(server, `<logout socket_id=" , "/>`), nil, 1},

		{
			"carbon of what bob said", carbon(own, bobPhone, blocked),
			UserBlocked{User: "bob", Blocked: true},
			0,
		},
		{"carbon of what the server said", carbon(own, server, deleted), userDeleted, 0},
		{"carbon of what mallory said", carbon(own, mallory, deleted), nil, 1},
		{"carbon of an error", carbon(own, server+` type="error"`, deleted), nil, 0},
		{"carbon from bob", carbon(bob, server, deleted), nil, 1},
		{"carbon from our other device", carbon(ownPhone, server, deleted), nil, 1},
		{"carbon from the server", carbon(server, server, deleted), nil, 1},
		{"carbon in a carbon", carbon(own, mallory, carbon(own, server, deleted)), nil, 0},
		{
			"carbon with a second message",
			msg(own, `<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+
				msg(mallory, deleted)+msg(server, ``)+`</forwarded></received>`), nil, 1,
		},
		{"receipt is no carbon", msg(bob, `<received xmlns="urn:xmpp:receipts" id="1"/>`), nil, 0},

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
		require.Equal(t, []Event{
			userBlocked, userDeleted,
			AdminBlock{JID: scripted.Bare},
			LoggedOut{SocketIDs: []string{"a", "b"}},
			userBlocked,
		}, events)
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

// Who may send us a request may not have us send much more: what an answer would repeat is bounded,
// whatever the request is.
func TestEnormousRequestIsNotEchoed(t *testing.T) {
	long := strings.Repeat("&quot;", 40_000)
	asks := []string{
		`<iq type="get"%s><ping xmlns="urn:xmpp:ping"/></iq>`,
		`<iq type="get"%s><query xmlns="jabber:iq:version"/></iq>`,
		`<iq type="set"%s><block xmlns="urn:xmpp:blocking"><item jid="bob@xmpp.example.com"/></block></iq>`,
	}
	attributes := []string{
		` id="` + long + `" from="` + scripted.Domain + `"`,
		` id="1" to="` + long + `"`,
		` id="1" from="mallory@xmpp.example.com/` + long + `"`,
	}
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		answered := make(chan int, 1)
		cfg := serve(t, func(p *peer) {
			p.Login()
			// Ends with the connection at the latest.
			go func() {
				for _, ask := range asks {
					for _, a := range attributes {
						p.Send(fmt.Sprintf(ask, a))
					}
				}
				p.Send(`<iq id="last" type="get"><ping xmlns="urn:xmpp:ping"/></iq>`)
			}()
			bytes := 0
			for n := p.Recv(); ; n = p.Recv() {
				if bytes += len(n.String()); n.Attr("id") == "last" {
					break
				}
			}
			answered <- bytes
			p.Drain()
		})
		cfg.Observer = new(observe.Observer)
		// Of other sessions.
		cfg.Observer.Ignored.Store(100)
		c := dial(t, cfg)
		require.Less(t, <-answered, 1000)
		require.EqualValues(t, 100+len(asks)*len(attributes), cfg.Observer.Ignored.Load())
		require.NoError(t, c.Err())
	})
}

// wholeElement reads a frame with encoding/xml. It reports false where that cannot: letters beyond
// ASCII are all good for a name to a session.
func wholeElement(t *testing.T, frame string) (xmltree.Node, bool) {
	n, err := xmltree.ParseIn(frame, nsClient)
	if err != nil && strings.ContainsFunc(frame, func(r rune) bool { return r > '~' }) {
		return xmltree.Node{}, false
	}
	require.NoError(t, err)
	return n, true
}

// Whatever comes in one frame after the login: what is accepted is one well-formed element without
// anything that XMPP forbids, who sent an event was entitled to, and what we answer is well-formed
// and goes to the sender.
func FuzzReceive(f *testing.F) {
	for _, e := range loadVectors(f).Events {
		f.Add([]byte(e.Inbound))
	}
	for _, m := range loadVectors(f).Methods {
		f.Add([]byte(m.Inbound))
	}
	for _, stanza := range receivedMessages(f) {
		f.Add([]byte(stanza))
	}
	for _, s := range []string{
		frames.CloseFrame, scripted.PlainFeatures, `<a>&x;</a>`, `<a/><b/>`, `<a/ >`, `<r xmlns="urn:xmpp:sm:3"/>`,
		`<iq type="result" id="w"><blocklist><members>x</members></blocklist></iq>`,
		`<iq type="result" from="bob@xmpp.example.com"><vCard xmlns="vcard-temp"><nickName>x</nickName></vCard></iq>`,
		`<message from="bob@xmpp.example.com/x"><userblocked blocked_user="bob" type="block_user"/></message>`,
		`<message from="xmpp.example.com"><user_deleted user="x"/><admin_block jid="y"/><logout socket_id="1,2"/>` +
			`</message>`,
		`<message from="alice_1@xmpp.example.com"><received xmlns="urn:xmpp:carbons:2">` +
			`<forwarded xmlns="urn:xmpp:forward:0"><message from="eve@x"><user_deleted user="x"/></message>` +
			`</forwarded></received></message>`,
		`<iq type="get" id="&quot;" from="&lt;"><ping xmlns="urn:xmpp:ping"/></iq>`,
		`<iq type="set" id="1"><block xmlns="urn:xmpp:blocking"><item jid="x"/></block></iq>`,
		`<presence from="bob@x" type="&#10;"/>`, `<message><body>` + strings.Repeat("<a/>", 100) + `</body></message>`,
	} {
		f.Add([]byte(s))
	}
	jid, err := ParseJID(scripted.Full)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, frame []byte) {
		sink := &keeper{}
		var events []Event
		cfg := Config{Handle: func(e Event) { events = append(events, e) }}
		cfg.setDefaults()
		counts := &management{counting: true, enabled: true, in: new(ledger)}
		s := newSession(&cfg, &handshake{cfg: &cfg, conn: sink, jid: jid, management: counts})
		s.waiters = map[string]*waiter{"w": {id: "w", reply: make(chan reply, 1)}}
		s.out = waitingFor(t, "s1")
		var err error
		fuzz.Bounded(t, len(frame), frames.MaxFrame, func() {
			err = s.receive(string(frame))
			s.writers.Wait()
		})
		confirmed := !s.out.knows("s1")
		s.end(ErrClosed)
		requireGivenBack(t, counts.in, events)
		stream := (*StreamError)(nil)
		if err != nil && !errors.Is(err, errServerClosed) && !errors.As(err, &stream) {
			require.ErrorIs(t, err, errMalformed)
			require.Less(t, len(err.Error()), 1000)
			require.Empty(t, events, "of what is not well-formed nothing is told")
			return
		}
		if requireOneElement(t, frame, err == nil) {
			if root, ok := wholeElement(t, string(frame)); ok && !namesTwice(root) {
				requireEntitled(t, root, events)
				if confirmed {
					requireMayConfirm(t, root)
				}
				requireAnswers(t, root, sink.frames())
			}
		}
	})
}

// requireOneElement holds a frame that was accepted against a plain XML decoder. What ends the
// session need not be read to its end.
func requireOneElement(t *testing.T, frame []byte, whole bool) bool {
	dec := xml.NewDecoder(bytes.NewReader(frame))
	roots, depth := 0, 0
	for {
		tok, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if !whole && err != nil {
			return false
		}
		if err != nil && bytes.ContainsFunc(frame, func(r rune) bool { return r > '~' }) {
			// Letters beyond ASCII are all good for a name to us.
			return whole
		}
		require.NoError(t, err)
		switch tok.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			require.LessOrEqual(t, depth, xmltext.MaxDepth)
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst, xml.Comment:
			t.Fatalf("accepted %T", tok)
		}
	}
	require.Equal(t, 1, roots)
	require.Zero(t, depth)
	return whole
}

// requireEntitled is who may tell what (protocol.md 13), read off the stanza once more and in
// another way.
func requireEntitled(t *testing.T, stanza xmltree.Node, events []Event) {
	const ours, server = scripted.Bare, scripted.Domain
	from, speakers := stanza.Attr("from"), speakersOf(stanza)
	for _, event := range events {
		switch e := event.(type) {
		case Presence:
			require.Equal(t, bare(from), e.From.Bare().String())
			require.NotEqual(t, ours, e.From.Bare().String())
		case VCardPush:
			require.Equal(t, bare(from), e.From.String())
			require.Equal(t, scripted.Domain, e.From.Domain)
			require.NotContains(t, from, "/")
		case BlockPush:
			require.True(t, from == "" || bare(from) == ours || bare(from) == server, from)
		case UserBlocked:
			require.True(t, slices.ContainsFunc(speakers, func(s string) bool {
				named, err := ParseJID(e.User + "@" + scripted.Domain)
				return trusted(s) || err == nil && bare(s) == named.String()
			}), from)
		case *Message, Status, Refused, ChatState, Recalled:
			requireOfConversation(t, speakers, e)
		default:
			require.True(t, slices.ContainsFunc(speakers, trusted), "%T from %q", e, from)
		}
	}
}

// speakersOf are those whose words a stanza may carry: its sender, and those whom our account
// copies in a carbon.
func speakersOf(stanza xmltree.Node) []string {
	from := stanza.Attr("from")
	speakers := []string{from}
	if from == "" || strings.EqualFold(strings.TrimSuffix(from, "."), scripted.Bare) {
		for _, inner := range stanza.All("message") {
			speakers = append(speakers, inner.Attr("from"))
		}
	}
	return speakers
}

// namesTwice reports whether an attribute is there twice: no server writes that (XML 1.0 3.1), and
// two readers may take it for two things.
func namesTwice(n xmltree.Node) bool {
	for i, a := range n.Attrs {
		if slices.ContainsFunc(n.Attrs[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
			return true
		}
	}
	return slices.ContainsFunc(n.Inner, func(inner any) bool {
		child, is := inner.(xmltree.Node)
		return is && namesTwice(child)
	})
}

// bare is a JID without its resource.
func bare(jid string) string {
	j, err := ParseJID(jid)
	if err != nil {
		return "nobody"
	}
	return j.Bare().String()
}

// trusted reports whether somebody may speak of everything: our account, or our server.
func trusted(speaker string) bool {
	return speaker == "" || bare(speaker) == scripted.Bare || bare(speaker) == scripted.Domain
}

// requireAnswers: nothing that was received can break out of the attributes of an answer.
func requireAnswers(t *testing.T, asked xmltree.Node, frames [][]byte) {
	for _, frame := range frames {
		require.NoError(t, xmltext.Check(string(frame)))
		if bytes.HasPrefix(frame, []byte(`<a xmlns="`+nsManagement)) {
			// It is late: on a slow machine the server is told meanwhile what has come.
			continue
		}
		n, err := xmltree.ParseIn(string(frame), nsClient)
		require.NoError(t, err)
		require.Equal(t, "iq", n.Name.Local)
		require.Contains(t, []string{kindResult, kindError}, n.Attr("type"))
		require.Equal(t, clean(asked.Attr("from")), clean(n.Attr("to")))
		require.Equal(t, clean(asked.Attr("id")), clean(n.Attr("id")))
		require.LessOrEqual(t, len(n.Inner), 1)
	}
}

// clean is a value without its white space, which two rounds of XML may write in two ways.
func clean(s string) string { return strings.Join(strings.Fields(s), "") }

// keeper is a transport that keeps what is written.
type keeper struct {
	nowhere
	mu   sync.Mutex
	sent [][]byte
}

func (k *keeper) WriteFrames(frames ...[]byte) (late bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, frame := range frames {
		k.sent = append(k.sent, bytes.Clone(frame))
	}
	return false, nil
}

func (k *keeper) frames() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent
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
		{
			"ping without from or to", `<iq id="s1" type="get" xmlns="jabber:client">` +
				`<ping xmlns="urn:xmpp:ping"/></iq>`,
			`<iq id="s1" type="result" xmlns="jabber:client"/>`,
		},
		{
			"ping as a set", `<iq id="ID" type="set" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`,
			unavailable,
		},
		{
			"unknown get", `<iq id="ID" type="get" xmlns="jabber:client"><query xmlns="jabber:iq:version"/></iq>`,
			unavailable,
		},
		{"unknown set", `<iq id="ID" type="set" from="xmpp.example.com" xmlns="jabber:client">` +
			`<query xmlns="jabber:iq:privacy"/></iq>`, withTo("xmpp.example.com")},
		{
			"empty get", `<iq id="ID" type="get" from="bob@elsewhere.example/x" xmlns="jabber:client"/>`,
			withTo("bob@elsewhere.example/x"),
		},
		{
			"block push", `<iq id="b1" type="set" from="` + scripted.Bare +
				`" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="bob@xmpp.example.com"/>` +
				`</block></iq>`,
			`<iq id="b1" to="` + scripted.Bare + `" type="result" xmlns="jabber:client"/>`,
		},
		{
			"forged block push", `<iq id="ID" type="set" from="bob@xmpp.example.com" xmlns="jabber:client">` +
				`<block xmlns="urn:xmpp:blocking"><item jid="x@xmpp.example.com"/></block></iq>`,
			withTo("bob@xmpp.example.com"),
		},
		{"block push as a get", `<iq id="ID" type="get" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking">` +
			`<item jid="x@xmpp.example.com"/></block></iq>`, unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answered := make(chan string, 1)
			dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				p.Send(tc.in)
				answered <- p.Recv().String()
				p.Drain()
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
	bob := JID{Local: "bob", Domain: scripted.Domain}
	want := map[string]Event{
		"presence online":  Presence{From: JID{"bob", scripted.Domain, "Web-x"}},
		"presence offline": Presence{From: JID{"bob", scripted.Domain, "Web-x"}, Type: "unavailable"},
		"vCard push": VCardPush{From: bob, VCard: VCard{
			NickName: "YS1l5V7cl7vq3/8xxj3WoQ==", Image: "bob.png", ThumbImage: "bobt.png",
			Email: "WlxJ4yVQRiyAIRXeGR4XFhVwsDEFuvRGdm7U1JzfZSk=", MobileNumber: "+pzGA/B6XOs3n0Lutap4uA==",
			Status: "Hi there",
		}},
		"vCard push, not encrypted":       VCardPush{From: bob, VCard: VCard{NickName: "Plain Bob"}},
		"block push (own other device)":   BlockPush{Blocked: true, JIDs: []string{"bob@xmpp.example.com"}},
		"unblock push (own other device)": BlockPush{JIDs: []string{"bob@xmpp.example.com"}},
		"someone blocked me":              UserBlocked{User: "bob", Blocked: true},
		"someone unblocked me":            UserBlocked{User: "bob"},
		"userblocked carbon":              UserBlocked{User: "bob", Blocked: true},
		"user deleted":                    UserDeleted{User: "bob@xmpp.example.com"},
		"admin block": AdminBlock{
			JID: "bob@xmpp.example.com", ChatType: "chat",
			Blocked: true,
		},
		"web session logged out from the phone": LoggedOut{SocketIDs: []string{"xxxx", "sOcKeTiD_0001"}},
		// Of the roster, which is not ours to keep; and our own presence.
		"own presence": nil, "contact permission off": nil, "contact permission on": nil, "register update": nil,
		"roster result": nil,
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
		p.Login()
		// The client may answer; ends with the connection.
		go p.Drain()
		for _, s := range stanzas {
			p.Send(s)
		}
		p.Send(`<presence from="` + mark + `" xmlns="jabber:client"/>`)
	}))
	for {
		e := c.event()
		if pr, ok := e.(Presence); ok && pr.From.String() == mark {
			return events, c.Ignored()
		}
		events = append(events, e)
	}
}
