package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// secretNames are the JSON members and query parameters whose values let
// somebody in. data, where it is a string, is sealed with the licence key or a
// pre-signed URL; socketId and id are QR logins'.
var secretNames = []string{"password", "token", "licensekey", "registerdata", "sig", "socketid", "socket_id", "uploadurls", "commiturl"}

// redactJSON is a REST body without what is secret in it.
func redactJSON(body string) string {
	if body == "" {
		return ""
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return fmt.Sprintf("(%d bytes that are no JSON)", len(body))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(redactValue(v)); err != nil { // it was decoded from JSON
		return hiddenText
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func redactValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			_, text := inner.(string)
			if secret(name) || (text && strings.EqualFold(name, "data") && sealed.MatchString(inner.(string))) {
				v[name] = hiddenText
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

func secret(name string) bool { return slices.Contains(secretNames, strings.ToLower(name)) }

// sealed is base64, or a URL: what data is in the answers that have it as a string.
var sealed = regexp.MustCompile(`^([A-Za-z0-9+/=\s]+|https?:.*)$`)

// redactQuery is a query without what is secret in it, unescaped for reading.
func redactQuery(raw string) string {
	var out []string
	for _, pair := range strings.Split(raw, "&") {
		name, value, found := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		switch plain, err := url.QueryUnescape(value); {
		case secret(name):
			value = hiddenText
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

// redactXML is an element as it goes over the wire, without what is secret in
// it: all that SASL carries, and the ids of QR logins.
func redactXML(raw string) string {
	if !strings.Contains(raw, nsSASL) && !strings.Contains(raw, "socket_id") {
		return raw
	}
	return rewritten(raw, (*element).redact)
}

// redactLogin is what a client sends before it is logged in, of whatever kind: only the markup.
func redactLogin(raw string) string { return rewritten(raw, (*element).hide) }

func rewritten(raw string, change func(*element)) string {
	e, err := parseElement([]byte(raw))
	if err != nil {
		return fmt.Sprintf("(%d bytes that are no XML)", len(raw))
	}
	change(e)
	return e.String()
}

func (e *element) redact() {
	for i, a := range e.attrs {
		if secret(a.Name.Local) {
			e.attrs[i].Value = hiddenText
		}
	}
	if e.name.Space == nsSASL && slices.Contains([]string{"auth", "challenge", "response", "success"}, e.name.Local) {
		e.hide()
		return
	}
	for _, c := range e.children() {
		c.redact()
	}
}

// hide takes the text away, inside the children too.
func (e *element) hide() {
	for i, n := range e.nodes {
		if n.el != nil {
			n.el.hide()
		} else {
			e.nodes[i].text = hiddenText
		}
	}
}
