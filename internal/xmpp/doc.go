// Package xmpp is one XMPP session of the profile service: dial, authenticate,
// bind, ask and be told (protocol.md 4 to 6).
//
// A [Session] is built by [Dial] for one connection and thrown away with it.
// The caller runs [Session.Serve], the read loop, in a goroutine of its own;
// requests may come from any goroutine, pushes arrive at [Config].Handle.
//
// Two transports carry the same frames: WebSocket (RFC 7395) and TCP (RFC 6120,
// with STARTTLS or direct TLS), whose byte stream is cut into such frames.
package xmpp
