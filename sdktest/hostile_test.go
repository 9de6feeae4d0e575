package sdktest

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnfinishedHandshakesEnd(t *testing.T) {
	s := trial(t, func(o *Options) { o.handshake = glimpse })
	for name, send := range map[string]string{"silent": "", "half": "<stream:str", "header": streamHeader} {
		conn := dialTCP(t, s.XMPPAddress())
		conn.send("%s", send)
		_, err := io.ReadAll(conn.r)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
	}
	conn := dialTCP(t, s.XMPPSAddress()) // TLS never begins
	require.Empty(t, conn.rest())
	x := dialWS(t, s)
	x.open(s.Domain())
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	connect(t, s, register(t, s, "alice"), "Web-1")
}

func TestJournalIsBounded(t *testing.T) {
	var j journal
	for range maxRequests + 10 {
		j.add(Request{Body: "x"})
	}
	require.Len(t, j.list, maxRequests)
	for range 100 {
		j.add(Request{Stanza: strings.Repeat("x", 1<<20), Header: http.Header{"A": {"b"}}})
	}
	require.LessOrEqual(t, j.bytes, maxJournal)
	require.Len(t, j.list, 31)
	total := 0
	for _, r := range j.list {
		total += r.size()
	}
	require.Equal(t, total, j.bytes)
}

func TestSweepTouchesOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "holiday"), 0o700))
	own, foreign := filepath.Join(dir, strings.Repeat("a", 32)), filepath.Join(dir, "photo.jpg")
	for _, f := range []string{own, foreign} {
		require.NoError(t, os.WriteFile(f, []byte("x"), 0o600))
	}
	New(t, Options{MediaDir: dir})
	require.NoFileExists(t, own)
	require.FileExists(t, foreign)
}

func TestTooBigForREST(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	long := strings.Repeat("x", maxText+1)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/feedback", c.Token, map[string]any{"title": "t", "description": long}).Status)
	report := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `["` + long + `"]`}
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", c.Token, report).Status)
	meta := map[string]any{
		"deviceType": "web", "deviceId": "5", "licenseKey": s.LicenseKey(), "userIdentifier": "bob", "metaData": map[string]any{"a": long},
	}
	require.Equal(t, 400, rest(t, s, "POST", "/sandbox/register", "", meta).Status)
}

func FuzzElement(f *testing.F) {
	for _, seed := range []string{
		`<iq xmlns="jabber:client" id="1"><query xmlns="jabber:iq:last" seconds="5">x</query></iq>`,
		`<a xml:lang="en" b='"&lt;'><![CDATA[<x>]]>&#10;</a>`,
		`<a><![CDATA[]]></a>`, `<a:0 xmlns:a="A"/>`, `<_/>`,
		`<a:b xmlns:a="urn:a" xmlns:c="urn:c" c:d="e"><f/></a:b>`,
		`<stream:features xmlns:stream="http://etherx.jabber.org/streams"><a/></stream:features>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := parseElement([]byte(raw))
		if err != nil {
			return
		}
		once := e.String()
		again, err := parseElement([]byte(once))
		require.NoError(t, err, once)
		require.Equal(t, once, again.String())
	})
}

func FuzzPayload(f *testing.F) {
	f.Add("1:2")
	f.Add("5:4é😀x2:40")
	f.Fuzz(func(t *testing.T, raw string) {
		packets, err := decodePayload(raw)
		if err != nil {
			return
		}
		again, err := decodePayload(encodePayload(packets))
		require.NoError(t, err)
		require.Equal(t, packets, again)
	})
}
