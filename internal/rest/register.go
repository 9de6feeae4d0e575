package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// maxSessions is the service's text for a user who has too many sessions (protocol.md 3).
const maxSessions = "You have reached maximum sessions allowed."

// Registration says whom to register.
type Registration struct {
	UserIdentifier string
	DeviceID       string
	// Force ends an old session when the limit is reached.
	Force bool
	// Metadata is sent as {} when it is nil.
	Metadata map[string]any
}

// Account is what registering returns: the credentials for Connect.
type Account struct {
	Username         string
	Password         string
	IsProfileUpdated bool
	Trial            bool
	Service          Service
}

type trialRegistration struct {
	DeviceType     string         `json:"deviceType"`
	DeviceID       string         `json:"deviceId"`
	MobileNumber   string         `json:"mobileNumber"`
	LicenseKey     string         `json:"licenseKey"`
	UserIdentifier string         `json:"userIdentifier"`
	ForceRegister  bool           `json:"forceRegister"`
	MetaData       map[string]any `json:"metaData"`
}

type licensedRegistration struct {
	DeviceType     string         `json:"deviceType"`
	DeviceID       string         `json:"deviceId"`
	UserIdentifier string         `json:"userIdentifier"`
	LicenseKey     string         `json:"licenseKey"`
	ForceRegister  bool           `json:"forceRegister"`
	MetaData       map[string]any `json:"metaData"`
}

// Register makes an account, or a new session of an existing one (protocol.md 3). Too many sessions
// are [KindMaxSessions]. The Client does not keep the account: [Client.Remember] does that.
func (c *Client) Register(ctx context.Context, reg Registration) (*Account, error) {
	s, err := c.locate(ctx)
	if err != nil {
		return nil, err
	}
	if reg.Metadata == nil {
		reg.Metadata = map[string]any{}
	}
	r, body, err := c.registration(s.trial, reg)
	if err != nil {
		return nil, err
	}
	var data json.RawMessage
	if err := c.post(ctx, r, body, &data); err != nil {
		if e := asError(err); e != nil {
			explainRegistration(e)
		}
		return nil, err
	}
	account, err := c.openAccount(data)
	if err != nil {
		return nil, err
	}
	account.Trial = s.trial
	return account, nil
}

// explainRegistration gives the service's refusal its kind, and the status of the JavaScript SDK. A
// 403 is for an account that the administrator has blocked. By the code of one of the service's
// clients it can also be for too many sessions: then its text says so.
func explainRegistration(e *Error) {
	switch {
	case e.Message == maxSessions:
		e.Status, e.kind, e.told = http.StatusMethodNotAllowed, KindMaxSessions, true
	case !e.Told():
	case e.Status == http.StatusMethodNotAllowed,
		e.Status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "session"):
		e.kind = KindMaxSessions
	case e.Status/100 == 4 && isAboutLicense(e.Message):
		e.kind = KindLicense
		if isAboutTrial(e.Message) {
			e.kind = KindLicenseMode
		}
	case e.Status == http.StatusForbidden:
		e.kind = KindBlocked
	}
}

// isAboutLicense tells by the service's text, since its codes have other meanings, too: what it
// says of a wrong key is not documented.
func isAboutLicense(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "license") || strings.Contains(text, "licence")
}

func isAboutTrial(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "trial") || strings.Contains(text, "sandbox")
}

func (c *Client) registration(trial bool, reg Registration) (*request, any, error) {
	const device = "web"
	if trial {
		return &request{op: "register", path: "/sandbox/register", bare: true}, trialRegistration{
			DeviceType: device, DeviceID: reg.DeviceID, MobileNumber: reg.UserIdentifier, LicenseKey: c.cfg.LicenseKey,
			UserIdentifier: reg.UserIdentifier, ForceRegister: reg.Force, MetaData: reg.Metadata,
		}, nil
	}
	text, err := seal.JSON(licensedRegistration{
		DeviceType: device, DeviceID: reg.DeviceID, UserIdentifier: reg.UserIdentifier,
		LicenseKey: c.cfg.LicenseKey, ForceRegister: reg.Force, MetaData: reg.Metadata,
	})
	if err != nil {
		return nil, nil, &Error{Status: http.StatusBadRequest, Message: "metaData cannot be written as JSON", Err: err}
	}
	sealed, err := c.sealed(text)
	return &request{op: "register", path: "/register"}, struct {
		RegisterData string `json:"registerData"`
	}{sealed}, err
}

// openAccount reads an account, which comes in three forms: a sealed string, a plain JSON string,
// and a JSON object.
func (c *Client) openAccount(data json.RawMessage) (*Account, error) {
	var account struct {
		Username         text            `json:"username"`
		Password         text            `json:"password"`
		IsProfileUpdated flag            `json:"isProfileUpdated"`
		Config           object[Service] `json:"config"`
	}
	account.Config.value.Features = AllFeatures()
	if err := c.openData(data, seal.Triple(c.cfg.LicenseKey), &account); err != nil {
		if e := asError(err); e != nil && isSealed(data) {
			e.kind = KindLicense // sealed it is, and not with our key
		}
		return nil, err
	}
	if account.Username == "" || account.Password == "" {
		return nil, unexpected("an account without user name or password")
	}
	return &Account{
		Username: string(account.Username), Password: string(account.Password),
		IsProfileUpdated: bool(account.IsProfileUpdated), Service: account.Config.value,
	}, nil
}

// maxData is how many bytes of JSON data that may be sealed can have. It is many times what the
// service sends.
const maxData = 256 << 10

func isSealed(data json.RawMessage) bool {
	return len(data) > len(`""`) && len(data) <= maxData && data[0] == '"'
}

// openData decodes data that may be sealed.
func (c *Client) openData(data json.RawMessage, keyString string, out any) error {
	var sealed string
	if json.Unmarshal(data, &sealed) == nil && sealed != "" {
		data = bytes.TrimPrefix([]byte(seal.Open(sealed, keyString, seal.ConstIV)), byteOrderMark)
	}
	if len(data) > maxData {
		return unexpected("data of %d bytes", len(data))
	}
	if len(data) == 0 || json.Unmarshal(data, out) != nil {
		return unexpected("data that cannot be opened")
	}
	return nil
}
