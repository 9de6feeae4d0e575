package xmpp

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxJIDPart is the most bytes that one part of a JID may have (RFC 7622 3.1).
const maxJIDPart = 1023

// JID is an XMPP address: local@domain/resource. Local and Resource may be
// empty. JIDs from [ParseJID] compare with ==: local part and domain are in
// lower case, as servers keep them.
type JID struct{ Local, Domain, Resource string }

// ParseJID reads a JID and brings it into the form that compares with ==. It
// refuses empty parts, parts of more than 1023 bytes and characters that cannot
// be in an address (RFC 7622 3).
func ParseJID(s string) (JID, error) {
	bare, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(bare, "@")
	if !hasLocal {
		local, domain = "", bare
	}
	j := JID{
		Local:    strings.ToLower(local),
		Domain:   strings.ToLower(strings.TrimSuffix(domain, ".")),
		Resource: resource,
	}
	switch {
	case hasLocal && !validPart(j.Local, `"&'/:<>@`):
		return JID{}, fmt.Errorf("JID %.100q: bad local part", s)
	case !validPart(j.Domain, `"&'/<>@`), strings.HasSuffix(j.Domain, "."):
		return JID{}, fmt.Errorf("JID %.100q: bad domain", s)
	case hasResource && !validPart(strings.ReplaceAll(j.Resource, " ", "_"), ""):
		return JID{}, fmt.Errorf("JID %.100q: bad resource", s)
	}
	return j, nil
}

// validPart reports whether a part of a JID has one to 1023 bytes of UTF-8
// without white space, control characters and those of forbidden.
func validPart(part, forbidden string) bool {
	if part == "" || len(part) > maxJIDPart || !utf8.ValidString(part) {
		return false
	}
	for _, r := range part {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError || strings.ContainsRune(forbidden, r) {
			return false
		}
	}
	return true
}

// clone returns the same JID, which does not hold the stanza that it was read from.
func (j JID) clone() JID {
	return JID{strings.Clone(j.Local), strings.Clone(j.Domain), strings.Clone(j.Resource)}
}

// Bare returns the JID without its resource: the account.
func (j JID) Bare() JID {
	j.Resource = ""
	return j
}

// String returns local@domain/resource, without what is empty.
func (j JID) String() string {
	switch {
	case j.Local == "" && j.Resource == "":
		return strings.Clone(j.Domain) // which may be a part of a stanza
	case j.Local == "":
		return j.Domain + "/" + j.Resource
	case j.Resource == "":
		return j.Local + "@" + j.Domain
	}
	return j.Local + "@" + j.Domain + "/" + j.Resource
}
