package sdktest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, o := range map[string]Options{
		"taken":      {Listen: taken.Addr().String()},
		"taken XMPP": {ListenXMPP: taken.Addr().String()},
		"listen":     {Listen: "nonsense"},
		"domain":     {Domain: "Not A Domain"},
		"mix":        {Domain: "mix.example.com"},
		"no dir":     {MediaDir: file},
		"external":   {XMPP: &XMPP{}, Trial: true},
		"licensed":   {XMPP: &XMPP{Domain: "x.test", APIURL: "http://127.0.0.1:1/api", Address: "ws://127.0.0.1:1/ws"}},
	} {
		_, err := Start(o)
		require.ErrorContains(t, err, "sdktest: start: ", name)
	}
}

// fakeTB is a TB whose Fatalf does not end the goroutine.
type fakeTB struct {
	failed   string
	cleanups []func()
}

func (f *fakeTB) Helper()                        {}
func (f *fakeTB) Cleanup(c func())               { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Fatalf(format string, a ...any) { f.failed = fmt.Sprintf(format, a...) }

func TestNewFailsTheTest(t *testing.T) {
	f := &fakeTB{}
	require.Nil(t, New(f, Options{Listen: "nonsense"}))
	require.Contains(t, f.failed, "nonsense")
	f = &fakeTB{}
	s := New(f)
	require.Len(t, f.cleanups, 1)
	f.cleanups[0]()
	require.Error(t, s.Restart(), "closed")
}

func TestRestart(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	setVCard(t, x, "Alice")
	before := s.addresses()
	require.NoError(t, s.Restart())
	require.Equal(t, before, s.addresses())
	var err error
	for err == nil {
		_, err = x.read(patience)
	}
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, s.Resources("alice"))
	require.Equal(t, "Alice", s.Profile("alice").NickName)
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
	connect(t, s, c, "Web-1")
}

func TestDropConnections(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	s.DropConnections()
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	connect(t, s, c, "Web-1")
}

func TestCloseWithEverythingOpen(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for i := range 10 {
		connect(t, s, c, fmt.Sprintf("Web-%d", i))
	}
	for _, addr := range []string{s.httpAddr(), s.XMPPAddress(), s.XMPPSAddress()} {
		dialTCP(t, addr)
	}
	s.SetFault(StepREST, FaultSilent)
	s.SetFault(StepAccept, FaultSilent)
	dialTCP(t, s.XMPPAddress())
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := httpClient(t, s).Get(s.URL() + "/users/config")
		if err == nil {
			_ = resp.Body.Close()
		}
	})
	begin := time.Now()
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(s.Close)
	}
	closing.Wait()
	wg.Wait()
	s.Close()
	require.Less(t, time.Since(begin), handshakeTimeout*2/3, "nobody was waited for")
	require.Zero(t, s.Push("alice", "<x/>"))
	s.DropConnections()
}

func TestManyUsersAtOnce(t *testing.T) {
	s := trial(t)
	const n = 12
	creds := make([]credentials, n)
	for i := range creds {
		creds[i] = register(t, s, fmt.Sprintf("user%d", i))
	}
	clients := make([]*xmppClient, n)
	for i, c := range creds {
		clients[i] = connect(t, s, c, "Web-1")
	}
	var wg sync.WaitGroup
	for i, x := range clients {
		wg.Go(func() {
			for j := range 20 {
				x.send(`<iq id="v%d" type="set" xmlns="jabber:client"><vCard xmlns="vcard-temp">`+
					`<nickName>n%d</nickName></vCard></iq>`, j, j)
				x.send(`<iq id="b%d" type="set" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking">`+
					`<item jid="user%d@%s"/></block></iq>`, j, (i+1)%n, s.Domain())
				x.send(`<iq id="u%d" type="set" xmlns="jabber:client"><unblock xmlns="urn:xmpp:blocking"/></iq>`, j)
			}
		})
	}
	wg.Wait()
	for i, x := range clients {
		x.until(`id="u19"`, `type="result"`)
		require.Equal(t, "n19", s.Profile(fmt.Sprint("user", i)).NickName)
		require.Empty(t, s.Blocked(fmt.Sprint("user", i)))
	}
}
