package sdk

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// observe makes the observer of c, which knows its hooks.
func (c *Client) observe() {
	c.observer = new(observe.Observer)
	h := c.cfg.Hooks.contain(c.cfg.Logger)
	if c.cfg.Hooks = h; h == nil {
		return
	}
	below := new(observe.Hooks)
	if h.StartRequest != nil || h.StartCall != nil {
		below.StartRequest = h.startRequest
	}
	if h.Frame != nil {
		below.Frame = func(sent bool, size int) { h.Frame(FrameInfo{Sent: sent, Bytes: size}) }
	}
	if h.Ignored != nil {
		below.Ignored = func(why string) { h.Ignored(IgnoredInfo{Why: why}) }
	}
	if h.Message != nil {
		below.Overrun = func() { h.Message(MessageInfo{Stage: MessageOverrun}) }
	}
	if h.Event != nil {
		below.Event = func(e observe.Event) {
			h.Event(EventInfo{Listener: listenerOf(e.Value), Ran: e.Ran, Failed: e.Failed, Waiting: e.Waiting})
		}
	}
	if h.Dropped != nil {
		below.Dropped = func(events, messages int) { h.Dropped(DroppedInfo{Events: events, Messages: messages}) }
	}
	c.observer.Hooks = below
}

// noteClient notes that c was made, or closed.
func (c *Client) noteClient(closed bool) {
	if h := c.cfg.Hooks; h != nil && h.Client != nil {
		h.Client(ClientInfo{Client: c, Closed: closed})
	}
}

// requestCount counts the requests of one call. It is in the context of the call, under
// requestCountKey.
type (
	requestCount    struct{ requests, retries atomic.Int64 }
	requestCountKey struct{}
)

// startRequest counts a request for its call, and tells the hook, if there is one.
func (h *Hooks) startRequest(
	ctx context.Context, r observe.Request,
) (context.Context, func(observe.RequestDone)) {
	if count, has := ctx.Value(requestCountKey{}).(*requestCount); has {
		count.requests.Add(1)
		if r.Attempt > 1 {
			count.retries.Add(1)
		}
	}
	if h.StartRequest == nil {
		return ctx, nil
	}
	start := time.Now()
	ctx, done := h.StartRequest(ctx, RequestInfo{
		Kind: RequestKind(r.Kind), Name: r.Name, Method: r.Method, Host: r.Host, Template: r.Template,
		Attempt: r.Attempt,
	})
	if done == nil {
		return ctx, nil
	}
	return ctx, func(d observe.RequestDone) {
		done(RequestDone{
			Status: d.Status, Condition: conditionOf(d.Err), Sent: d.Sent, Received: d.Received, Err: d.Err,
			Duration: time.Since(start),
		})
	}
}

// conditionOf is the condition of a refusal over XMPP, as far as the RFC knows it: a server could
// make up any number of others.
func conditionOf(err error) string {
	var refused *xmpp.StanzaError
	switch {
	case !errors.As(err, &refused):
		return ""
	case refused.Known():
		return refused.Condition
	}
	return "undefined-condition"
}

// call is a call that is under way. It is a value, so that it costs no allocation.
type call struct {
	c     *Client
	ctx   context.Context // of what it asks for
	op    string
	start time.Time // zero: nobody wants to know
	count *requestCount
	done  func(CallDone)
}

// beginCall notes that a call begins. The context is that of what it asks for.
func (c *Client) beginCall(ctx context.Context, op string) (context.Context, call) {
	c.observer.Calls.Add(1)
	w := call{c: c, op: op}
	hooked := c.cfg.Hooks != nil && c.cfg.Hooks.StartCall != nil
	if hooked || c.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		w.start = time.Now()
	}
	if hooked {
		ctx, w.done = c.cfg.Hooks.StartCall(ctx, CallInfo{Op: op})
		if w.done != nil {
			w.count = new(requestCount)
			ctx = context.WithValue(ctx, requestCountKey{}, w.count)
		}
	}
	w.ctx = ctx
	return ctx, w
}

// end notes how the call has ended. e is nil for a success.
func (w *call) end(e *Error) {
	if e != nil {
		w.c.observer.CallsFailed.Add(1)
	}
	if !w.start.IsZero() {
		w.tell(e, time.Since(w.start))
	}
}

func (w *call) tell(e *Error, took time.Duration) {
	d := CallDone{StatusCode: statusOK, Duration: took}
	if e != nil {
		d.StatusCode, d.Outcome, d.Sentinel, d.Err = e.StatusCode, e.Outcome, e.sentinel(), e
	}
	w.c.logCall(w.ctx, w.op, d)
	if w.count != nil {
		d.Requests, d.Retries = int(w.count.requests.Load()), int(w.count.retries.Load())
	}
	if w.done != nil {
		w.done(d)
	}
}

// connecting is an attempt to make a session that is under way.
type connecting struct {
	login *login
	start time.Time
	done  func(ConnectDone)
}

// beginConnect notes that an attempt to make a session begins.
func (l *login) beginConnect(ctx context.Context, info ConnectInfo) (context.Context, connecting) {
	w := connecting{login: l}
	if h := l.client.cfg.Hooks; h != nil && h.StartConnect != nil {
		info.Transport = l.client.cfg.Transport
		w.start = time.Now()
		ctx, w.done = h.StartConnect(ctx, info)
	}
	return ctx, w
}

// end notes that there is a session now, or why there is none.
func (w *connecting) end(ctx context.Context, s *xmpp.Session, err error) {
	l, o := w.login, w.login.client.observer
	switch {
	case err != nil:
		o.ConnectsFailed.Add(1)
	case !l.since.IsZero():
		o.Reconnects.Add(1)
		if s.Resumed() {
			o.Resumptions.Add(1)
		}
		fallthrough
	default:
		o.Connects.Add(1)
	}
	if w.done == nil {
		return
	}
	d := ConnectDone{Resumed: err == nil && s.Resumed(), Duration: time.Since(w.start)}
	if !l.since.IsZero() {
		d.Down = time.Since(l.since)
	}
	if err != nil {
		e := explain(l.client.deciding(ctx), "Connect", in(stepConnect, err))
		d.Err, d.Sentinel = e, e.sentinel()
	}
	w.done(d)
}

// noteDisconnect notes that a session has ended, which event tells, after it was up for so long.
func (c *Client) noteDisconnect(event ConnectionEvent, up time.Duration) {
	c.observer.Disconnects.Add(1)
	h := c.cfg.Hooks
	if h == nil || h.Disconnected == nil {
		return
	}
	d := DisconnectInfo{Err: event.Err, Final: event.Final, Up: up}
	if e, is := event.Err.(*Error); is {
		d.Sentinel = e.sentinel()
	}
	h.Disconnected(d)
}

// noteMessage notes that a message has got that far.
func (c *Client) noteMessage(stage MessageStage) {
	switch o := c.observer; stage {
	case MessageReceived:
		o.MessagesReceived.Add(1)
	case MessageHandled:
		o.MessagesHandled.Add(1)
	case MessageDropped:
		o.MessagesDropped.Add(1)
	case MessageUnhandled:
		o.MessagesUnhandled.Add(1)
	}
	if h := c.cfg.Hooks; h != nil && h.Message != nil {
		h.Message(MessageInfo{Stage: stage})
	}
}

// listenerOf names the method that registers listeners for an event.
func listenerOf(event any) string {
	switch e := event.(type) {
	case ConnectionEvent:
		return "OnConnection"
	case Profile:
		return "OnUserProfile"
	case PresenceEvent:
		return "OnPresence"
	case BlockEvent:
		return "OnBlock"
	case UserDeletedEvent:
		return "OnUserDeleted"
	case AdminBlockEvent:
		return "OnAdminBlock"
	case MissedEvent:
		return "OnMissed"
	case Message:
		switch {
		case e.Own:
			return "OnMessageSent"
		case e.Edited:
			return "OnMessageEdited"
		}
		return "OnMessage"
	case MessageStatusEvent:
		return "OnMessageStatus"
	case MessageDeletedEvent:
		return "OnMessageDeleted"
	case TypingEvent:
		return "OnTyping"
	}
	return ""
}
