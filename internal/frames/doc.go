// Package frames carries the elements of an XMPP stream over either transport: WebSocket (RFC
// 7395), and TCP (RFC 6120) with STARTTLS or TLS from the first byte. Its user sees whole elements,
// one per frame, in the form that RFC 7395 gives them, reads them one after the other, and writes
// without waiting for the server. What the elements say is not its business.
package frames
