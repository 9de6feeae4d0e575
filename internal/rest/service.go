package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

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

type serviceWire struct {
	XMPPHost           text `json:"xmppHost"`
	XMPPPortWeb        text `json:"xmppPortWeb"`
	XMPPDomain         text `json:"xmppDomain"`
	XMPPPort           text `json:"xmppPort"`
	SignalServerDomain text `json:"signalServerDomain"`
	IV                 text `json:"iv"`
	IVProfile          text `json:"ivProfile"`
	features
}

// UnmarshalJSON reads the configuration; a field of the wrong type counts as absent.
func (s *Service) UnmarshalJSON(b []byte) error {
	var wire serviceWire
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	*s = Service{
		XMPPHost: string(wire.XMPPHost), XMPPPortWeb: string(wire.XMPPPortWeb),
		XMPPDomain: string(wire.XMPPDomain), XMPPPort: string(wire.XMPPPort),
		SignalServer: string(wire.SignalServerDomain),
		IV:           string(wire.IV), IVProfile: string(wire.IVProfile),
		Features: wire.told(),
	}
	return nil
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

// features are the flags on the wire, all true at first.
type features struct {
	GroupChat          feature `json:"groupChat"`
	Attachment         feature `json:"attachment"`
	ImageAttachment    feature `json:"imageAttachment"`
	VideoAttachment    feature `json:"videoAttachment"`
	AudioAttachment    feature `json:"audioAttachment"`
	DocumentAttachment feature `json:"documentAttachment"`
	ContactAttachment  feature `json:"contactAttachment"`
	LocationAttachment feature `json:"locationAttachment"`
	One2OneCall        feature `json:"one2oneCall"`
	GroupCall          feature `json:"groupCall"`
	RecentChatSearch   feature `json:"recentchatSearch"`
	StarMessage        feature `json:"starMessage"`
	ClearChat          feature `json:"clearChat"`
	DeleteChat         feature `json:"deleteChat"`
	Translation        feature `json:"translation"`
	Block              feature `json:"block"`
	Report             feature `json:"report"`
	DeleteMessage      feature `json:"deleteMessage"`
	ViewAllMedias      feature `json:"viewAllMedias"`
}

// feature is true unless the service says otherwise.
type feature struct{ off bool }

func (f *feature) UnmarshalJSON(b []byte) error {
	var on flag
	err := on.UnmarshalJSON(b)
	f.off = !bool(on) && string(b) != "null"
	return err
}

func (f *features) told() Features {
	return Features{
		GroupChat:          !f.GroupChat.off,
		Attachment:         !f.Attachment.off,
		ImageAttachment:    !f.ImageAttachment.off,
		VideoAttachment:    !f.VideoAttachment.off,
		AudioAttachment:    !f.AudioAttachment.off,
		DocumentAttachment: !f.DocumentAttachment.off,
		ContactAttachment:  !f.ContactAttachment.off,
		LocationAttachment: !f.LocationAttachment.off,
		One2OneCall:        !f.One2OneCall.off,
		GroupCall:          !f.GroupCall.off,
		RecentChatSearch:   !f.RecentChatSearch.off,
		StarMessage:        !f.StarMessage.off,
		ClearChat:          !f.ClearChat.off,
		DeleteChat:         !f.DeleteChat.off,
		Translation:        !f.Translation.off,
		Block:              !f.Block.off,
		Report:             !f.Report.off,
		DeleteMessage:      !f.DeleteMessage.off,
		ViewAllMedias:      !f.ViewAllMedias.off,
	}
}

// AllFeatures is what holds until the service has told its flags.
func AllFeatures() Features { return new(features).told() }

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
	if id := strings.ToLower(username); err != nil && id != username { // the service seals under the name that it knows
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
