package sdk_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Each counter counts: none is there that stays at zero in a life that has everything.
func TestStats(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP
	register(t, cfg, "bob")
	client, credentials := register(t, cfg, "alice")
	w := &hooked{srv: srv, client: client, connection: collect(client.OnConnection)}
	require.Equal(t, sdk.Stats{
		Calls: 1, Requests: 1, BytesSent: client.Stats().BytesSent, BytesReceived: client.Stats().BytesReceived,
	}, client.Stats(), "Register")
	connect(t, client, credentials)
	managed(t, client)

	_, err := client.GetLastSeen(soon(t), "?")
	require.Error(t, err)
	srv.FailNext("contacts/vcard", 503, "later")
	_, err = client.GetUserProfile(soon(t), "alice")
	require.NoError(t, err)
	_, err = client.SendTextMessage(soon(t), "bob@"+srv.Domain(), "hello")
	require.NoError(t, err)
	_, err = client.SendSeenStatus(soon(t), "bob@"+srv.Domain(), "m1")
	require.NoError(t, err)
	w.push(t, `<iq xmlns="jabber:client" type="result" id="never asked"/>`)
	w.push(t, saying(srv, "m0", "nobody listens"))
	w.push(t, `<message xmlns="jabber:client" from="alice@`+srv.Domain()+`/other" to="bob@`+srv.Domain()+
		`" id="own"><body>nobody listens</body></message>`)

	done := make(chan func(), 300)
	came := newHeard(client.OnMessage)
	client.OnMessage(func(m sdk.Message) { done <- m.Defer() })
	w.push(t, w.message())
	came.next(t)
	patient.Receive(t, done)()
	w.push(t, saying(srv, "m1", "once more"))
	const open = 257 // one more than may wait
	for range open { // one by one: the server counts
		require.Equal(t, 1, srv.Push("alice", w.message()))
	}
	for range open {
		came.next(t)
		patient.Receive(t, done)
	}
	w.lose(t) // resumed
	srv.SetFault(sdktest.StepStream, sdktest.FaultClose)
	srv.DropConnections()
	w.connection.until(t, hasStatus(sdk.StatusConnectionFailed))
	srv.ClearFaults()
	require.NoError(t, client.WaitConnected(soon(t)))

	running, release := make(chan struct{}), make(chan struct{})
	client.OnPresence(func(sdk.PresenceEvent) {
		select {
		case running <- struct{}{}:
			<-release
		case <-release:
		}
	})
	bob := `<presence xmlns="jabber:client" from="bob@` + srv.Domain() + `/x"/>`
	w.push(t, bob)
	patient.Receive(t, running)
	w.push(t, bob)
	w.push(t, bob)
	require.Eventually(t, func() bool { return client.Stats().EventsWaiting == 2 }, patience, time.Millisecond)
	waiting := client.Stats().EventsWaiting
	close(release)
	w.dropEvents(t)
	require.NoError(t, client.Close())

	require.Eventually(t, func() bool { return client.Stats().EventsWaiting == 0 }, patience, time.Millisecond)
	got := client.Stats()
	got.EventsWaiting = waiting
	for _, field := range reflect.VisibleFields(reflect.TypeOf(got)) {
		require.Positive(t, reflect.ValueOf(got).FieldByIndex(field.Index).Int(), field.Name)
	}
	require.EqualValues(t, 1, got.CallsFailed)
	require.EqualValues(t, 1, got.Retries)
	require.EqualValues(t, 1, got.StanzasIgnored)
	require.EqualValues(t, 1, got.MessagesSent, "a receipt is none")
	require.EqualValues(t, got.MessagesReceived-open, got.MessagesHandled+got.MessagesUnhandled+got.MessagesDropped)
	require.EqualValues(t, 3+open, got.MessagesReceived, "what comes twice is counted once")
	require.EqualValues(t, 1, got.MessagesUnhandled)
	require.EqualValues(t, 1, got.MessagesHandled)
	require.GreaterOrEqual(t, got.MessagesOverrun, int64(1))
	require.Equal(t, got.Connects, got.Disconnects)
	require.Equal(t, got.Connects, got.Reconnects+1)
	require.LessOrEqual(t, got.Resumptions, got.Reconnects)
	require.EqualValues(t, client.Ignored(), got.StanzasIgnored)
	require.EqualValues(t, client.Unhandled(), got.MessagesUnhandled)
}
