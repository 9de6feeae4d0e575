package sdk

// Stats are the counters of one client, since New. See [Client.Stats].
type Stats struct {
	// Calls is how many methods that take a context were called, CallsFailed how many of them have
	// returned an error. The iterators call once for each page.
	Calls, CallsFailed int64
	// Requests is how many requests were begun, over HTTP and XMPP, Retries how many of them were
	// sent once more; see [Hooks].StartRequest.
	Requests, Retries int64
	// Connects is how many XMPP sessions were made, ConnectsFailed how many attempts to make one
	// have failed; see [Hooks].StartConnect. Disconnects is how many sessions have ended.
	Connects, ConnectsFailed, Disconnects int64
	// Reconnects is how many of Connects came after a loss, Resumptions how many of these have
	// taken up the old stream.
	Reconnects, Resumptions int64
	// BytesSent and BytesReceived are the bodies of HTTP, after decompression, and the frames of
	// XMPP. Headers, TLS and signalling do not count.
	BytesSent, BytesReceived int64
	// StanzasIgnored is what Ignored returns.
	StanzasIgnored int64
	// EventsDelivered is how many events listeners were given, EventsDropped how many were dropped
	// because listeners were too slow.
	EventsDelivered, EventsDropped int64
	// EventsWaiting is how many events wait now in the queue, of 1,024 at most. Up to 32 more have
	// left it together and are about to be told.
	EventsWaiting int64
	// MessagesSent is how many messages and edits the server has confirmed.
	MessagesSent int64
	// MessagesReceived is how many messages have come. One that comes again counts once while it is
	// remembered: it has an id, somebody has heard it, and fewer than 1,024 have come since.
	// MessagesHandled is how many of them are handled, MessagesUnhandled is what Unhandled returns,
	// and MessagesDropped is how many were dropped; the rest is with the listeners.
	MessagesReceived, MessagesHandled, MessagesUnhandled, MessagesDropped int64
	// MessagesOverrun is how many messages counted as handled for the server although they were
	// not, because 256 stanzas waited. A crash would have lost them.
	MessagesOverrun int64
}

// Stats returns the counters of this client. It waits for nothing and may be called at any time,
// also after Close. The counters go on while they are read: each is right, but they need not agree
// with each other.
func (c *Client) Stats() Stats {
	o := c.observer
	return Stats{
		Calls: o.Calls.Load(), CallsFailed: o.CallsFailed.Load(),
		Requests: o.Requests.Load(), Retries: o.Retries.Load(),
		Connects: o.Connects.Load(), ConnectsFailed: o.ConnectsFailed.Load(), Disconnects: o.Disconnects.Load(),
		Reconnects: o.Reconnects.Load(), Resumptions: o.Resumptions.Load(),
		BytesSent: o.BytesSent.Load(), BytesReceived: o.BytesReceived.Load(),
		StanzasIgnored:  o.Ignored.Load(),
		EventsDelivered: o.EventsDelivered.Load(), EventsDropped: o.EventsDropped.Load(),
		EventsWaiting: int64(c.listeners.queue.Waiting()),
		MessagesSent:  o.MessagesSent.Load(), MessagesReceived: o.MessagesReceived.Load(),
		MessagesHandled: o.MessagesHandled.Load(), MessagesUnhandled: o.MessagesUnhandled.Load(),
		MessagesDropped: o.MessagesDropped.Load(), MessagesOverrun: o.MessagesOverrun.Load(),
	}
}
