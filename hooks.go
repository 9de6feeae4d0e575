package sdk

import (
	"context"
	"slices"
	"time"
)

// Hooks learn what a client does, for metrics and traces: see [Config].Hooks. Each may be nil, and
// those that are cost nothing. Many clients may share one.
//
// A hook is called in the goroutine of what it tells of, under no lock. One that takes a second
// delays that by a second: StartCall its caller, Frame, Ignored, Message and Dropped what is read
// from the connection, Frame also whoever writes and the timer of the session, Event the listeners.
// Close waits for it, too. A panic is logged, once for each client and hook, and changes nothing
// else. A hook must not call runtime.Goexit, as testing.T.FailNow does, nor methods of the Client,
// which may wait for what waits for the hook; State and Stats are permitted.
//
// Start hooks return the context of what has begun, such as one with a span in it, and a function
// that is told how it ends; both may be nil. It is called once. Of the context only the values
// count, before those of the one that came: the deadline and the end are those of that one, whether
// the other descends from it or not.
//
// No hook gets a password, a token, a licence key, the id of a user, or what a message says, but
// the text of Err may name users, hosts and what a server has said: it is for logs and spans. All
// other texts are short and few, so that they can be labels of a metric, unless the field says
// otherwise. What has no client in it can be told apart by giving each Client hooks of its own.
type Hooks struct {
	// StartCall: a method that takes a context has begun. What it asks for is below the context
	// that is returned: StartRequest and StartConnect get one that descends from it.
	StartCall func(context.Context, CallInfo) (context.Context, func(CallDone))
	// StartRequest: something is about to be sent that has an answer: an HTTP request to the REST
	// API or the storage, each attempt for itself, an IQ, or a message that waits until it is
	// confirmed. The work that calls share, which is the login after a token has expired and the
	// lookup of the service, has a context of its own.
	StartRequest func(context.Context, RequestInfo) (context.Context, func(RequestDone))
	// StartConnect: an attempt to make an XMPP session has begun, at all addresses that there are.
	// Each one that succeeds is followed by Disconnected. An attempt to reconnect that fails before
	// it can dial is told, too, such as one that Config.Dials refuses. Of Connect and a QR login
	// that fail before they dial only their callers learn: that is no attempt.
	StartConnect func(context.Context, ConnectInfo) (context.Context, func(ConnectDone))
	// Disconnected: a session has ended.
	Disconnected func(DisconnectInfo)
	// Frame: an XMPP stanza, or another element of a stream, was read or is about to be written.
	Frame func(FrameInfo)
	// Ignored: what came over XMPP does not count (see [Client.Ignored]).
	Ignored func(IgnoredInfo)
	// Message: a message has come, and has got a step further.
	Message func(MessageInfo)
	// Event: the listeners of an event have returned.
	Event func(EventInfo)
	// Dropped: events were dropped, because listeners were too slow. OnMissed tells them, too.
	Dropped func(DroppedInfo)
	// Client: a client was made, or closed. In between its State and Stats can be asked for.
	Client func(ClientInfo)

	// joined are those that JoinHooks has made it of, none of them joined itself.
	joined []*Hooks
}

// CallInfo is a call that has begun. Each page of ChatMessages, UsersList and RecentChats is one.
// OpenMedia ends when it returns: what its reader asks for is below it, and may end later. That a
// file turns out damaged while it is read is told to the reader alone.
type CallInfo struct {
	// Op is the method, such as "GetLastSeen".
	Op string
}

// CallDone is how a call has ended.
type CallDone struct {
	// StatusCode is that of the result: 200, or that of the error.
	StatusCode int
	// Outcome says what became of a call that has failed.
	Outcome Outcome
	// Sentinel is the error of this package that Err stands for, such as ErrNotConnected; of
	// several the one that says most. nil: none.
	Sentinel error
	// Err is the *Error; nil: it was successful.
	Err error
	// Duration is how long it took.
	Duration time.Duration
	// Requests is how many requests were sent, Retries how many of these were sent once more.
	Requests, Retries int
}

// RequestKind is how a request travels.
type RequestKind string

// The kinds of requests.
const (
	// RequestHTTP goes to the REST API, or to the storage of files.
	RequestHTTP RequestKind = "http"
	// RequestIQ is one of XMPP (RFC 6120 8.2.3).
	RequestIQ RequestKind = "iq"
	// RequestMessage is a message that the server has to confirm. What nobody waits for is none:
	// typing, receipts that a message was delivered.
	RequestMessage RequestKind = "message"
)

// RequestInfo is a request that is about to be sent.
type RequestInfo struct {
	// Kind is how it travels.
	Kind RequestKind
	// Name says what it is for, such as "login", "last activity" or "message".
	Name string
	// Method is that of HTTP.
	Method string
	// Host is where it goes over HTTP, with the port where the URL has one, or is not encrypted;
	// empty where a user has chosen that, with the URL of a picture.
	Host string
	// Template is the path over HTTP, without a query and with {token} for that of a file; empty
	// where the service or a user has said where to go.
	Template string
	// Attempt is 1 for the first.
	Attempt int
}

// RequestDone is how a request has ended.
type RequestDone struct {
	// Status is that of HTTP; 0: no answer has come. The service may refuse in the body of a 200.
	Status int
	// Condition is that of XMPP where the request was refused (RFC 6120 8.3.3), and
	// "undefined-condition" where that is none of the RFC.
	Condition string
	// Sent and Received are how many bytes of HTTP bodies were sent, and received after
	// decompression.
	Sent, Received int64
	// Err is nil when it was answered as it should be.
	Err error
	// Duration is how long it took, with reading the answer. That of a file is over when its reader
	// is closed, and not told before.
	Duration time.Duration
}

// ConnectInfo is an attempt to make a session.
type ConnectInfo struct {
	// Transport is TransportWebSocket or TransportTCP.
	Transport Transport
	// Attempt is 1 for the first attempt after a loss; 0: it belongs to Connect or a QR login.
	Attempt int
	// Delay is what went before the attempt; see [ReconnectPolicy].
	Delay time.Duration
}

// ConnectDone is how an attempt to make a session has ended.
type ConnectDone struct {
	// Resumed: the stream goes on that was lost (XEP-0198).
	Resumed bool
	// Sentinel is as in CallDone.
	Sentinel error
	// Err is nil when there is a session.
	Err error
	// Duration is how long it took, without the delay and without waiting for Config.Dials.
	Duration time.Duration
	// Down is how long there was no session, since the last one was lost; 0: none was.
	Down time.Duration
}

// DisconnectInfo is the end of a session.
type DisconnectInfo struct {
	// Sentinel is as in CallDone.
	Sentinel error
	// Err is why it ended; nil: the program has asked for it.
	Err error
	// Final: the client does not reconnect.
	Final bool
	// Up is how long the session lasted.
	Up time.Duration
}

// FrameInfo is a frame: one element of an XMPP stream.
type FrameInfo struct {
	// Sent: it goes to the server.
	Sent bool
	// Bytes is its length, without what WebSocket, TLS and TCP add. What is read over TCP counts as
	// it would come over WebSocket (RFC 7395 3.3): beginning and end of the stream as <open/> and
	// <close/>, and an element with the namespaces that it has from the stream.
	Bytes int
}

// IgnoredInfo is a stanza that does not count.
type IgnoredInfo struct {
	// Why is one of about a dozen texts, which logging.md lists.
	Why string
}

// MessageStage is how far a message has got.
type MessageStage string

// The stages of a message.
const (
	// MessageReceived: it has come, for the first time.
	MessageReceived MessageStage = "received"
	// MessageCopied: it has come before.
	MessageCopied MessageStage = "copied"
	// MessageHandled: the listeners have returned, and Defer's done was called; or one of them has
	// panicked, which counts as handled for the server.
	MessageHandled MessageStage = "handled"
	// MessageUnhandled: nobody listens; see [Client.Unhandled].
	MessageUnhandled MessageStage = "unhandled"
	// MessageDropped: it was dropped because listeners were too slow, or the client closed, as
	// OnMissed tells; or this account has sent it on another device, and OnMessageSent has nobody.
	MessageDropped MessageStage = "dropped"
	// MessageOverrun: a message that is not handled counts as handled for the server, because 256
	// stanzas wait. In a crash it is lost.
	MessageOverrun MessageStage = "overrun"
)

// MessageInfo is a message that has come.
type MessageInfo struct {
	// Stage is how far it has got.
	Stage MessageStage
}

// EventInfo is an event that the listeners were given.
type EventInfo struct {
	// Listener is the method that has registered them, such as "OnMessage".
	Listener string
	// Ran is how long they took.
	Ran time.Duration
	// Failed: one of them has panicked.
	Failed bool
	// Waiting is how many events wait for them to return.
	Waiting int
}

// DroppedInfo is what was dropped.
type DroppedInfo struct {
	// Events is how many were dropped, Messages how many of these were messages.
	Events, Messages int
}

// ClientInfo is a client that was made, or closed.
type ClientInfo struct {
	// Client is the client.
	Client *Client
	// Closed: its first Close is about to return. Otherwise New is about to return it.
	Closed bool
}

// JoinHooks returns hooks that call those of all, in their order; the functions for the end are
// called in the opposite order. nil is left out, and of nothing it makes nil. Hooks that are there
// twice, also in what was joined before, are called once: nothing is counted twice. If one panics,
// the others are called all the same. Do not change fields of what it returns.
func JoinHooks(all ...*Hooks) *Hooks {
	var some []*Hooks
	for _, h := range all {
		for _, part := range h.parts() {
			if !slices.Contains(some, part) {
				some = append(some, part)
			}
		}
	}
	if len(some) < 2 {
		if len(some) == 0 {
			return nil
		}
		return some[0]
	}
	return &Hooks{
		StartCall:    joinStart(some, func(h *Hooks) startHook[CallInfo, CallDone] { return h.StartCall }),
		StartRequest: joinStart(some, func(h *Hooks) startHook[RequestInfo, RequestDone] { return h.StartRequest }),
		StartConnect: joinStart(some, func(h *Hooks) startHook[ConnectInfo, ConnectDone] { return h.StartConnect }),
		Disconnected: join(some, func(h *Hooks) func(DisconnectInfo) { return h.Disconnected }),
		Frame:        join(some, func(h *Hooks) func(FrameInfo) { return h.Frame }),
		Ignored:      join(some, func(h *Hooks) func(IgnoredInfo) { return h.Ignored }),
		Message:      join(some, func(h *Hooks) func(MessageInfo) { return h.Message }),
		Event:        join(some, func(h *Hooks) func(EventInfo) { return h.Event }),
		Dropped:      join(some, func(h *Hooks) func(DroppedInfo) { return h.Dropped }),
		Client:       join(some, func(h *Hooks) func(ClientInfo) { return h.Client }),
		joined:       some,
	}
}

// parts are what h was joined of; of others h itself, and nothing of nil.
func (h *Hooks) parts() []*Hooks {
	switch {
	case h == nil:
		return nil
	case len(h.joined) > 0:
		return h.joined
	}
	return []*Hooks{h}
}

type startHook[I, D any] = func(context.Context, I) (context.Context, func(D))

// join makes one of the hooks that which picks; nil: there is none.
func join[I any](all []*Hooks, which func(*Hooks) func(I)) func(I) {
	var hooks []func(I)
	for _, h := range all {
		if hook := which(h); hook != nil {
			hooks = append(hooks, hook)
		}
	}
	if len(hooks) < 2 {
		return only(hooks)
	}
	return func(info I) {
		for _, hook := range hooks {
			hook(info)
		}
	}
}

// joinStart is join for hooks that begin something.
func joinStart[I, D any](all []*Hooks, which func(*Hooks) startHook[I, D]) startHook[I, D] {
	var hooks []startHook[I, D]
	for _, h := range all {
		if hook := which(h); hook != nil {
			hooks = append(hooks, hook)
		}
	}
	if len(hooks) < 2 {
		return only(hooks)
	}
	return func(ctx context.Context, info I) (context.Context, func(D)) {
		ends := make([]func(D), 0, len(hooks))
		for _, hook := range hooks {
			next, end := hook(ctx, info)
			if next != nil {
				ctx = next
			}
			if end != nil {
				ends = append(ends, end)
			}
		}
		return ctx, func(done D) {
			for i := range ends {
				ends[len(ends)-1-i](done)
			}
		}
	}
}

// only is the one of at most one, or nil.
func only[F any](hooks []F) (hook F) {
	if len(hooks) > 0 {
		hook = hooks[0]
	}
	return hook
}
