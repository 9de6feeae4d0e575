// Package xmltext reads and writes XML as XMPP permits it (RFC 6120 11): UTF-8, elements,
// attributes and text, without comments, processing instructions, DTDs or entities other than the
// five that XML has.
//
// [Cutter] finds in a byte stream where elements begin and end, [Check] makes sure that a text is
// one well-formed element, [Parse] gives a view of it that copies nothing, and [Markup] writes one.
package xmltext
