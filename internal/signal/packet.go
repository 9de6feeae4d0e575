package signal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Engine.IO packet types: the first character of a packet.
const (
	eioOpen    = '0'
	eioClose   = '1'
	eioPing    = '2'
	eioPong    = '3'
	eioMessage = '4'
	eioUpgrade = '5'
	// eioBinary is a binary packet in base64.
	eioBinary = 'b'
)

// Socket.IO packet types: the first character of an Engine.IO message.
const (
	sioConnect    = '0'
	sioDisconnect = '1'
	sioEvent      = '2'
	sioError      = '4'
)

const maxArgs = 16

// Bounds of the intervals in a server's open packet.
const (
	defaultPingInterval = 25 * time.Second
	defaultPingTimeout  = 20 * time.Second
	minPing             = 100 * time.Millisecond
	maxPing             = 10 * time.Minute
)

var errPacket = errors.New("malformed packet")

// handshake is the open packet, and the protocol in use.
type handshake struct {
	sid string
	// upgrade: the server supports an upgrade to WebSocket.
	upgrade      bool
	pingInterval time.Duration
	pingTimeout  time.Duration
	// protocol is Engine.IO 3 or 4.
	protocol int
}

// parseOpen reads the first packet of a connection. It replaces intervals that make no sense, since
// only our own timers depend on them.
func parseOpen(packet string) (handshake, error) {
	body, ok := strings.CutPrefix(packet, string(eioOpen))
	if !ok {
		return handshake{}, fmt.Errorf("%w: not an open packet", errPacket)
	}
	var open struct {
		SID      string   `json:"sid"`
		Upgrades []string `json:"upgrades"`
		// The intervals are in milliseconds.
		PingInterval float64 `json:"pingInterval"`
		PingTimeout  float64 `json:"pingTimeout"`
	}
	if err := json.Unmarshal([]byte(body), &open); err != nil || open.SID == "" || len(open.SID) > 256 {
		return handshake{}, fmt.Errorf("%w: open packet without a session", errPacket)
	}
	h := handshake{
		sid:          open.SID,
		pingInterval: milliseconds(open.PingInterval, defaultPingInterval),
		pingTimeout:  milliseconds(open.PingTimeout, defaultPingTimeout),
	}
	for _, name := range open.Upgrades {
		h.upgrade = h.upgrade || name == "websocket"
	}
	return h, nil
}

func milliseconds(ms float64, missing time.Duration) time.Duration {
	if ms <= 0 {
		return missing
	}
	// This comes first, so that the multiplication cannot overflow.
	ms = min(ms, float64(maxPing/time.Millisecond))
	return max(minPing, time.Duration(ms*float64(time.Millisecond)))
}

// message is a Socket.IO packet of the namespace "/".
type message struct {
	kind byte
	// data is JSON, or empty.
	data string
}

// parseMessage reads the part of an Engine.IO message packet after its type: type, namespace,
// acknowledgement id, JSON. ok is false for what we ignore: other namespaces, binary packets and
// garbage.
func parseMessage(s string) (m message, ok bool) {
	if s == "" || s[0] < '0' || s[0] > sioError {
		return message{}, false
	}
	m.kind, s = s[0], s[1:]
	if strings.HasPrefix(s, "/") {
		namespace, rest, _ := strings.Cut(s, ",")
		if namespace, _, _ = strings.Cut(namespace, "?"); namespace != "/" {
			return message{}, false
		}
		s = rest
	}
	if m.kind == sioEvent {
		// This is the id of an acknowledgement, which we do not send.
		s = strings.TrimLeft(s, "0123456789")
	}
	m.data = s
	return m, true
}

// parseEvent reads the JSON of an event: an array of the name and the arguments.
func parseEvent(data string) (Event, error) {
	dec := json.NewDecoder(strings.NewReader(data))
	if first, err := dec.Token(); err != nil || first != json.Delim('[') {
		return Event{}, fmt.Errorf("%w: event is not an array", errPacket)
	}
	var ev Event
	if err := dec.Decode(&ev.Name); err != nil || ev.Name == "" {
		return Event{}, fmt.Errorf("%w: event without a name", errPacket)
	}
	for dec.More() {
		// One by one, so that a frame full of commas does not become a list of its length.
		if len(ev.Args) == maxArgs {
			return Event{}, fmt.Errorf("%w: event of more than %d arguments", errPacket, maxArgs)
		}
		var arg json.RawMessage
		if err := dec.Decode(&arg); err != nil {
			return Event{}, fmt.Errorf("%w: event argument", errPacket)
		}
		ev.Args = append(ev.Args, arg)
	}
	if _, err := dec.Token(); err != nil {
		return Event{}, fmt.Errorf("%w: event does not end", errPacket)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Event{}, fmt.Errorf("%w: more than an event", errPacket)
	}
	return ev, nil
}

// encodeEvent is the whole Engine.IO packet of an event. As in JavaScript, it has no HTML escapes.
func encodeEvent(name string, args []any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(append([]any{name}, args...)); err != nil {
		return "", fmt.Errorf("signal: emit: %w", err)
	}
	return string(eioMessage) + string(sioEvent) + strings.TrimSuffix(buf.String(), "\n"), nil
}

// separator is between the packets of a payload in Engine.IO 4.
const separator = "\x1e"

// encodePayload is the body of a polling request. In Engine.IO 3 each packet comes after its length
// in UTF-16 code units and a colon.
func encodePayload(protocol int, packets []string) string {
	if protocol >= 4 {
		return strings.Join(packets, separator)
	}
	var b strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&b, "%d:%s", utf16Len(p), p)
	}
	return b.String()
}

// decodePayload is the reverse of encodePayload. It fails for an empty payload, too.
func decodePayload(protocol int, body string) ([]string, error) {
	if body == "" || !utf8.ValidString(body) {
		return nil, fmt.Errorf("%w: payload is empty or not UTF-8", errPacket)
	}
	if protocol >= 4 {
		return strings.Split(body, separator), nil
	}
	var packets []string
	for body != "" {
		digits, rest, ok := strings.Cut(body, ":")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil {
			return nil, fmt.Errorf("%w: payload length", errPacket)
		}
		end, ok := utf16Index(rest, int(n))
		if !ok {
			return nil, fmt.Errorf("%w: payload is cut", errPacket)
		}
		packets, body = append(packets, rest[:end]), rest[end:]
	}
	return packets, nil
}

// utf16Len is the length of s in JavaScript.
func utf16Len(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// utf16Index is where in s its first n UTF-16 code units end; false: not between two characters.
func utf16Index(s string, n int) (int, bool) {
	for i, r := range s {
		if n <= 0 {
			return i, n == 0
		}
		n -= utf16.RuneLen(r)
	}
	return len(s), n == 0
}
