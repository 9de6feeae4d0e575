package sdktest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

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
