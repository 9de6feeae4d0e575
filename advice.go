package sdk

import (
	"errors"
	"fmt"
	"strings"
)

// advice says what to do about e, or "". Messages are the JavaScript SDK's and stay as they are
// (protocol.md 1.6, 1.7): what a Go program can do about them is told after them.
func (e *Error) advice() string {
	switch {
	case e.is(ErrNotRegistered):
		return "call Connect first, Register alone does not log in"
	case e.is(ErrInvalidCredentials) && e.Op == "GenerateQRCode":
		return "the phone has refused the login, or what it sent is not valid: call GenerateQRCode again"
	case e.is(ErrInvalidCredentials):
		return "Connect wants Username and Password as Register has answered them, with the same LicenseKey " +
			"and TrialLicense"
	case e.is(ErrAlreadyLoggedIn):
		return "call Logout first; another account needs a Client of its own"
	case e.is(ErrMaxSessions):
		return "log another device out, or leave ForceRegister at true"
	case e.is(ErrFeatureUnavailable):
		return "Features tells what the plan has"
	case e.is(ErrUserNotFound):
		return "give the user id or JID that Register has answered"
	case e.is(ErrRateLimited) && e.RetryAfter > 0:
		return fmt.Sprintf("wait %v", e.RetryAfter)
	case e.is(ErrQRExpired):
		return "call GenerateQRCode again"
	case e.is(ErrClosed) && e.Message == errClosed.Message:
		return "make another one with New"
	case e.is(ErrReplaced):
		return "the client does not reconnect: Connect would end the other session in turn"
	case errors.Is(e.Err, errEnded):
		return "the client does not reconnect: call Connect"
	case e.is(ErrNotConnected) && e.Err == nil:
		return "the client reconnects by itself, and WaitConnected waits for it"
	case e.is(ErrInvalidLicense):
		return "check Config.LicenseKey in the console of the service, character by character, and that " +
			"Config.APIBaseURL belongs to the same account"
	case e.is(ErrLicenseMode):
		return "Config.TrialLicense must be true for a trial licence key, and false for any other"
	case e.is(ErrInvalidArgument):
		return e.adviceOnArgument()
	case e.is(ErrNetwork):
		return e.adviceOnNetwork()
	case e.isWrongPath():
		return adviceOnPath
	}
	return ""
}

// adviceOnArgument says what an argument must look like, where the JavaScript SDK's text does not.
func (e *Error) adviceOnArgument() string {
	const bareJID = "a bare JID is wanted, such as alice@xmpp.example.com"
	switch {
	case e.Argument == "Email":
		return "before the @ it has letters, digits and _-!#$%&+, with single dots between them; after it one name " +
			"of letters, digits and -, then one or more endings of 2 to 6 letters, as in ann@example.co.uk: " +
			"the JavaScript SDK permits nothing else"
	case !strings.HasSuffix(e.Message, textFormat):
	case e.Op == "GetLastSeen", e.Op == "BlockUser", e.Op == "UnblockUser", e.Op == "GetJID":
		return "a user id such as alice, or " + bareJID
	case e.Op == "ReportUserOrGroup":
		return bareJID + ", or of a group for ChatTypeGroup"
	default:
		return bareJID + ", which GetJID makes of a user id"
	}
	return ""
}
