package sdk

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// validate gets what the checks of all arguments have found: each the text of protocol.md 1.7, or
// "". The last that fails wins.
func validate(checks ...string) error {
	for _, failure := range slices.Backward(checks) {
		if failure != "" {
			return invalid("%s", failure)
		}
	}
	return nil
}

func required(key, value string) string {
	if value == "" {
		return key + " is not valid or required"
	}
	return ""
}

// isUTF8: other text cannot be sealed (protocol.md 2.3), and JSON would carry it changed.
func isUTF8(key, value string) string {
	if !utf8.ValidString(value) {
		return key + " is not valid UTF-8"
	}
	return ""
}

// loginText refuses what SASL cannot carry (RFC 4616 2, RFC 8265): most often a line end, of a file
// that was read.
func loginText(key, value string) string {
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return key + " has a line end, another control character, or is not UTF-8"
	}
	return ""
}

// isXMLText: a stanza would carry other text changed (XML 1.0, 2.2).
func isXMLText(key, value string) string {
	switch {
	case !utf8.ValidString(value):
		return key + " is not valid UTF-8"
	case strings.ContainsFunc(value, notInXML):
		return key + " has control characters: of those, only tab and line ends can be sent"
	}
	return ""
}

func notInXML(r rune) bool {
	return r < ' ' && !strings.ContainsRune("\t\n\r", r) || r == 0xFFFE || r == 0xFFFF
}

// maxMessageID is how many bytes an id of the caller may have.
const maxMessageID = 255

// messageIDFormat refuses what cannot be an id of a message: receipts and deletions have commas
// between ids (protocol.md 14.4).
func messageIDFormat(key, id string) string {
	switch {
	case len(id) > maxMessageID:
		return key + " is longer than 255 bytes"
	case !utf8.ValidString(id) || strings.ContainsFunc(id, notInMessageID):
		return key + " has a comma, white space, a control character, or is not UTF-8"
	}
	return ""
}

func notInMessageID(r rune) bool {
	return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) || notInXML(r)
}

func jidFormat(key, value string) string {
	if value != "" && !isUserJID(value) {
		return key + " format is invalid"
	}
	return ""
}

func groupJIDFormat(key, value string) string {
	if value != "" && !isGroupJID(value) {
		return key + " format is invalid"
	}
	return ""
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

func emailFormat(key, value string) string {
	if value != "" && !isEmail(value) {
		return key + " is not valid or required"
	}
	return ""
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
	switch {
	case id == "":
		return invalid("User identifier is empty, Please pass valid user identifier")
	case strings.ContainsFunc(id, unicode.IsSpace):
		return invalid("User identifier should not contain the whitespaces")
	case !consistsOf(id, lowerLetters+digits+"_-"):
		return invalid("User identifiers can only contain lowercase alphanumeric characters, " +
			"hyphens (-), and underscores (_).")
	}
	return nil
}

const maxMetadata = 3

func checkMetadata(m map[string]any) error {
	if len(m) > maxMetadata {
		return invalid("metaData can have at most %d entries, not %d", maxMetadata, len(m))
	}
	for key, value := range m {
		if !utf8.ValidString(key) {
			return invalid("metaData has a name that is not valid UTF-8")
		}
		valid := true
		switch v := value.(type) {
		case string:
			if err := validate(isUTF8("metaData "+key, v)); err != nil {
				return err
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
			return invalid("metaDataType should be Valid data type")
		}
	}
	return nil
}

func isJSONNumber(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
