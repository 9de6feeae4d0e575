package sdk_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// hooksThat returns hooks that all call f: with the name of the hook, " done" behind it for the end
// of what it has begun, and with what the hook was told. A hook that is new is among them.
func hooksThat(f func(hook string, info any)) *sdk.Hooks {
	h := new(sdk.Hooks)
	for _, name := range hookNames() {
		setHook(h, name, f)
	}
	return h
}

func hookNames() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[sdk.Hooks]()) {
		if field.IsExported() {
			names = append(names, field.Name)
		}
	}
	return names
}

// isStart reports whether a hook tells the end of what it has begun, too.
func isStart(name string) bool {
	field, _ := reflect.TypeFor[sdk.Hooks]().FieldByName(name)
	return field.Type.NumOut() > 0
}

func setHook(h *sdk.Hooks, name string, f func(hook string, info any)) {
	field := reflect.ValueOf(h).Elem().FieldByName(name)
	one := func(kind reflect.Type, name string) reflect.Value {
		return reflect.MakeFunc(kind, func(in []reflect.Value) []reflect.Value {
			f(name, in[0].Interface())
			return nil
		})
	}
	if !isStart(name) {
		field.Set(one(field.Type(), name))
		return
	}
	field.Set(reflect.MakeFunc(field.Type(), func(in []reflect.Value) []reflect.Value {
		f(name, in[1].Interface())
		return []reflect.Value{in[0], one(field.Type().Out(1), name+" done")}
	}))
}

// lowestLevel is below all that the library logs.
const lowestLevel = slog.LevelDebug - 100

// hookLog is what hooks were told.
type hookLog struct {
	mu  sync.Mutex
	all []hookCall
}

type hookCall struct {
	hook string
	info any
}

func (r *hookLog) note(hook string, info any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, hookCall{hook, info})
}

func (r *hookLog) count(hook string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if one.hook == hook {
			n++
		}
	}
	return n
}

// toldOf returns what a hook was told that gets an I.
func toldOf[I any](r *hookLog) (infos []I) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.all {
		if info, is := one.info.(I); is {
			infos = append(infos, info)
		}
	}
	return infos
}

// lastTold returns the last one that fits.
func lastTold[I any](t *testing.T, r *hookLog, fits func(I) bool) I {
	t.Helper()
	all := toldOf[I](r)
	for i := range all {
		if found := all[len(all)-1-i]; fits == nil || fits(found) {
			return found
		}
	}
	require.FailNow(t, "not told", "%T in %+v", *new(I), all)
	panic("not reached")
}

// hooked is a client with hooks, whom bob can write to.
type hooked struct {
	srv        *sdktest.Server
	client     *sdk.Client
	connection *events[sdk.ConnectionEvent]
	messages   int
}

// message is one of bob that has not come before.
func (w *hooked) message() string {
	w.messages++
	return saying(w.srv, fmt.Sprint("m", w.messages), "hello")
}

func withHooks(t *testing.T, h *sdk.Hooks, change func(*sdk.Config)) *hooked {
	t.Helper()
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	cfg.Transport, cfg.Hooks = sdk.TransportTCP, h
	if change != nil {
		change(&cfg)
	}
	register(t, srv.Config(), "bob")
	client, credentials := register(t, cfg, "alice")
	w := &hooked{srv: srv, client: client, connection: collect(client.OnConnection)}
	connect(t, client, credentials)
	return w
}

// push pushes a stanza to alice, and waits until it is handled.
func (w *hooked) push(t *testing.T, stanza string) {
	t.Helper()
	require.Equal(t, 1, w.srv.Push("alice", stanza))
	requireAnswer(t, w.srv, w.client)
}

// lose breaks the connection, and waits until there is another one.
func (w *hooked) lose(t *testing.T) {
	t.Helper()
	again := func(e sdk.ConnectionEvent) bool { return e.Status == sdk.StatusConnected && e.Attempt > 0 }
	count := func() (n int) {
		for _, e := range w.connection.list() {
			if again(e) {
				n++
			}
		}
		return n
	}
	before := count()
	w.srv.DropConnections()
	w.connection.until(t, func(e sdk.ConnectionEvent) bool { return again(e) && count() > before })
}

// dropEvents keeps the listeners from returning until events are dropped.
func (w *hooked) dropEvents(t *testing.T) {
	t.Helper()
	const tooMany = 1100
	before := w.client.Stats().EventsDropped
	release, missed := make(chan struct{}), collect(w.client.OnMissed)
	defer w.client.OnUserDeleted(func(sdk.UserDeletedEvent) { <-release })()
	gone := `<message xmlns="jabber:client" from="` + w.srv.Domain() + `"><user_deleted user="x@y"/></message>`
	require.Equal(t, 1, w.srv.Push("alice", strings.Repeat(gone, tooMany)))
	require.Eventually(t, func() bool { return w.client.Stats().EventsDropped > before }, patience, time.Millisecond)
	require.Positive(t, w.client.Stats().EventsWaiting)
	close(release)
	missed.until(t, func(e sdk.MissedEvent) bool { return e.Dropped > 0 })
}

// triggers have each hook be called. They return when all that they cause has happened.
var triggers = map[string]func(*testing.T, *hooked){
	"StartCall":    func(t *testing.T, w *hooked) { requireAnswer(t, w.srv, w.client) },
	"StartRequest": func(t *testing.T, w *hooked) { requireAnswer(t, w.srv, w.client) },
	"StartConnect": func(t *testing.T, w *hooked) { w.lose(t) },
	"Disconnected": func(t *testing.T, w *hooked) { w.lose(t) },
	"Frame":        func(t *testing.T, w *hooked) { requireAnswer(t, w.srv, w.client) },
	"Ignored": func(t *testing.T, w *hooked) {
		w.push(t, `<iq xmlns="jabber:client" type="result" id="never asked"/>`)
		require.Positive(t, w.client.Ignored())
	},
	"Message": func(t *testing.T, w *hooked) {
		came := newHeard(w.client.OnMessage)
		w.push(t, w.message())
		came.next(t)
	},
	"Event": func(t *testing.T, w *hooked) {
		came := newHeard(w.client.OnMessage)
		w.push(t, w.message())
		w.push(t, w.message())
		came.next(t)
		came.next(t)
	},
	"Dropped": func(t *testing.T, w *hooked) { w.dropEvents(t) },
	"Client":  func(*testing.T, *hooked) {}, // New has called it, and Close will
}

// A hook that panics, at the beginning or at the end of what it is told of, harms nothing and
// nobody, and is logged once.
func TestHookThatPanics(t *testing.T) {
	for _, name := range hookNames() {
		for _, suffix := range []string{"", " done"} {
			if suffix != "" && !isStart(name) {
				continue
			}
			t.Run(name+suffix, func(t *testing.T) {
				require.Contains(t, triggers, name)
				log, before, behind := new(lockedBuffer), new(hookLog), new(hookLog)
				broken := new(sdk.Hooks)
				setHook(broken, name, func(hook string, _ any) {
					if hook == name+suffix {
						panic(hook + " broken")
					}
				})
				h := sdk.JoinHooks(hooksThat(before.note), broken, hooksThat(behind.note))
				w := withHooks(t, h, func(cfg *sdk.Config) { cfg.Logger = slog.New(slog.NewTextHandler(log, nil)) })
				triggers[name](t, w)
				triggers[name](t, w)
				requireAnswer(t, w.srv, w.client)
				require.NoError(t, w.client.Close())
				require.Equal(t, 1, strings.Count(log.text(), "hook panicked"), log.text())
				require.Contains(t, log.text(), "hook="+name)
				require.Contains(t, log.text(), name+suffix+" broken")
				// Listeners may still run.
				require.Eventually(t, func() bool {
					n := before.count(name + suffix)
					return n > 1 && n == behind.count(name+suffix)
				}, patience, time.Millisecond, "the others are called")
			})
		}
	}
}

// A hook that blocks holds up what it is told of, and nothing else: the REST API can be asked
// meanwhile, and what it has held up goes on.
func TestHookThatBlocks(t *testing.T) {
	for _, name := range hookNames() {
		if name == "Client" {
			continue // it is told when there is nothing else yet, or any more
		}
		for _, suffix := range []string{"", " done"} {
			if suffix != "" && !isStart(name) {
				continue
			}
			t.Run(name+suffix, func(t *testing.T) {
				blocked, release := make(chan struct{}), make(chan struct{})
				var armed sync.Mutex // locked: the hook does not block
				armed.Lock()
				slow := new(sdk.Hooks)
				setHook(slow, name, func(hook string, _ any) {
					if hook == name+suffix && armed.TryLock() {
						close(blocked)
						patient.Hold(t, release)
					}
				})
				w := withHooks(t, slow, nil)
				armed.Unlock()
				done := make(chan struct{})
				go func() { // ends with what it has begun
					defer close(done)
					triggers[name](t, w)
				}()
				await(t, blocked)
				_, err := w.client.GetUserProfile(soon(t), "alice")
				require.NoError(t, err)
				require.Positive(t, w.client.Stats().Calls)
				require.NotEmpty(t, w.client.State())
				// It takes the locks of the login and of the session, and waits for nothing.
				if _, err = w.client.SendTypingStatus(soon(t), "bob@"+w.srv.Domain()); err != nil {
					require.ErrorIs(t, err, sdk.ErrNotConnected)
				}
				close(release)
				await(t, done)
				requireAnswer(t, w.srv, w.client)
			})
		}
	}
}

func await(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		require.FailNow(t, "it does not come")
	}
}

// What a call is told of, and what is below it.
func TestCallsAndRequestsAreTold(t *testing.T) {
	r := new(hookLog)
	w := withHooks(t, hooksThat(r.note), nil)
	api, err := url.Parse(w.srv.URL())
	require.NoError(t, err)
	require.Equal(t, sdk.RequestInfo{
		Kind: sdk.RequestHTTP, Name: "login", Method: "POST", Host: api.Host, Template: "/login", Attempt: 1,
	}, lastTold(t, r, func(i sdk.RequestInfo) bool { return i.Name == "login" }))

	w.srv.FailNext("contacts/vcard", 503, "later")
	_, err = w.client.GetUserProfile(soon(t), "alice")
	require.NoError(t, err)
	call := lastTold[sdk.CallDone](t, r, nil)
	require.Positive(t, call.Duration)
	call.Duration = 0
	require.Equal(t, sdk.CallDone{StatusCode: 200, Requests: 2, Retries: 1}, call)
	require.Equal(t, sdk.CallInfo{Op: "GetUserProfile"}, lastTold[sdk.CallInfo](t, r, nil))
	request, done := lastTold[sdk.RequestInfo](t, r, nil), lastTold[sdk.RequestDone](t, r, nil)
	require.Equal(t, 2, request.Attempt)
	require.Equal(t, "/contacts/vcard", request.Template, "no query: that names the user")
	require.Equal(t, 200, done.Status)
	require.Positive(t, done.Received)
	require.NoError(t, done.Err)

	_, err = w.client.GetLastSeen(soon(t), "nobody@"+w.srv.Domain())
	require.Error(t, err)
	request, done = lastTold[sdk.RequestInfo](t, r, nil), lastTold[sdk.RequestDone](t, r, nil)
	require.Equal(t, sdk.RequestInfo{Kind: sdk.RequestIQ, Name: "last activity", Attempt: 1}, request)
	require.NotEmpty(t, done.Condition)
	require.Error(t, done.Err)
	call = lastTold[sdk.CallDone](t, r, nil)
	require.ErrorIs(t, call.Err, &sdk.Error{Op: "GetLastSeen", StatusCode: call.StatusCode})
	require.Equal(t, sdk.OutcomeRefused, call.Outcome)
	require.Equal(t, 1, call.Requests)

	_, err = w.client.SendTextMessage(soon(t), "bob@"+w.srv.Domain(), "hello")
	require.NoError(t, err)
	require.Equal(t, sdk.RequestInfo{Kind: sdk.RequestMessage, Name: "message", Attempt: 1},
		lastTold[sdk.RequestInfo](t, r, nil))

	_, err = w.client.BlockUser(soon(t), "")
	require.Error(t, err)
	call = lastTold[sdk.CallDone](t, r, nil)
	require.Equal(t, sdk.ErrInvalidArgument, call.Sentinel)
	require.Equal(t, sdk.OutcomeNotSent, call.Outcome)
	require.Zero(t, call.Requests)

	require.NoError(t, w.client.Close())
	_, err = w.client.GetLastSeen(soon(t), "bob")
	require.ErrorIs(t, err, sdk.ErrClosed)
	require.Equal(t, sdk.ErrClosed, lastTold[sdk.CallDone](t, r, nil).Sentinel)
	require.Len(t, toldOf[sdk.CallDone](r), len(toldOf[sdk.CallInfo](r)), "each end is told once")
	require.Len(t, toldOf[sdk.RequestDone](r), len(toldOf[sdk.RequestInfo](r)))
	require.Len(t, toldOf[sdk.ConnectDone](r), len(toldOf[sdk.ConnectInfo](r)))
}

// Files: neither a token nor where a picture is shows, and each byte counts.
func TestTransfersAreTold(t *testing.T) {
	r := new(hookLog)
	w := withHooks(t, hooksThat(r.note), func(cfg *sdk.Config) { cfg.FetchForeignURLs = true })
	const content = "all work and no play"
	up, err := w.client.UploadMedia(soon(t), sdk.MediaUpload{
		To: "bob", Name: "x", Reader: strings.NewReader(content), Size: int64(len(content)),
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, lastTold[sdk.RequestDone](t, r, nil).Sent, int64(len(content)))
	var got strings.Builder
	_, err = w.client.DownloadMedia(soon(t), up.Data, &got)
	require.NoError(t, err)
	require.Equal(t, "/media/{token}", lastTold[sdk.RequestInfo](t, r, nil).Template)
	done := lastTold[sdk.RequestDone](t, r, nil)
	require.GreaterOrEqual(t, done.Received, int64(len(content)))
	require.Equal(t, 200, done.Status)

	_, err = w.client.DownloadMedia(soon(t), sdk.MediaFile{FileToken: "https://" + w.srv.Domain() + "/picture"}, &got)
	require.Error(t, err)
	info := lastTold[sdk.RequestInfo](t, r, nil)
	require.Equal(t, sdk.RequestInfo{Kind: sdk.RequestHTTP, Name: "media", Method: "GET", Attempt: info.Attempt}, info)
	require.Error(t, lastTold[sdk.RequestDone](t, r, nil).Err)
}

// writerFunc is a writer that does what the function does.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// A call ends for the hooks also when the program's own code panics in it, or ends the goroutine.
func TestCallsThatDoNotReturnAreTold(t *testing.T) {
	r := new(hookLog)
	w := withHooks(t, hooksThat(r.note), nil)
	up, err := w.client.UploadMedia(soon(t), sdk.MediaUpload{
		To: "bob", Name: "x", Reader: strings.NewReader("abc"), Size: 3,
	})
	require.NoError(t, err)
	for name, write := range map[string]writerFunc{
		"panic":  func() { panic("broken") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			failed, done := w.client.Stats().CallsFailed, make(chan struct{})
			go func() { // ends with the call
				defer close(done)
				defer func() { _ = recover() }()
				_, _ = w.client.DownloadMedia(soon(t), up.Data, write)
			}()
			await(t, done)
			require.Len(t, toldOf[sdk.CallDone](r), len(toldOf[sdk.CallInfo](r)))
			require.Equal(t, 500, lastTold[sdk.CallDone](t, r, nil).StatusCode)
			require.Equal(t, failed+1, w.client.Stats().CallsFailed)
		})
	}
}

// Sessions: their beginnings, their ends, and how long there was none.
func TestConnectionsAreTold(t *testing.T) {
	r := new(hookLog)
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Hooks = hooksThat(r.note)
	client, credentials := register(t, cfg, "alice")
	w := &hooked{srv: srv, client: client, connection: collect(client.OnConnection)}
	connect(t, client, credentials)
	managed(t, client)
	require.Equal(t, []sdk.ConnectInfo{{Transport: sdk.TransportWebSocket}}, toldOf[sdk.ConnectInfo](r))
	first := lastTold[sdk.ConnectDone](t, r, nil)
	require.Positive(t, first.Duration)
	first.Duration = 0
	require.Equal(t, sdk.ConnectDone{}, first)

	w.lose(t)
	lost := lastTold[sdk.DisconnectInfo](t, r, nil)
	require.Equal(t, sdk.ErrNetwork, lost.Sentinel)
	require.Error(t, lost.Err)
	require.False(t, lost.Final)
	require.Positive(t, lost.Up)
	require.Equal(t, 1, lastTold[sdk.ConnectInfo](t, r, nil).Attempt)
	again := lastTold[sdk.ConnectDone](t, r, nil)
	require.True(t, again.Resumed)
	require.NoError(t, again.Err)
	require.GreaterOrEqual(t, again.Down, again.Duration)

	srv.SetFault(sdktest.StepUpgrade, sdktest.FaultClose)
	srv.DropConnections()
	w.connection.until(t, hasStatus(sdk.StatusConnectionFailed))
	require.Equal(t, sdk.ErrNetwork, lastTold(t, r, func(d sdk.ConnectDone) bool { return d.Err != nil }).Sentinel)
	srv.ClearFaults()
	require.NoError(t, client.WaitConnected(soon(t)))
	require.NoError(t, client.Close())
	end := lastTold[sdk.DisconnectInfo](t, r, nil)
	require.True(t, end.Final)
	require.NoError(t, end.Err, "the program has asked for it")
	sessions := 0
	for _, d := range toldOf[sdk.ConnectDone](r) {
		if d.Err == nil {
			sessions++
		}
	}
	require.Len(t, toldOf[sdk.DisconnectInfo](r), sessions, "each session has an end")
}

// What comes: stanzas that do not count, messages and their stages, and what listeners get.
func TestWhatComesIsTold(t *testing.T) {
	r := new(hookLog)
	w := withHooks(t, hooksThat(r.note), nil)
	w.push(t, `<iq xmlns="jabber:client" type="result" id="never asked"/>`)
	require.Equal(t, []sdk.IgnoredInfo{{Why: "reply to nothing"}}, toldOf[sdk.IgnoredInfo](r))

	w.push(t, saying(w.srv, "m0", "nobody listens"))
	came := newHeard(w.client.OnMessage)
	stop := w.client.OnMessage(func(m sdk.Message) {
		defer m.Defer()()
		panic("a listener fails")
	})
	w.push(t, saying(w.srv, "m1", "hello"))
	came.next(t)
	w.client.OnBlock(func(sdk.BlockEvent) {}) // its event comes behind what the message causes
	_, err := w.client.BlockUser(soon(t), "bob@"+w.srv.Domain())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		all := toldOf[sdk.EventInfo](r)
		return len(all) > 0 && all[len(all)-1].Listener == "OnBlock"
	}, patience, time.Millisecond)
	event := lastTold(t, r, func(e sdk.EventInfo) bool { return e.Listener == "OnMessage" })
	require.True(t, event.Failed)
	stop()
	w.push(t, saying(w.srv, "m1", "hello"))
	var stages []sdk.MessageStage
	for _, m := range toldOf[sdk.MessageInfo](r) {
		stages = append(stages, m.Stage)
	}
	require.Equal(t, []sdk.MessageStage{
		sdk.MessageReceived, sdk.MessageUnhandled, sdk.MessageReceived, sdk.MessageHandled, sdk.MessageCopied,
	}, stages)

	w.dropEvents(t)
	// The last drop is told by whoever comes next.
	require.Eventually(t, func() bool {
		var dropped int64
		for _, d := range toldOf[sdk.DroppedInfo](r) {
			dropped += int64(d.Events)
		}
		return w.client.Stats().EventsDropped == dropped
	}, patience, time.Millisecond)
	lastTold(t, r, func(e sdk.EventInfo) bool { return e.Waiting > 100 })
}

// Requests and connection attempts are below the call that has caused them, and so is what
// the HTTP client does.
func TestContextsOfHooksNest(t *testing.T) {
	type key struct{}
	var mu sync.Mutex
	paths := make(map[string]int)
	below := func(ctx context.Context, name string) context.Context {
		path, _ := ctx.Value(key{}).(string)
		path += "/" + name
		mu.Lock()
		defer mu.Unlock()
		paths[path]++
		return context.WithValue(ctx, key{}, path)
	}
	h := &sdk.Hooks{
		StartCall: func(ctx context.Context, i sdk.CallInfo) (context.Context, func(sdk.CallDone)) {
			return below(ctx, i.Op), nil
		},
		StartRequest: func(ctx context.Context, i sdk.RequestInfo) (context.Context, func(sdk.RequestDone)) {
			return below(ctx, i.Name), nil
		},
		StartConnect: func(ctx context.Context, _ sdk.ConnectInfo) (context.Context, func(sdk.ConnectDone)) {
			return below(ctx, "dial"), nil
		},
	}
	w := withHooks(t, h, func(cfg *sdk.Config) {
		base := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
		t.Cleanup(base.CloseIdleConnections)
		cfg.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			below(req.Context(), "transport")
			return base.RoundTrip(req)
		})}
	})
	requireAnswer(t, w.srv, w.client)
	_, err := w.client.SendTextMessage(soon(t), "bob@"+w.srv.Domain(), "hello")
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{
		"/Register/register/transport", "/Connect/login/transport", "/Connect/dial", "/GetLastSeen/last activity",
		"/SendTextMessage/message",
	} {
		require.Equal(t, 1, paths[want], "%s in %v", want, paths)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Whatever context a hook returns, a call ends with that of its caller.
func TestContextOfAHookEndsNoLater(t *testing.T) {
	type key struct{}
	for name, make := range map[string]func(context.Context) context.Context{
		"another": func(context.Context) context.Context {
			return context.WithValue(context.Background(), key{}, "kept")
		},
		"none":  func(context.Context) context.Context { return nil },
		"below": func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "kept") },
		"below, with an end": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "kept"))
			t.Cleanup(cancel)
			return ctx
		},
		"below, with an end that has come": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(context.WithValue(ctx, key{}, "kept"))
			cancel()
			return ctx
		},
		"below, without an end": func(ctx context.Context) context.Context {
			return context.WithoutCancel(context.WithValue(ctx, key{}, "kept"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var seen any
			w := withHooks(t, &sdk.Hooks{
				StartCall: func(ctx context.Context, _ sdk.CallInfo) (context.Context, func(sdk.CallDone)) {
					return make(ctx), nil
				},
				StartRequest: func(ctx context.Context, _ sdk.RequestInfo) (context.Context, func(sdk.RequestDone)) {
					seen = ctx.Value(key{})
					return make(ctx), nil
				},
			}, nil)
			w.srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent)
			w.srv.SetFault(sdktest.StepREST, sdktest.FaultSilent)
			ended, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "the caller's"))
			time.AfterFunc(10*time.Millisecond, cancel)
			_, err := w.client.GetLastSeen(ended, "bob@"+w.srv.Domain())
			require.ErrorIs(t, err, context.Canceled)
			if name == "none" {
				require.Equal(t, "the caller's", seen)
			} else {
				require.Equal(t, "kept", seen, "it goes before the caller's")
			}
			ended, cancel = context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			_, err = w.client.GetUserProfile(ended, "bob@"+w.srv.Domain())
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

// JoinHooks calls all, in their order, and the ends in the opposite one.
func TestJoinHooks(t *testing.T) {
	require.Nil(t, sdk.JoinHooks())
	require.Nil(t, sdk.JoinHooks(nil, nil))
	one := new(sdk.Hooks)
	require.Same(t, one, sdk.JoinHooks(nil, one))
	require.Same(t, one, sdk.JoinHooks(one, nil, one))
	for _, name := range hookNames() {
		var called []string
		hooks := func(who string) *sdk.Hooks {
			h := new(sdk.Hooks)
			setHook(h, name, func(hook string, _ any) { called = append(called, who+" "+hook) })
			return h
		}
		a := hooks("a")
		joined := sdk.JoinHooks(a, nil, new(sdk.Hooks), sdk.JoinHooks(hooks("b"), a, hooks("c")), a)
		for _, other := range hookNames() {
			require.Equal(t, other != name, reflect.ValueOf(joined).Elem().FieldByName(other).IsNil(), other)
		}
		want := []string{"a " + name, "b " + name, "c " + name}
		hook := reflect.ValueOf(joined).Elem().FieldByName(name)
		info := reflect.New(hook.Type().In(hook.Type().NumIn() - 1)).Elem()
		if isStart(name) {
			out := hook.Call([]reflect.Value{reflect.ValueOf(t.Context()), info})
			out[1].Call([]reflect.Value{reflect.New(out[1].Type().In(0)).Elem()})
			want = append(want, "c "+name+" done", "b "+name+" done", "a "+name+" done")
		} else {
			hook.Call([]reflect.Value{info})
		}
		require.Equal(t, want, called)
	}
}

// requireNoNames looks at all that hooks were told but the text of Err: it could be the label of a
// metric.
func (r *hookLog) requireNoNames(t *testing.T, names ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.NotEmpty(t, r.all)
	for _, one := range r.all {
		info := reflect.New(reflect.TypeOf(one.info)).Elem()
		info.Set(reflect.ValueOf(one.info))
		if err := info.FieldByName("Err"); err.IsValid() {
			err.SetZero()
		}
		text := fmt.Sprintf("%+v", info.Interface())
		require.NotContains(t, text, "@", one.hook)
		for _, name := range names {
			require.NotContains(t, text, name, one.hook)
		}
	}
}

// String is all that hooks were told.
func (r *hookLog) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all strings.Builder
	for _, one := range r.all {
		fmt.Fprintf(&all, "%s %+v %#[2]v\n", one.hook, one.info)
		if err := reflect.ValueOf(one.info).FieldByName("Err"); err.IsValid() {
			fmt.Fprintf(&all, "%+v %#[1]v\n", err.Interface())
		}
	}
	return all.String()
}

// A whole request without hooks allocates what it does with hooks that are all nil. The server is
// in it, too.
func TestRequestWithoutHooks(t *testing.T) {
	allocated := func(h *sdk.Hooks) float64 {
		w := withHooks(t, h, nil)
		requireAnswer(t, w.srv, w.client)
		ctx, jid := soon(t), "alice@"+w.srv.Domain()
		return testing.AllocsPerRun(200, func() {
			if _, err := w.client.GetLastSeen(ctx, jid); err != nil {
				panic(err)
			}
		})
	}
	none, all := allocated(nil), allocated(hooksThat(func(string, any) {}))
	t.Log(none, all)
	require.InDelta(t, none, allocated(new(sdk.Hooks)), 1)
	require.Greater(t, all, none+5, "what is measured is seen")
}
