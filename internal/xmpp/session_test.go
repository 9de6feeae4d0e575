package xmpp

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const lastReply = `<iq from="bob@xmpp.example.com" id="%s" to="` + testFull + `" type="result" xmlns="jabber:client"><query seconds="903" xmlns="jabber:iq:last"/></iq>`

// A whole session on every transport, with the frames of protocol.md 4.
func TestSession(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		cfg := serve(t, func(p *peer) {
			p.login()
			p.expect(`<presence xmlns="jabber:client"><priority>1</priority></presence>`)
			p.expect(`<iq id="ID" type="set" xmlns="jabber:client"><enable xmlns="urn:xmpp:carbons:2"/></iq>`)
			p.send(`<presence from="bob@xmpp.example.com/Web-x" to="` + testFull + `" xmlns="jabber:client"/>`)
			q := p.expect(`<iq id="ID" to="bob@xmpp.example.com" type="get" xmlns="jabber:client"><query xmlns="jabber:iq:last"/></iq>`)
			p.send(replyTo(lastReply, q))
			p.expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.expectEnd()
			p.sendEnd()
			p.drain()
		})
		c := dial(t, cfg)
		require.Equal(t, testFull, c.JID().String())
		require.NoError(t, c.Err())
		require.NoError(t, c.Start(context.Background()))
		require.Equal(t, Presence{From: JID{"bob", testDomain, "Web-x"}}, c.event())

		from, seconds, err := c.LastActivity(soon(t), "bob@xmpp.example.com")
		require.NoError(t, err)
		require.Equal(t, "bob@xmpp.example.com", from)
		require.EqualValues(t, 903, seconds)

		start := time.Now()
		require.NoError(t, c.Close(context.Background()))
		require.Zero(t, time.Since(start), "the server ended its side at once")
		require.ErrorIs(t, c.ended(), ErrClosed)
		require.NoError(t, c.Close(context.Background()), "again")

		_, _, err = c.LastActivity(context.Background(), "bob@xmpp.example.com")
		require.ErrorIs(t, err, ErrNotConnected)
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, c.Start(context.Background()), ErrNotConnected)
		require.ErrorIs(t, c.Serve(), errServedTwice)
	})
}

func TestErrorsAreMatched(t *testing.T) {
	require.True(t, errors.Is(&AuthError{Step: "sasl", Err: ErrInsecure}, ErrInsecure))
}
