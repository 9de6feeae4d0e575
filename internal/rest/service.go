package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Service is the part of the service's configuration that the profile API needs
// (protocol.md 3). A field the service did not send, or sent in the wrong type, is
// empty: apply only what is not.
type Service struct {
	// domain of the JIDs
	XMPPHost string
	// port of the WebSocket
	XMPPPortWeb string
	XMPPDomain  string
	// port of XMPP over TCP
	XMPPPort string
	// signalServerDomain
	SignalServer string
	// chat IV
	IV string
	// profile IV
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
	var flags map[string]*flag
	if err := json.Unmarshal(b, &flags); err != nil {
		return err
	}
	*s = Service{
		XMPPHost: string(wire.XMPPHost), XMPPPortWeb: string(wire.XMPPPortWeb),
		XMPPDomain: string(wire.XMPPDomain), XMPPPort: string(wire.XMPPPort),
		SignalServer: string(wire.SignalServerDomain),
		IV:           string(wire.IV), IVProfile: string(wire.IVProfile),
		Features: features(flags),
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
func AllFeatures() Features { return features(nil) }

// features starts with every flag true and overlays what the service told. told may hold more than
// flags; an entry that is nil was null on the wire, which says nothing. Names are compared without
// regard to case, as encoding/json does.
func features(told map[string]*flag) Features {
	var all Features
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		on := true
		for name, value := range told {
			if value != nil && strings.EqualFold(name, v.Type().Field(i).Name) {
				on = on && bool(*value)
			}
		}
		v.Field(i).SetBool(on)
	}
	return all
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
	// the service seals under the name that it knows
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
