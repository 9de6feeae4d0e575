package sdk

import (
	"context"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// GetCurrentUserJID returns the bare JID of the user who is logged in, as the server has bound it
// (protocol.md 5.7, RFC 6120 7.6.1): Connect("Alice") is alice@ where the server folds the case. It
// asks nobody and works while the connection is lost.
//
// Errors: 400 ErrNotRegistered; 500 ErrClosed.
func (c *Client) GetCurrentUserJID() (Result[string], error) {
	return run(context.Background(), c, "GetCurrentUserJID", success, func(context.Context) (string, error) {
		l, err := c.registered()
		if err != nil {
			return "", err
		}
		me := l.account()
		return me.bareJID(), nil
	})
}

// GetJID returns the bare JID of a user id, as SendTextMessage wants it: "bob" is
// bob@xmpp.example.com. A JID is returned as servers keep it, in lower case (RFC 7622 3). It asks
// nobody, also not whether there is such a user.
//
// Errors: 400 ErrNotRegistered before Connect, as the domain is not known; 400 ErrInvalidArgument
// for what cannot be a user id or a user's bare JID; 500 ErrClosed.
func (c *Client) GetJID(userID string) (Result[string], error) {
	return run(context.Background(), c, "GetJID", success, func(context.Context) (string, error) {
		l, err := c.registered()
		if err != nil {
			return "", err
		}
		me, a := l.account(), argument{"userID", "userId"}
		jid := me.named(userID)
		if err := validate(jidFormat(a, jid), required(a, userID)); err != nil {
			return "", err
		}
		return strings.ToLower(jid), nil
	})
}

// SendFeedback sends feedback about the service to those who run it (protocol.md 5.8). It is not
// repeated by itself once it may have arrived.
//
// Errors: 400 ErrInvalidArgument when title or description is empty or not UTF-8; 400
// ErrNotRegistered; the service's status and text; 599 ErrNetwork.
func (c *Client) SendFeedback(ctx context.Context, title, description string) (Result[None], error) {
	return run(ctx, c, "SendFeedback", success, func(ctx context.Context) (None, error) {
		if _, err := c.registered(); err != nil {
			return None{}, err
		}
		if err := validate(
			isUTF8("title", title), isUTF8("description", description),
			required(same("title"), title), required(same("description"), description),
		); err != nil {
			return None{}, err
		}
		return None{}, c.rest.Feedback(ctx, title, description)
	})
}

// DeleteMyAccount deletes the account that is logged in, for good (protocol.md 5.9). The session
// ends and nothing reconnects; other users are told by OnUserDeleted. feedback may be empty.
//
// By its documentation the service deletes profile, login, messages and their media, and takes the
// user out of all groups. Register with the same identifier then makes a new account.
//
// Errors: 400 ErrInvalidArgument when reason is empty, or a text is not UTF-8; 400
// ErrNotRegistered; the service's status and text; 599 ErrNetwork.
func (c *Client) DeleteMyAccount(ctx context.Context, reason, feedback string) (Result[None], error) {
	return run(ctx, c, "DeleteMyAccount", success, func(ctx context.Context) (None, error) {
		if _, err := c.registered(); err != nil {
			return None{}, err
		}
		err := validate(
			isUTF8("feedback", feedback), isUTF8("reason", reason), required(same("reason"), reason),
		)
		if err != nil {
			return None{}, err
		}
		return None{}, c.leave(ctx, func(ctx context.Context, _ *login) error {
			return c.rest.DeleteAccount(ctx, reason, feedback)
		})
	})
}

// ReportedMessage is one message of a report.
type ReportedMessage struct {
	MsgID       string `json:"msgId"`       // required
	Message     string `json:"message"`     // may be empty
	MsgType     string `json:"msgType"`     // as the message carries it, e.g. "text"; required
	Filename    string `json:"filename"`    // may be empty
	Timestamp   int64  `json:"timestamp"`   // as the message carries it, required
	PublisherID string `json:"publisherId"` // who wrote it; required
}

// ReportUserOrGroup reports a user (ChatTypeChat) or a group (ChatTypeGroup), with the messages
// that give the reason: at least one (protocol.md 5.10). It is not repeated by itself once it may
// have arrived.
//
// Errors: 403 ErrFeatureUnavailable, checked before the arguments; 400 ErrInvalidArgument; 400
// ErrNotRegistered; the service's status and text; 599 ErrNetwork.
func (c *Client) ReportUserOrGroup(
	ctx context.Context, jid string, chatType ChatType, messages []ReportedMessage,
) (Result[None], error) {
	return run(ctx, c, "ReportUserOrGroup", success, func(ctx context.Context) (None, error) {
		if err := c.gate(func(f Features) bool { return f.Report }); err != nil {
			return None{}, err
		}
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		if err := checkReport(jid, chatType, messages); err != nil {
			return None{}, err
		}
		data, err := seal.JSON(messages)
		if err != nil {
			return None{}, err
		}
		me := l.account()
		return None{}, c.rest.Report(ctx, me.id(), jid, string(chatType), data)
	})
}

func checkReport(jid string, chatType ChatType, messages []ReportedMessage) error {
	format := groupJIDFormat
	if chatType == ChatTypeChat {
		format = jidFormat
	}
	to := argument{"jid", "toUserJid"}
	err := validate(
		format(to, jid), required(to, jid), required(same("chatType"), string(chatType)),
	)
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		return invalid("messages", "Invalid data value.")
	}
	for _, m := range messages {
		if m.MsgID == "" || m.MsgType == "" || m.PublisherID == "" || m.Timestamp == 0 {
			return invalid("messages", "Invalid data value.")
		}
		err := validate(
			isUTF8("MsgID", m.MsgID), isUTF8("MsgType", m.MsgType), isUTF8("PublisherID", m.PublisherID),
			isUTF8("Filename", m.Filename), isUTF8("Message", m.Message),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// SetMediaEncryption says whether UploadMedia encrypts from now on (protocol.md 5.12, 8). It is off
// at the start. Profile pictures are never encrypted, and DownloadMedia goes by the file, not by
// this switch.
//
// Errors: 400 ErrNotRegistered; 500 ErrClosed.
func (c *Client) SetMediaEncryption(enabled bool) (Result[None], error) {
	return run(context.Background(), c, "SetMediaEncryption", success, func(context.Context) (None, error) {
		if _, err := c.registered(); err != nil {
			return None{}, err
		}
		c.encryptMedia.Store(enabled)
		return None{}, nil
	})
}
