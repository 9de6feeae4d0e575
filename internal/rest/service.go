package rest

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Service is the part of the service's configuration that the profile API needs
// (protocol.md 3). A field the service did not send, or sent in the wrong type, is
// empty: apply only what is not.
type Service struct {
	XMPPHost     string // domain of the JIDs
	XMPPPortWeb  string // port of the WebSocket
	XMPPDomain   string
	XMPPPort     string // port of XMPP over TCP
	SignalServer string // signalServerDomain
	IV           string // chat IV
	IVProfile    string // profile IV
	Features     Features
}

// UnmarshalJSON reads the configuration; a field of the wrong type counts as absent.
func (s *Service) UnmarshalJSON(b []byte) error {
	var wire struct {
		XMPPHost           text `json:"xmppHost"`
		XMPPPortWeb        text `json:"xmppPortWeb"`
		XMPPDomain         text `json:"xmppDomain"`
		XMPPPort           text `json:"xmppPort"`
		SignalServerDomain text `json:"signalServerDomain"`
		IV                 text `json:"iv"`
		IVProfile          text `json:"ivProfile"`
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	*s = Service{
		XMPPHost: string(wire.XMPPHost), XMPPPortWeb: string(wire.XMPPPortWeb),
		XMPPDomain: string(wire.XMPPDomain), XMPPPort: string(wire.XMPPPort),
		SignalServer: string(wire.SignalServerDomain),
		IV:           string(wire.IV), IVProfile: string(wire.IVProfile),
	}
	return json.Unmarshal(b, &s.Features)
}

// Features are the plan's flags. Each is true unless the service said otherwise.
type Features struct {
	GroupChat          bool
	Attachment         bool
	ImageAttachment    bool
	VideoAttachment    bool
	AudioAttachment    bool
	DocumentAttachment bool
	ContactAttachment  bool
	LocationAttachment bool
	One2OneCall        bool
	GroupCall          bool
	RecentChatSearch   bool
	StarMessage        bool
	ClearChat          bool
	DeleteChat         bool
	Translation        bool
	Block              bool
	Report             bool
	DeleteMessage      bool
	ViewAllMedias      bool
}

// AllFeatures is what holds until the service has told its flags.
func AllFeatures() Features {
	var f Features
	for _, p := range f.wire() {
		*p = true
	}
	return f
}

func (f *Features) wire() map[string]*bool {
	return map[string]*bool{
		"groupChat":          &f.GroupChat,
		"attachment":         &f.Attachment,
		"imageAttachment":    &f.ImageAttachment,
		"videoAttachment":    &f.VideoAttachment,
		"audioAttachment":    &f.AudioAttachment,
		"documentAttachment": &f.DocumentAttachment,
		"contactAttachment":  &f.ContactAttachment,
		"locationAttachment": &f.LocationAttachment,
		"one2oneCall":        &f.One2OneCall,
		"groupCall":          &f.GroupCall,
		"recentchatSearch":   &f.RecentChatSearch,
		"starMessage":        &f.StarMessage,
		"clearChat":          &f.ClearChat,
		"deleteChat":         &f.DeleteChat,
		"translation":        &f.Translation,
		"block":              &f.Block,
		"report":             &f.Report,
		"deleteMessage":      &f.DeleteMessage,
		"viewAllMedias":      &f.ViewAllMedias,
	}
}

// UnmarshalJSON reads the flags; an absent one is true.
func (f *Features) UnmarshalJSON(b []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	*f = AllFeatures()
	for name, p := range f.wire() {
		raw, told := fields[name]
		if !told || string(raw) == "null" {
			continue
		}
		var v flag
		if err := v.UnmarshalJSON(raw); err != nil {
			return err
		}
		*p = bool(v)
	}
	return nil
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
	if err := c.openData(data, seal.Triple(username), &s); err != nil {
		return nil, err
	}
	if s.value == (Service{}) {
		return nil, unexpected("no configuration")
	}
	return &s.value, nil
}
