// Package observe is how the parts of a client say what they do: each counts it, and calls a hook
// where the program has one. What has no hook costs an addition and a nil check.
package observe

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// LevelFrame is the level of the lines for single frames: below debug, which stays readable.
const LevelFrame = slog.LevelDebug - 4

// Counters are what a client has done since it was made.
type Counters struct {
	Calls, CallsFailed                                             atomic.Int64
	Requests, Retries                                              atomic.Int64
	Connects, ConnectsFailed, Reconnects, Resumptions, Disconnects atomic.Int64
	BytesSent, BytesReceived                                       atomic.Int64
	Ignored                                                        atomic.Int64
	EventsDelivered, EventsDropped                                 atomic.Int64
	MessagesSent, MessagesReceived, MessagesHandled                atomic.Int64
	MessagesUnhandled, MessagesDropped, MessagesOverrun            atomic.Int64
}

// Observer belongs to one client. Its methods may be called by any goroutine, but under no lock,
// since hooks may take their time. A nil Observer sees nothing.
type Observer struct {
	Counters
	// Hooks is immutable. nil: the program has none.
	Hooks *Hooks
}

// Hooks are what the program wants to know of the parts below package sdk. Each may be nil. They
// contain what goes wrong in them.
type Hooks struct {
	StartRequest func(context.Context, Request) (context.Context, func(RequestDone))
	Frame        func(sent bool, size int)
	Ignored      func(why string)
	Overrun      func()
	Event        func(Event)
	Dropped      func(events, messages int)
}

// The kinds of requests.
const (
	HTTP    = "http"
	IQ      = "iq"
	Message = "message"
)

// Request is one that goes over the wire.
type Request struct {
	// Kind is HTTP, IQ or Message, Name what it is for. Both are from a list that is fixed.
	Kind, Name string
	// Method, Host and Template are HTTP's: Template is the path without what differs from request
	// to request. Host is empty where a user has chosen it.
	Method, Host, Template string
	// Attempt is 1 for the first.
	Attempt int
}

// RequestDone is how a request has ended.
type RequestDone struct {
	// Status is HTTP's; 0: no answer has come.
	Status int
	// Sent and Received are bytes of bodies.
	Sent, Received int64
	Err            error
}

// Event is one that listeners were given.
type Event struct {
	// Value is the event itself.
	Value any
	// Ran is how long its listeners took. Failed: one of them has panicked, or ended its goroutine.
	Ran    time.Duration
	Failed bool
	// Waiting is how many others wait.
	Waiting int
}

// StartRequest notes that a request begins. done, if not nil, gets how it ends; the context is that
// of the request.
func (o *Observer) StartRequest(ctx context.Context, r Request) (_ context.Context, done func(RequestDone)) {
	if o == nil {
		return ctx, nil
	}
	o.Requests.Add(1)
	if r.Attempt > 1 {
		o.Retries.Add(1)
	}
	if o.Hooks == nil || o.Hooks.StartRequest == nil {
		return ctx, nil
	}
	return o.Hooks.StartRequest(ctx, r)
}

// Bytes notes how many bytes of HTTP bodies have been sent and received.
func (o *Observer) Bytes(sent, received int64) {
	if o == nil {
		return
	}
	o.BytesSent.Add(sent)
	o.BytesReceived.Add(received)
}

// Frame notes a frame of a session.
func (o *Observer) Frame(sent bool, size int) {
	if o == nil {
		return
	}
	if sent {
		o.BytesSent.Add(int64(size))
	} else {
		o.BytesReceived.Add(int64(size))
	}
	if o.Hooks != nil && o.Hooks.Frame != nil {
		o.Hooks.Frame(sent, size)
	}
}

// Ignore notes a stanza that does not count. why is a constant.
func (o *Observer) Ignore(why string) {
	if o == nil {
		return
	}
	o.Ignored.Add(1)
	if o.Hooks != nil && o.Hooks.Ignored != nil {
		o.Hooks.Ignored(why)
	}
}

// Overrun notes a message that counts as handled although it is not, because too many wait.
func (o *Observer) Overrun() {
	if o == nil {
		return
	}
	o.MessagesOverrun.Add(1)
	if o.Hooks != nil && o.Hooks.Overrun != nil {
		o.Hooks.Overrun()
	}
}

// SeesEvents reports whether there is a hook for events.
func (o *Observer) SeesEvents() bool { return o != nil && o.Hooks != nil && o.Hooks.Event != nil }

// SeesDrops reports whether there is a hook for what is dropped.
func (o *Observer) SeesDrops() bool { return o != nil && o.Hooks != nil && o.Hooks.Dropped != nil }

// Delivered notes an event that listeners were given.
func (o *Observer) Delivered() {
	if o != nil {
		o.EventsDelivered.Add(1)
	}
}

// Drop notes an event that is dropped. It may be called under a lock: the hook is told by itself.
func (o *Observer) Drop() {
	if o != nil {
		o.EventsDropped.Add(1)
	}
}
