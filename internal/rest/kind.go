package rest

// Kind says what a failure is about, for callers that give it a sentinel of their own. Status and
// Message say the same in the JavaScript SDK's words, which several kinds share.
type Kind int

const (
	// KindOther is all that Status and Message say.
	KindOther Kind = iota
	// KindInsecure: something would not have been encrypted. Err wraps [ErrInsecure].
	KindInsecure
	// KindForeign: a file is at a URL that is not the service's own. Err wraps [ErrForeign].
	KindForeign
	// KindToken: there cannot be a file token like that.
	KindToken
	// KindSource: the caller's reader failed. Err wraps [ErrSource].
	KindSource
	// KindLoginOver: the request belongs to a login that has ended, see [ForLogin].
	KindLoginOver
	// KindClosed: the Client was closed.
	KindClosed
	// KindCancelled: the context was cancelled.
	KindCancelled
	// KindTimeout: the answer did not come in time.
	KindTimeout
	// KindNetwork: the service could not be reached, or the connection broke.
	KindNetwork
	// KindAway: the answer is not the service's, or says that the service is not there at the
	// moment (502, 503, 504; RFC 9110 15.6.3 to 15.6.5).
	KindAway
	// KindRateLimited: the service asks to wait, see RetryAfter.
	KindRateLimited
	// KindMaxSessions: [Client.Register] would be one session too many.
	KindMaxSessions
	// KindBlocked: [Client.Register] or [Client.Token] is refused because the administrator has
	// blocked the account.
	KindBlocked
	// KindLicense: the licence key is refused, or is not the one that the answer is sealed with.
	KindLicense
	// KindLicenseMode: [Client.Register] is refused because the key is, or is not, for trial mode.
	KindLicenseMode
	// KindInvalidCredentials: [Client.Token] is refused because of user name or password.
	KindInvalidCredentials
	// KindClock: [Client.Token] is refused while our clock is off, which says nothing about the
	// password, see [Error.ClockOff].
	KindClock
	// KindNoUser: [Client.Profile] is asked for a user who does not exist.
	KindNoUser
	// KindNoMessage: [Client.Message] is asked for a message that there is not.
	KindNoMessage
)

// Kind says what e is about. An error that tells another one in its own words is of its kind.
func (e *Error) Kind() Kind {
	inner, ok := e.Err.(*Error)
	switch {
	case e.kind != KindOther:
		return e.kind
	case ok:
		return inner.Kind()
	case e.Err == ErrSource:
		return KindSource
	}
	return KindOther
}
