package jssdk_test

import (
	"encoding/json"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// party is one user's SDK: the JavaScript one in a page of its own, or package sdk in the
// JavaScript one's words.
type party interface {
	// call is one call of the JavaScript SDK's method.
	call(t *testing.T, method string, args ...any) object
	// showQR starts a QR login, waits for a code that is not old, and returns what it says. The
	// login's outcome is the event "qrCallback".
	showQR(t *testing.T, signalURL, old string) string
	// picture fetches what an image token stands for (protocol.md 9).
	picture(t *testing.T, token string) []byte
	// fileHash is the SHA-256 of the file of a message that the listener got, see fileHash of page.
	fileHash(t *testing.T, message object, size int) string
	told() *events
}

// object is a JSON object.
type object = map[string]any

// file is an argument that is a file.
type file struct {
	name, kind string
	content    []byte
}

// event is what a listener was told.
type event struct {
	Listener string
	Payload  any // as decoded from JSON
}

// events collects what a party's listeners were told.
type events struct {
	mu   sync.Mutex
	list []event
	used map[int]bool  // by await
	more chan struct{} // capacity 1
}

func newEvents() *events { return &events{used: map[int]bool{}, more: make(chan struct{}, 1)} }

func (e *events) add(listener string, payload any) {
	e.mu.Lock()
	e.list = append(e.list, event{listener, payload})
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default: // a look is due already
	}
}

// await waits until listener is told what want, JSON, says; an object may have more members than
// that. What was waited for before does not count. It returns all that was told then.
func (e *events) await(t *testing.T, who, listener, want string) any {
	t.Helper()
	var wanted any
	require.NoError(t, json.Unmarshal([]byte(want), &wanted), want)
	late := time.After(patience)
	for {
		if payload, told := e.take(listener, wanted); told {
			return payload
		}
		select {
		case <-e.more:
		case <-late:
			require.FailNow(t, "not told", "%s %s %s; was told %v", who, listener, want, e.all())
			return nil
		}
	}
}

func (e *events) take(listener string, wanted any) (payload any, told bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, one := range e.list {
		if !e.used[i] && one.Listener == listener && within(wanted, one.Payload) {
			e.used[i] = true
			return one.Payload, true
		}
	}
	return nil, false
}

// forget: nothing that was told so far counts for await.
func (e *events) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.list {
		e.used[i] = true
	}
}

func (e *events) all() []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]event(nil), e.list...)
}

// within: every member of want is in got.
func within(want, got any) bool {
	w, isObject := want.(object)
	g, _ := got.(object)
	if !isObject {
		return reflect.DeepEqual(want, got)
	}
	for name, value := range w {
		if !reflect.DeepEqual(value, g[name]) {
			return false
		}
	}
	return g != nil
}

// marshal is v as JSON. Everything here can be.
func marshal(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// jsonOf is v as it is decoded from JSON.
func jsonOf(v any) (out any) {
	if err := json.Unmarshal([]byte(marshal(v)), &out); err != nil {
		panic(err)
	}
	return out
}
