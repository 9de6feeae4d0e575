package sdktest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

const (
	invalidKey         = "Invalid License key"
	invalidCredentials = "Invalid Credentials"
	// maxSessionsText is compared by clients, word for word (protocol.md 3).
	maxSessionsText = "You have reached maximum sessions allowed."

	// passwordWindow is how far currentTimestamp may be off. Clients add their
	// zone offset to it (protocol.md 4.2), which is 14 hours at most.
	passwordWindow = 15 * time.Hour
)

// inIdentifier are the characters of a user identifier.
const inIdentifier = "abcdefghijklmnopqrstuvwxyz0123456789-_"

var errStale = errors.New("currentTimestamp is too far from the server's clock")

// lookup is the licence lookup (protocol.md 1.3).
func (s *Server) lookup(c *call) reply {
	key := seal.LO(c.req.URL.Query().Get("licenseKey"), seal.LicenseKeyString)
	if key != s.opts.LicenseKey {
		return refuse(http.StatusBadRequest, invalidKey)
	}
	return ok(map[string]any{"apiBaseUrl": "https://" + c.req.Host + apiRoot, "trialMode": s.opts.Trial})
}

// registerBody is the body of both register calls (protocol.md 3).
type registerBody struct {
	DeviceType     string         `json:"deviceType"`
	DeviceID       string         `json:"deviceId"`
	MobileNumber   string         `json:"mobileNumber"`
	UserIdentifier string         `json:"userIdentifier"`
	LicenseKey     string         `json:"licenseKey"`
	ForceRegister  bool           `json:"forceRegister"`
	MetaData       map[string]any `json:"metaData"`
}

func (s *Server) registerTrial(c *call) reply {
	if !s.opts.Trial {
		return refuse(http.StatusBadRequest, "This license key is not a trial license key")
	}
	var b registerBody
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	return s.register(c.req.Context(), c.req.Host, b)
}

func (s *Server) registerLicensed(c *call) reply {
	if s.opts.Trial {
		return refuse(http.StatusBadRequest, "This license key is a trial license key")
	}
	var sealed struct {
		RegisterData string `json:"registerData"`
	}
	if err := c.decode(&sealed); err != nil {
		return badBody(err)
	}
	plain, err := seal.OpenStrict(sealed.RegisterData, seal.Triple(s.opts.LicenseKey), seal.ConstIV)
	if err != nil {
		return refuse(http.StatusBadRequest, invalidKey)
	}
	var b registerBody
	if err := json.Unmarshal([]byte(plain), &b); err != nil {
		return badBody(err)
	}
	return s.register(c.req.Context(), c.req.Host, b)
}

func (b registerBody) validate(key string) (reply, bool) {
	switch {
	case b.LicenseKey != key:
		return refuse(http.StatusBadRequest, invalidKey), false
	case b.UserIdentifier == "" || len(b.UserIdentifier) > maxIdentifier ||
		strings.Trim(b.UserIdentifier, inIdentifier) != "":
		return refuse(http.StatusBadRequest, "userIdentifier is not valid or required"), false
	case b.DeviceType == "" || b.DeviceID == "":
		return refuse(http.StatusBadRequest, "deviceType and deviceId are required"), false
	case len(b.MetaData) > maxMetadata:
		return refuse(http.StatusBadRequest, "metaData has more than three entries"), false
	}
	for _, v := range b.MetaData {
		switch v := v.(type) {
		case float64, bool:
		case string:
			if len(v) > 1024 {
				return refuse(http.StatusBadRequest, "metaData is too long"), false
			}
		default:
			return refuse(http.StatusBadRequest, "metaDataType should be Valid data type"), false
		}
	}
	return reply{}, true
}

// register answers with addresses at host, at which the client has reached the service.
func (s *Server) register(ctx context.Context, host string, b registerBody) reply {
	if r, valid := b.validate(s.opts.LicenseKey); !valid {
		return r
	}
	id := b.UserIdentifier
	if a, exists := s.store.view(id); exists && a.AdminBlocked {
		return refuse(http.StatusForbidden, "User is blocked by admin")
	}
	reg, err := s.store.register(id, b.ForceRegister, b.MetaData, s.ctl.sessionLimit())
	switch {
	case errors.Is(err, errMaxSessions):
		return refuse(http.StatusMethodNotAllowed, maxSessionsText)
	case err != nil:
		return refuse(http.StatusServiceUnavailable, "Too many users")
	}
	if s.external != nil {
		if err := s.external.register(ctx, id, reg.password); err != nil {
			return refuse(http.StatusInternalServerError, err.Error())
		}
	}
	if reg.remainingOnlineMax >= 0 {
		s.hub.keepNewest(id, reg.remainingOnlineMax)
	}
	out, err := json.Marshal(map[string]any{
		"username": id, "password": reg.password, "token": reg.token, "isExisting": reg.existing,
		"isProfileUpdated": reg.updated, "config": s.serviceConfig(host),
	})
	if err != nil {
		return internalError()
	}
	// protocol.md 3: a string in both modes; the JavaScript SDK cannot read an object.
	return ok(seal.Seal(string(out), seal.Triple(s.opts.LicenseKey), seal.ConstIV))
}

// serviceConfig is the config of register and users/config (protocol.md 3). The client
// has sent its request to host, so that the port of host leads here: the real port for a
// client that dials directly, none (443) for a browser or proxy that maps names.
func (s *Server) serviceConfig(host string) map[string]any {
	chat, profile := s.store.ivs()
	portWeb, portTCP := cmp.Or(port(host), "443"), port(s.addresses().xmpp)
	if s.external != nil {
		portWeb, portTCP = s.external.ports()
	}
	out := map[string]any{}
	for name, on := range s.ctl.featureFlags() {
		out[name] = on
	}
	for name, v := range map[string]any{
		"xmppHost": s.domain, "xmppPortWeb": portWeb,
		"xmppDomain": s.domain, "xmppPort": portTCP,
		"domain": s.domain, "iv": chat, "ivProfile": profile,
		"signalServerDomain": "https://" + host, "callRoutingServer": "", "stuns": []string{}, "turns": []any{},
		"callReconnectionTimeOut": 60, "fileSizeLimit": maxMedia >> 20,
	} {
		out[name] = v
	}
	return out
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return p
}

// usersConfig is sealed with the user's own id (protocol.md 4.1).
func (s *Server) usersConfig(c *call) reply {
	raw, err := json.Marshal(s.serviceConfig(c.req.Host))
	if err != nil {
		return internalError()
	}
	return ok(seal.Seal(string(raw), seal.Triple(c.user), seal.ConstIV))
}

func (s *Server) login(c *call) reply {
	var b struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Type     string `json:"type"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	b.Username = strings.ToLower(b.Username)
	if b.Type == "" {
		return refuse(http.StatusBadRequest, "type is not valid or required")
	}
	if err := s.checkWirePassword(b.Username, b.Password); errors.Is(err, errStale) {
		return refuse(http.StatusBadRequest, err.Error())
	} else if err != nil {
		return refuse(http.StatusBadRequest, invalidCredentials)
	}
	if a, _ := s.store.view(b.Username); a.AdminBlocked {
		return refuse(http.StatusForbidden, "User is blocked by admin")
	}
	token := s.store.login(b.Username)
	if token == "" { // deleted meanwhile
		return refuse(http.StatusBadRequest, invalidCredentials)
	}
	return ok(map[string]any{"token": token})
}

// checkWirePassword checks the password in a login or in SASL PLAIN (protocol.md 4.2).
func (s *Server) checkWirePassword(id, wire string) error {
	password := wire
	if !s.opts.Trial {
		plain, err := seal.OpenStrict(wire, seal.Triple(s.opts.LicenseKey), seal.ConstIV)
		if err != nil {
			return errNoUser
		}
		var p struct {
			Password         string `json:"password"`
			CurrentTimestamp int64  `json:"currentTimestamp"`
		}
		if err := json.Unmarshal([]byte(plain), &p); err != nil {
			return errNoUser
		}
		if off := s.now().Sub(time.UnixMilli(p.CurrentTimestamp)).Abs(); off > passwordWindow {
			return fmt.Errorf("%w: by %s", errStale, off.Round(time.Minute))
		}
		password = p.Password
	}
	if !s.store.checkPassword(id, password) {
		return errNoUser
	}
	return nil
}

func (s *Server) logout(c *call) reply {
	s.store.logout(c.token)
	return ok(nil)
}

// deleteMyAccount is protocol.md 5.9.
func (s *Server) deleteMyAccount(c *call) reply {
	var b struct {
		Reason   string `json:"reason"`
		Feedback string `json:"feedback"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	if b.Reason == "" {
		return refuse(http.StatusBadRequest, "reason is not valid or required")
	}
	return s.deleteAccount(c.req.Context(), c.user, b.Reason, b.Feedback)
}

// deleteAccount removes an account, tells everybody and ends its sessions (protocol.md 6.4).
func (s *Server) deleteAccount(ctx context.Context, user, reason, feedback string) reply {
	if s.external != nil {
		if err := s.external.unregister(ctx, user); err != nil {
			return refuse(http.StatusInternalServerError, err.Error())
		}
	}
	// This comes before the contacts are forgotten.
	audience := s.hub.audience(user)
	if !s.store.remove(user, reason, feedback) {
		return refuse(http.StatusBadRequest, "User not found")
	}
	if s.commit() != nil { // before anybody is told
		return internalError()
	}
	s.media.drop(func(u *upload) bool { return u.Owner == user })
	s.signal.forgetUser(user)
	s.hub.announce(audience, el("", "user_deleted", "user", s.jid(user)))
	s.hub.expel(user, "conflict", "User removed")
	return ok(nil)
}

// opened is a request body with its sealed parts opened, for Requests.
func (s *Server) opened(body []byte) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil {
		return string(body)
	}
	key := seal.Triple(s.opts.LicenseKey)
	if sealed, found := m["registerData"]; found {
		var text string
		if json.Unmarshal(sealed, &text) == nil {
			return seal.Open(text, key, seal.ConstIV)
		}
	}
	var wire string
	if json.Unmarshal(m["password"], &wire) == nil && !s.opts.Trial {
		if plain, err := seal.OpenStrict(wire, key, seal.ConstIV); err == nil && json.Valid([]byte(plain)) {
			return strings.Replace(string(body), string(m["password"]), plain, 1)
		}
	}
	return string(body)
}
