package xmpp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// roster asks for the roster of a server that has it like that.
func roster(t *testing.T, reply string) ([]Contact, error) {
	t.Helper()
	c := dial(t, pipeServer(t, func(p *peer) {
		p.Login()
		q := p.Recv()
		if want := canon(t, `<iq id="ID" type="get" xmlns="jabber:client"><query xmlns="jabber:iq:roster"/>`+
			`</iq>`); q.String() != want {
			t.Errorf("sent\n%s\nwant\n%s", q, want)
		}
		p.Send(strings.Replace(reply, "ID", q.Attr("id"), 1))
		p.Drain()
	}))
	contacts, err := c.Roster(soon(t))
	require.Zero(t, c.pending())
	require.Zero(t, c.Ignored())
	return contacts, err
}

func TestRosterShapes(t *testing.T) {
	bob := JID{Local: "bob", Domain: "h"}
	for reply, want := range map[string][]Contact{
		``:                                  {},
		`<query xmlns="jabber:iq:roster"/>`: {},
		`<query xmlns="other"><item jid="bob@h"/></query>`:                                              {},
		`<query xmlns="jabber:iq:roster"><item jid="bob@h"/></query>`:                                   {{JID: bob}},
		`<query xmlns="jabber:iq:roster"><other jid="bob@h"/></query>`:                                  {},
		`<query xmlns="jabber:iq:roster"><item/><item jid=""/><item jid="h"/><item jid="a@@"/></query>`: {},
		`<query xmlns="jabber:iq:roster"><item jid="Bob@H/x" name="B&amp;b"><group>friends</group></item></query>`: {
			{JID: bob, Name: "B&b"},
		},
		`<query xmlns="jabber:iq:roster"><item jid="bob@h"><profile xmlns="x"><vCard xmlns="y"><nickName>n</nickName>` +
			`<nickName>again</nickName><name>m</name><image>i</image><thumbImage>t</thumbImage><email>e</email>` +
			`<mobileNumber>1</mobileNumber><status>s</status><coverimg>c</coverimg><is_admin_blocked>` +
			` 1 </is_admin_blocked>` +
			`</vCard></profile></item></query>`: {{
			JID: bob, ProfileName: "m", IsAdminBlocked: true, VCard: VCard{
				NickName: "n", Image: "i", ThumbImage: "t", Email: "e", MobileNumber: "1", Status: "s",
			},
		}},
	} {
		got, err := roster(t, `<iq id="ID" type="result" xmlns="jabber:client">`+reply+`</iq>`)
		require.NoError(t, err)
		require.Equal(t, want, got, reply)
	}
}

func TestRosterRefused(t *testing.T) {
	_, err := roster(t, `<iq id="ID" type="error" xmlns="jabber:client"><error type="cancel"><forbidden xmlns="`+
		nsStanzas+`"/></error></iq>`)
	var refused *StanzaError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "forbidden", refused.Condition)
}

// The reply as the service's own client was given it.
func TestVectorRoster(t *testing.T) {
	for _, e := range loadVectors(t).Events {
		if e.Event != "roster result" {
			continue
		}
		got, err := roster(t, strings.NewReplacer(
			`id="r1"`, `id="ID"`, `from="alice_1@xmpp.example.com"`, `from="`+scripted.Bare+`"`,
		).Replace(e.Inbound))
		require.NoError(t, err)
		require.Equal(t, []Contact{{
			JID: JID{Local: "bob", Domain: "xmpp.example.com"}, Name: "Bobby",
			VCard: VCard{
				NickName: "YS1l5V7cl7vq3/8xxj3WoQ==", Image: "bob.png", ThumbImage: "bobt.png",
				Email:        "WlxJ4yVQRiyAIRXeGR4XFhVwsDEFuvRGdm7U1JzfZSk=",
				MobileNumber: "+pzGA/B6XOs3n0Lutap4uA==", Status: "Hi there",
			},
		}}, got)
		return
	}
	require.Fail(t, "no recorded roster")
}
