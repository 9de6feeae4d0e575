package sdk

import (
	"errors"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Outcome says what became of a call that failed. Whether to make it again is told by
// [Error.Retryable].
type Outcome int

// The outcomes. A call of several requests, such as SetUserProfile with a file, tells that of the
// one that failed.
const (
	// OutcomeUnknown: it was sent, and nobody knows whether it took effect. The answer did not
	// come, or told of a breakdown (5xx).
	OutcomeUnknown Outcome = iota
	// OutcomeNotSent: nothing was sent, nor will be.
	OutcomeNotSent
	// OutcomeRefused: the service answered no. It took no effect, and will not unless something
	// changes.
	OutcomeRefused
)

// String returns "unknown", "not sent" or "refused".
func (o Outcome) String() string {
	switch o {
	case OutcomeNotSent:
		return "not sent"
	case OutcomeRefused:
		return "refused"
	}
	return "unknown"
}

// Retryable reports whether the same call may be made again later, by code that knows nothing of
// the call: nothing is known to have happened, and nothing in the call needs mending.
//
// Of calls that were not sent it is true while the client reconnects, or the service cannot be
// reached; it is false for a bad argument, a feature that the plan lacks, a client that was closed,
// is not logged in or does not reconnect any more, and when the call's own context has ended. Of
// refusals it is true for those that pass: 429, and conditions of type wait (RFC 6120 8.3.2). When
// the outcome is not known it is true for calls that do no harm twice: Connect, Logout,
// GenerateQRCode, GetUserProfile, SetUserProfile, GetLastSeen, BlockUser, UnblockUser,
// GetUsersIBlocked, GetUsersWhoBlockedMe, GetChatMessages, ChatMessages, GetMessageByID,
// GetRecentChats, RecentChats, GetFriendsList, GetUsersList, UsersList, SendSeenStatus,
// SendTypingStatus, SendTypingGoneStatus and DeleteMessagesForEveryone.
//
// Then it is also true for DownloadMedia and OpenMedia, when the network has failed.
//
// It is false for DownloadMedia once its writer holds a part of the file, unless that is a
// MediaDownload, which goes on from there, and for a Read of what OpenMedia returns. A Reader that
// has been read must be given anew, or put back to where it stood. Wait for RetryAfter, or for a
// while that grows.
func (e *Error) Retryable() bool {
	switch {
	case e.spent || e.StatusCode == statusCancelled || errors.Is(e.Err, errEnded) || !passes(e.kind):
		return false
	case e.Outcome == OutcomeNotSent:
		return e.kind != nil
	case e.Outcome == OutcomeRefused:
		var s *xmpp.StanzaError
		return e.is(ErrRateLimited) || e.is(ErrNetwork) || errors.As(e.Err, &s) && s.Type == "wait"
	}
	return harmlessTwice[e.Op] || fetchesMedia[e.Op] && e.is(ErrNetwork)
}

// fetchesMedia are the calls that fetch a file. One that is damaged is so the next time, too.
var fetchesMedia = map[string]bool{"DownloadMedia": true, opOpenMedia: true}

// harmlessTwice are the calls that may be made again when nobody knows what became of them: they
// only read, or set something to what they say.
var harmlessTwice = map[string]bool{
	"Connect": true, "Logout": true, "GenerateQRCode": true,
	"GetUserProfile": true, "SetUserProfile": true, "GetLastSeen": true,
	"BlockUser": true, "UnblockUser": true, "GetUsersIBlocked": true, "GetUsersWhoBlockedMe": true,
	"GetChatMessages": true, "ChatMessages": true, "GetMessageByID": true,
	"GetRecentChats": true, "RecentChats": true,
	"GetFriendsList": true, "GetUsersList": true, "UsersList": true,
	"SendSeenStatus": true, "SendTypingStatus": true, "SendTypingGoneStatus": true,
	"DeleteMessagesForEveryone": true,
}

// passes reports whether all that kind stands for may be over later. What stands for nothing may.
func passes(kind error) bool {
	switch kind {
	case nil, ErrNotConnected, ErrNetwork, ErrRateLimited, ErrNotService, ErrCertificate, ErrProxy, ErrClock:
		return true
	}
	joined, ok := kind.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, k := range joined.Unwrap() {
		if !passes(k) {
			return false
		}
	}
	return true
}

// outcomeOf reads the outcome off what a method ran into: off the first error in it that knows.
// What that one wraps is its cause, which may be an error of another call: of the context's cause,
// or of the caller's reader.
func outcomeOf(err error) Outcome {
	for err != nil {
		if unsent.Marked(err) {
			return OutcomeNotSent
		}
		switch e := err.(type) {
		case *xmpp.MessageRefused:
			return OutcomeRefused
		case *xmpp.StanzaError:
			return refusal(!e.Breakdown())
		case *xmpp.AuthError:
			return refusal(e.Err == nil)
		case *rest.Error:
			return refusal(e.Answered() && e.Status/100 == 4 && e.Status != http.StatusRequestTimeout)
		case *Error:
			return e.Outcome
		case interface{ Unwrap() []error }:
			return outcomeOfAll(e.Unwrap())
		}
		err = errors.Unwrap(err)
	}
	return OutcomeUnknown
}

// outcomeOfAll is that of errors that came together. One of which nobody knows leaves all open, and
// something was sent if it was for one of them.
func outcomeOfAll(errs []error) Outcome {
	all := OutcomeNotSent
	for _, err := range errs {
		switch outcomeOf(err) {
		case OutcomeUnknown:
			return OutcomeUnknown
		case OutcomeRefused:
			all = OutcomeRefused
		}
	}
	return all
}

func refusal(refused bool) Outcome {
	if refused {
		return OutcomeRefused
	}
	return OutcomeUnknown
}
