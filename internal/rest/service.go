package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Service is the part of the service's configuration that the library needs (protocol.md 3). A
// field that the service did not send, or sent in the wrong type, is empty: use only fields that
// are not.
type Service struct {
	// XMPPHost is the domain of the JIDs.
	XMPPHost string
	// XMPPPortWeb is the port of the WebSocket.
	XMPPPortWeb string
	XMPPDomain  string
	// XMPPPort is the port of XMPP over TCP.
	XMPPPort string
	// SignalServer is signalServerDomain on the wire.
	SignalServer string
	// IV seals chats, and files in them.
	IV string
	// IVProfile seals profiles.
	IVProfile string
	Features  Features
}

type serviceWire struct {
	XMPPHost           text `json:"xmppHost"`
	XMPPPortWeb        text `json:"xmppPortWeb"`
	XMPPDomain         text `json:"xmppDomain"`
	XMPPPort           text `json:"xmppPort"`
	SignalServerDomain text `json:"signalServerDomain"`
	IV                 text `json:"iv"`
	IVProfile          text `json:"ivProfile"`
}

// UnmarshalJSON reads the configuration; a field of the wrong type counts as absent.
func (s *Service) UnmarshalJSON(b []byte) error {
	var wire serviceWire
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	refused := reflect.New(refusals)
	if err := json.Unmarshal(b, refused.Interface()); err != nil {
		return err
	}
	*s = Service{
		XMPPHost: string(wire.XMPPHost), XMPPPortWeb: string(wire.XMPPPortWeb),
		XMPPDomain: string(wire.XMPPDomain), XMPPPort: string(wire.XMPPPort),
		SignalServer: string(wire.SignalServerDomain),
		IV:           string(wire.IV), IVProfile: string(wire.IVProfile),
		Features: without(refused.Elem()),
	}
	return nil
}

// Features are the plan's flags. Each is true unless the service said otherwise. On the wire each
// has the name of its field, in camel case.
type Features struct {
	GroupChat, Attachment, ImageAttachment, VideoAttachment, AudioAttachment, DocumentAttachment,
	ContactAttachment, LocationAttachment, One2OneCall, GroupCall, RecentChatSearch, StarMessage,
	ClearChat, DeleteChat, Translation, Block, Report, DeleteMessage, ViewAllMedias bool
}

// AllFeatures is what holds until the service has told its flags.
func AllFeatures() Features { return without(reflect.Zero(refusals)) }

// refusal is a flag of the plan on the wire: true when the service has said that it is off, also
// when it has said both. encoding/json compares names without regard to case.
type refusal bool

// UnmarshalJSON never fails. null says nothing.
func (r *refusal) UnmarshalJSON(b []byte) error {
	var on flag
	if string(b) == "null" {
		return nil
	}
	err := on.UnmarshalJSON(b)
	*r = *r || !refusal(on)
	return err
}

// refusals is a struct with the fields of Features, each a refusal.
var refusals = func() reflect.Type {
	fields := reflect.VisibleFields(reflect.TypeFor[Features]())
	for i := range fields {
		fields[i].Type = reflect.TypeFor[refusal]()
	}
	return reflect.StructOf(fields)
}()

// without is every flag but those refused.
func without(refused reflect.Value) (f Features) {
	v := reflect.ValueOf(&f).Elem()
	for i := range v.NumField() {
		v.Field(i).SetBool(!refused.Field(i).Bool())
	}
	return f
}

// ServiceConfig asks for the configuration of username's service
// (GET /users/config, protocol.md 4.1).
func (c *Client) ServiceConfig(ctx context.Context, username string) (*Service, error) {
	var data json.RawMessage
	r := &request{op: "config", method: http.MethodGet, path: "/users/config", auth: true, idempotent: true}
	if err := c.json(ctx, r, &data); err != nil {
		return nil, err
	}
	var s object[Service]
	err := c.openData(data, seal.Triple(username), &s)
	// The service seals under the name that it knows, which is in lower case.
	if id := strings.ToLower(username); err != nil && id != username {
		err = c.openData(data, seal.Triple(id), &s)
	}
	if err != nil {
		return nil, err
	}
	if s.value == (Service{}) {
		return nil, unexpected("no configuration")
	}
	return &s.value, nil
}
