package xmpp

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// One request and its reply over a WebSocket with TLS. The allocations are those
// of the client and of a server that only fills in the id.
func BenchmarkLastActivity(b *testing.B) {
	c := dial(b, webSocketServer(b, func(p *peer) {
		p.Login()
		reply := []byte(`<iq from="bob@xmpp.example.com" to="` + scripted.Full +
			`" type="result" xmlns="jabber:client" id="00000000-0000-4000-8000-000000000000">` +
			`<query xmlns="jabber:iq:last" seconds="903"/></iq>`)
		at := bytes.Index(reply, []byte("00000000-"))
		buf := make([]byte, 4096)
		for {
			_, r, err := p.WS.Reader(context.Background())
			if err != nil {
				return
			}
			n := 0
			for err == nil {
				var m int
				m, err = r.Read(buf[n:])
				n += m
			}
			id := bytes.Index(buf[:n], []byte(` id="`)) + len(` id="`)
			copy(reply[at:], buf[id:id+36])
			if p.WS.Write(context.Background(), websocket.MessageText, reply) != nil {
				return
			}
		}
	}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, seconds, err := c.LastActivity(ctx, "bob@xmpp.example.com"); err != nil || seconds != 903 {
			b.Fatal(seconds, err)
		}
	}
}

// A refusal because the list is so already is none; any other is, also one with a part of such a
// text.
func TestBlockThatIsSoAlready(t *testing.T) {
	block, unblock := (*Session).Block, (*Session).Unblock
	for name, tc := range map[string]struct {
		change func(*Session, context.Context, string) error
		text   string
		done   bool
	}{
		"blocked already":     {block, "User is already in blocked list", true},
		"in other words":      {block, "already BLOCKED", true},
		"not blocked":         {unblock, "User is not in blocked list", true},
		"of the other call":   {block, "User is not in blocked list", false},
		"of the other call 2": {unblock, "User is already in blocked list", false},
		"oneself":             {block, "Blocking/Unblocking of self account is not allowed", false},
		"unknown":             {block, "Invalid user id.", false},
		"something else":      {block, "request already running", false},
		"without a text":      {unblock, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				p.Send(scripted.ReplyTo(`<iq id="%s" type="error" xmlns="jabber:client"><error type="cancel">`+
					`<not-allowed xmlns="`+nsStanzas+`"/><text xmlns="`+nsStanzas+`">`+tc.text+
					`</text></error></iq>`, p.Recv()))
				p.Drain()
			}))
			err := tc.change(c.Session, t.Context(), "bob@xmpp.example.com")
			if tc.done {
				require.NoError(t, err)
				return
			}
			var refused *StanzaError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, tc.text, refused.Text)
		})
	}
}

func TestLastActivityValues(t *testing.T) {
	for reply, want := range map[string]int64{
		`<query xmlns="jabber:iq:last" seconds="0"/>`:                       0,
		`<query xmlns="jabber:iq:last" seconds="-5"/>`:                      0,
		`<query xmlns="jabber:iq:last" seconds="many"/>`:                    0,
		`<query xmlns="jabber:iq:last" seconds="99999999999999999999"/>`:    0,
		`<query xmlns="jabber:iq:last" seconds="2">reason</query>`:          2,
		`<x/><query xmlns="jabber:iq:last" seconds="9223372036854775807"/>`: 9223372036854775807,
		`<last xmlns="jabber:iq:last" seconds="2"/>`:                        -1,
		``: -1,
	} {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			p.Send(scripted.ReplyTo(`<iq id="%s" type="result" xmlns="jabber:client">`+reply+`</iq>`, p.Recv()))
			p.Drain()
		}))
		from, seconds, err := c.LastActivity(soon(t), scripted.Bare)
		if want < 0 {
			require.ErrorContains(t, err, "without a query")
			continue
		}
		require.NoError(t, err, reply)
		require.Equal(t, want, seconds, reply)
		require.Equal(t, scripted.Bare, from)
	}
	c := dial(t, pipeServer(t, func(p *peer) { p.Login(); p.Drain() }))
	_, _, err := c.LastActivity(t.Context(), "not a jid")
	require.Error(t, err)
	require.Zero(t, c.pending())
}

func TestWhoBlockedMeShapes(t *testing.T) {
	for reply, want := range map[string][]string{
		``:             {},
		`<blocklist/>`: {},
		`<blocklist xmlns="u"><members> bob </members><other>x</other><members/><members>a&amp;b</members>` +
			`</blocklist>`: {"bob", "a&b"},
		`<query><a><b><blocklist><members>bob</members></blocklist></b></a></query><blocklist>` +
			`<members>no</members></blocklist>`: {"bob"},
		`<members>bob</members>`: {},
	} {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			p.Send(scripted.ReplyTo(`<iq id="%s" type="result" xmlns="jabber:client">`+reply+`</iq>`, p.Recv()))
			p.Drain()
		}))
		got, err := c.WhoBlockedMe(soon(t))
		require.NoError(t, err)
		require.Equal(t, want, got, reply)
	}
}

// Every recorded method: what we send, and what we make of the reply.
func TestVectorMethods(t *testing.T) {
	for _, v := range loadVectors(t).Methods {
		t.Run(v.Method+" "+v.Note, func(t *testing.T) {
			want := canon(t, v.Outgoing)
			// The recorded refusals of our own account's requests come from bob, who was
			// never asked: see TestRefusalFromStranger.
			inbound := v.Inbound
			if !strings.Contains(v.Outgoing, " to=") {
				inbound = strings.Replace(inbound, `from="bob@xmpp.example.com"`, `from="`+scripted.Bare+`"`, 1)
			}
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				q := p.Recv()
				if q.String() != want {
					t.Errorf("sent\n%s\nwant\n%s", q, want)
				}
				p.Send(strings.Replace(inbound, `id="ID"`, `id="`+q.Attr("id")+`"`, 1))
				p.Drain()
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
	n, err := xmltree.Parse(outgoing)
	require.NoError(t, err)
	values := map[string]string{}
	for _, child := range n.Inner[0].(xmltree.Node).Inner {
		values[child.(xmltree.Node).Name.Local] = child.(xmltree.Node).Text()
	}
	require.Len(t, values, 6)
	return VCard{
		NickName: values["nickName"], Image: values["image"], ThumbImage: values["thumbImage"],
		Email: values["email"], MobileNumber: values["mobileNumber"], Status: values["status"],
	}
}
