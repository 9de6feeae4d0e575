package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// secretNames are the JSON members, query parameters and XML attributes with which somebody could
// log in, or read a file of others. socketId and socket_id belong to QR logins.
var secretNames = []string{
	"password", "token", "licensekey", "registerdata", "sig", "socketid", "socket_id", "uploadurls", "commiturl",
}

func secret(name string) bool { return slices.Contains(secretNames, strings.ToLower(name)) }

// redactJSON is a JSON text without what is secret in it.
func redactJSON(text string) string {
	if text == "" {
		return ""
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return fmt.Sprintf("(%d bytes that are no JSON)", len(text))
	}
	return encode(redactValue(v))
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // cannot happen: v was decoded from JSON
		return hidden
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func redactValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			text, isText := inner.(string)
			if secret(name) || isText && strings.EqualFold(name, "data") && sealed.MatchString(text) {
				v[name] = hidden
			} else {
				v[name] = redactValue(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = redactValue(v[i])
		}
	}
	return v
}

// sealed is base64, or a URL. An answer whose data is such a text has something secret there: a
// text that is sealed with the licence key, or a pre-signed URL.
var sealed = regexp.MustCompile(`^([A-Za-z0-9+/=\s]+|https?:.*)$`)

// redactEvent is a Socket.IO event of the server, of which only the name can be shown: the rest is
// the content of a QR code, or what the phone has answered.
func redactEvent(event string) string {
	var parts []json.RawMessage
	var name string
	if json.Unmarshal([]byte(event), &parts) != nil || len(parts) == 0 || json.Unmarshal(parts[0], &name) != nil {
		return hidden
	}
	return fmt.Sprintf("[%q, %q]", name, hidden)
}

// redactQuery is a query without what is secret in it, decoded for people to read.
func redactQuery(raw string) string {
	var out []string
	for _, pair := range strings.Split(raw, "&") {
		name, value, found := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		switch plain, err := url.QueryUnescape(value); {
		case secret(name):
			value = hidden
		case err == nil:
			value = plain
		}
		if found {
			name += "=" + value
		}
		out = append(out, name)
	}
	return strings.Join(out, "&")
}

const nsSASL = "urn:ietf:params:xml:ns:xmpp-sasl"

// redactXML is what was sent over XMPP without what is secret in it: the texts of SASL, and the ids
// of QR logins.
func redactXML(raw string) string {
	if !strings.Contains(raw, nsSASL) && !strings.Contains(raw, "socket_id") {
		return raw
	}
	return hideText(raw, func(name xml.Name) bool {
		return name.Space == nsSASL && slices.Contains([]string{"auth", "challenge", "response", "success"}, name.Local)
	})
}

// redactLogin is what a client sent before it was logged in, of which no text is shown.
func redactLogin(raw string) string { return hideText(raw, func(xml.Name) bool { return true }) }

// attribute is one in the source of a start tag.
var attribute = regexp.MustCompile(`([\w.:-]+)(\s*=\s*)("[^"]*"|'[^']*')`)

// hideText copies an XML element, without its secret attributes and without the text inside of the
// elements for which secretText is true.
func hideText(raw string, secretText func(xml.Name) bool) string {
	d := xml.NewDecoder(strings.NewReader(raw))
	var out strings.Builder
	// secretAt is the depth of the outermost element whose text is hidden; 0: there is none.
	depth, secretAt := 0, 0
	for {
		from := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			return fmt.Sprintf("(%d bytes that are no XML)", len(raw))
		}
		source := raw[from:d.InputOffset()]
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			if secretAt == 0 && secretText(token.Name) {
				secretAt = depth
			}
			out.WriteString(attribute.ReplaceAllStringFunc(source, redactAttribute))
		case xml.EndElement:
			if secretAt == depth {
				secretAt = 0
			}
			depth--
			out.WriteString(source)
		default: // text, and comments
			if secretAt > 0 {
				source = hidden
			}
			out.WriteString(source)
		}
	}
}

func redactAttribute(source string) string {
	parts := attribute.FindStringSubmatch(source)
	_, local, prefixed := strings.Cut(parts[1], ":")
	if !prefixed {
		local = parts[1]
	}
	if !secret(local) {
		return source
	}
	return parts[1] + parts[2] + `"` + hidden + `"`
}
