package sdk

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// argument is an argument of a call, or a field of one. Texts of the JavaScript SDK (protocol.md
// 1.7) have the name that it has there, our own texts and Error.Argument the one that it has in Go.
type argument struct{ name, js string }

// same is an argument that has one name in both languages.
func same(name string) argument { return argument{name, name} }

// finding is what a check has found wrong with an argument. The zero value: nothing.
type finding struct{ argument, text string }

// isInJS is a finding in the words of the JavaScript SDK.
func (a argument) isInJS(text string) finding { return finding{a.name, a.js + text} }

// validate gets what the checks of all arguments have found. The last that fails wins (protocol.md
// 1.7).
func validate(checks ...finding) error {
	for _, found := range slices.Backward(checks) {
		if found.text != "" {
			return invalid(found.argument, "%s", found.text)
		}
	}
	return nil
}

func required(a argument, value string) finding {
	if value == "" {
		return a.isInJS(" is not valid or required")
	}
	return finding{}
}

// isUTF8: other text cannot be sealed (protocol.md 2.3), and JSON would carry it changed.
func isUTF8(name, value string) finding {
	if !utf8.ValidString(value) {
		return finding{name, name + " is not valid UTF-8"}
	}
	return finding{}
}

// loginText refuses what SASL cannot carry (RFC 4616 2, RFC 8265): most often a line end, of a file
// that was read.
func loginText(name, value string) finding {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return finding{name, name + " has a line end, another control character, or is not UTF-8"}
	}
	return finding{}
}

// isXMLText: a stanza would carry other text changed (XML 1.0, 2.2).
func isXMLText(name, value string) finding {
	switch {
	case !utf8.ValidString(value):
		return finding{name, name + " is not valid UTF-8"}
	case strings.ContainsFunc(value, notInXML):
		return finding{name, name + " has control characters: of those, only tab and line ends can be sent"}
	}
	return finding{}
}

func notInXML(r rune) bool {
	return r < ' ' && !strings.ContainsRune("\t\n\r", r) || r == 0xFFFE || r == 0xFFFF
}

// maxMessageID is how many bytes an id of the caller may have.
const maxMessageID = 255

// messageIDFormat refuses what cannot be an id of a message: receipts and deletions have commas
// between ids (protocol.md 14.4).
func messageIDFormat(name, id string) finding {
	switch {
	case len(id) > maxMessageID:
		return finding{name, name + " is longer than 255 bytes"}
	case !utf8.ValidString(id) || strings.ContainsFunc(id, notInMessageID):
		return finding{name, name + " has a comma, white space, a control character, or is not UTF-8"}
	}
	return finding{}
}

func notInMessageID(r rune) bool {
	return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) || notInXML(r)
}

const textFormat = " format is invalid"

func jidFormat(a argument, value string) finding {
	if value != "" && !isUserJID(value) {
		return a.isInJS(textFormat)
	}
	return finding{}
}

func groupJIDFormat(a argument, value string) finding {
	if value != "" && !isGroupJID(value) {
		return a.isInJS(textFormat)
	}
	return finding{}
}

const (
	lowerLetters = "abcdefghijklmnopqrstuvwxyz"
	letters      = lowerLetters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits       = "0123456789"
)

// consistsOf reports whether s has characters, and none but those of set.
func consistsOf(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }

// isEmail is the JavaScript SDK's own pattern, which decides what the service has ever stored:
// ^[_a-zA-Z0-9\-!#$%&+]+(\.[_a-zA-Z0-9\-!#$%&+]+)*@[a-zA-Z0-9\-]+(\.[a-zA-Z]{2,6})+$
func isEmail(s string) bool {
	local, host, _ := strings.Cut(s, "@")
	for part := range strings.SplitSeq(local, ".") {
		if !consistsOf(part, letters+digits+"_-!#$%&+") {
			return false
		}
	}
	first, rest, dotted := strings.Cut(host, ".")
	if !dotted || !consistsOf(first, letters+digits+"-") {
		return false
	}
	for label := range strings.SplitSeq(rest, ".") {
		if len(label) < 2 || len(label) > 6 || !consistsOf(label, letters) {
			return false
		}
	}
	return true
}

func emailFormat(a argument, value string) finding {
	if value != "" && !isEmail(value) {
		return a.isInJS(" is not valid or required")
	}
	return finding{}
}

const (
	groupDomainPrefix = "mix."
	maxJIDPart        = 1023 // bytes, RFC 7622 3.1
)

// isUserJID is the user JID pattern of protocol.md 1.7, with the character class applied to the
// whole domain (11).
func isUserJID(jid string) bool {
	local, domain, _ := strings.Cut(jid, "@")
	return isJIDPart(local) && isJIDPart(domain) && utf8.RuneCountInString(domain) > 1 &&
		!strings.HasPrefix(domain, groupDomainPrefix) && isAddress(jid)
}

func isGroupJID(jid string) bool {
	local, domain, _ := strings.Cut(jid, "@")
	name, isGroup := strings.CutPrefix(domain, groupDomainPrefix)
	return isGroup && isJIDPart(local) && isJIDPart(name) && isAddress(jid)
}

// isAddress: what the XMPP session would refuse is refused before it is asked.
func isAddress(jid string) bool {
	_, err := xmpp.ParseJID(jid)
	return err == nil
}

func isJIDPart(part string) bool {
	return part != "" && len(part) <= maxJIDPart && utf8.ValidString(part) &&
		!strings.ContainsFunc(part, func(r rune) bool {
			return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`( )"'&/:<>@\`, r)
		})
}

// checkIdentifier has the texts of protocol.md 3.
func checkIdentifier(id string) error {
	const name = "userIdentifier"
	switch {
	case id == "":
		return invalid(name, "User identifier is empty, Please pass valid user identifier")
	case strings.ContainsFunc(id, unicode.IsSpace):
		return invalid(name, "User identifier should not contain the whitespaces")
	case !consistsOf(id, lowerLetters+digits+"_-"):
		return invalid(name, "User identifiers can only contain lowercase alphanumeric characters, "+
			"hyphens (-), and underscores (_).")
	}
	return nil
}

const maxMetadata = 3

func checkMetadata(m map[string]any) error {
	const name = "RegisterMetadata"
	if len(m) > maxMetadata {
		return invalid(name, "%s can have at most %d entries, not %d", name, maxMetadata, len(m))
	}
	for key, value := range m {
		if !utf8.ValidString(key) {
			return invalid(name, "%s has a name that is not valid UTF-8", name)
		}
		valid := true
		switch v := value.(type) {
		case string:
			if !utf8.ValidString(v) {
				return invalid(name, "%s: %s is not valid UTF-8", name, key)
			}
		case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		case float32:
			valid = isJSONNumber(float64(v))
		case float64:
			valid = isJSONNumber(v)
		default:
			valid = false
		}
		if !valid {
			return invalid(name, "metaDataType should be Valid data type")
		}
	}
	return nil
}

func isJSONNumber(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
