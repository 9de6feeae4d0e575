package jssdk_test

import (
	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// What follows needs a service that can be told to be difficult: dave is a user without the plan's
// features, one with too many sessions, and one blocked by the administrator; erin and frank have
// QR logins that end otherwise than in a logout.

func report() []sdk.ReportedMessage {
	return []sdk.ReportedMessage{
		{MsgID: "m1", Message: "rude <&>", MsgType: "text", Timestamp: 1700000000000, PublisherID: "bob"},
	}
}

// plan: what it lacks is refused before the arguments are looked at (protocol.md 5.4, 5.10).
func plan(s *stage) {
	const unavailable = "Feature unavailable for your plan"
	lacks := append([]string{"block", "report"}, messageFeatures...)
	for _, feature := range lacks {
		s.svc.srv.SetFeature(feature, false)
	}
	s.call("dave", "initializeSDK", s.options(baseURL)).done()
	password := s.call("dave", "register", "dave").is(200, "Success")["data"].(object)["password"]
	s.call("dave", "connect", "dave", password).bare(200, "Login Success")
	s.await("dave", "connectionListener", `{"status": "CONNECTED"}`)
	s.meet("dave", "alice", "bob")
	s.call("dave", "blockUser", bob).bare(403, unavailable)
	s.call("dave", "unblockUser", "").bare(403, unavailable)
	s.call("dave", "reportUserOrGroup", "", "", report()).bare(403, unavailable)
	s.call("dave", "getUsersIBlocked").succeeds(`{"data": []}`)
	s.offTheRecord(func() { notInPlan(s) })
	for _, feature := range lacks {
		s.svc.srv.SetFeature(feature, true)
	}
}

// refusals: business errors as the service sends them, HTTP 200 with a status in the body
// (protocol.md 1.4, 5).
func refusals(s *stage) {
	srv := s.svc.srv
	srv.FailNext("contacts/vcard", 417, "boom")
	s.call("alice", "getUserProfile", "bob").bare(500, "boom")
	srv.FailNext("moderation/feedback", 417, "boom")
	s.call("alice", "sendFeedback", "title", "description").bare(417, "boom")
	srv.FailNext("moderation/report", 400, "boom")
	s.call("alice", "reportUserOrGroup", bob, "chat", report()).bare(400, "boom")
	srv.FailNext("users/deleteMyAccount", 405, "boom")
	s.call("alice", "deleteMyAccount", "reason", "").bare(405, "boom")
	srv.FailNext("logout", 417, "boom")
	s.call("alice", "logout").bare(500, "boom")
	srv.FailNext("media/", 417, "boom")
	s.call(
		"alice", "setUserProfile", "Alice", file{"a.png", "image/png", []byte("x")}, "", "", "alice@example.com",
	).bare(417, "Media Upload Failed")
	s.call("alice", "getUsersIBlocked").succeeds(`{"data": []}`) // still there

	s.offTheRecord(func() { serviceRefuses(s) })
	const why = "a status other than 2xx: the JavaScript SDK loses the envelope (protocol.md 1.4, 11)"
	srv.FailNext("moderation/feedback", 429, "slow down")
	srv.FailNext("moderation/feedback", 429, "slow down")
	srv.FailNext("moderation/feedback", 429, "slow down")
	s.offTheRecord(func() { // package sdk tries three times
		s.differs(why, "alice", "sendFeedback", `{"statusCode": 500, "message": "Request failed with status code 429"}`,
			`{"statusCode": 429, "message": "slow down"}`, "title", "description")
	})
}

func adminBlock(s *stage) {
	told := `{"type": "", "chatType": "chat", "toUserJid": "dave@` + host + `", "toUserId": "dave", "blockStatus": `
	// everybody is told: nothing of it may be on its way when what follows goes off the record
	s.svc.srv.BlockByAdmin("dave", true)
	for _, who := range []string{"alice", "bob", "dave"} {
		s.await(who, "adminBlockListener", told+`"1"}`)
	}
	data := s.call("alice", "getUserProfile", "dave").is(200, "Success")["data"].(object)
	require.Equal(s, true, data["isAdminBlocked"])
	s.await("alice", "userProfileListener", `{"fromUser": "dave", "isAdminBlocked": true}`)
	const why = "the JavaScript SDK loses the text of a 401 (protocol.md 1.4, 11)"
	s.offTheRecord(func() { // and tries once more with a header that makes no sense
		s.differs(why, "dave", "logout", `{"statusCode": 500, "message": "Request failed with status code 401"}`,
			`{"statusCode": 500, "message": "Token Expired"}`)
	})
	s.call("dave", "register", "dave").bare(403, "User is blocked by admin")
	s.svc.srv.BlockByAdmin("dave", false)
	for _, who := range []string{"alice", "bob", "dave"} {
		s.await(who, "adminBlockListener", told+`"0"}`)
	}
	s.call("dave", "logout").done()
	s.await("dave", "connectionListener", `{"status": "DISCONNECTED"}`)
	s.part("dave", "alice", "bob")
}

func maxSessions(s *stage) {
	s.svc.srv.SetMaxSessions(1)
	s.call("dave", "register", "dave", false).is(200, "Success")
	s.call("dave", "register", "dave", false).bare(405, "You have reached maximum sessions allowed.")
	s.svc.srv.SetMaxSessions(0)
}

// logoutLeavesNothing: dave has logged out in adminBlock, and registered since.
func logoutLeavesNothing(s *stage) {
	refused := `{"statusCode": 400, "message": "` + notRegistered + `"}`
	const why = "after a logout the JavaScript SDK keeps its flag and host (protocol.md 11)"
	s.differs(why, "dave", "getUsersIBlocked", `{"statusCode": 500, "message": "Connection Error"}`, refused)
	s.differs(
		why, "dave", "getCurrentUserJid", `{"statusCode": 200, "message": "Success", "userJid": "dave@`+host+`"}`,
		refused,
	)
}

// qrRefused: an old code is of no use, and the phone may say no (protocol.md 7.2).
func qrRefused(s *stage) {
	s.call("erin", "initializeSDK", s.options(baseURL)).done()
	old := s.parties["erin"].showQR(s.T, signalURL, "")
	s.svc.srv.ExpireQR()
	renewed := s.parties["erin"].showQR(s.T, signalURL, old)
	require.Error(s, s.svc.srv.Phone("erin").Scan(s.Context(), old))
	require.NoError(s, s.svc.srv.Phone("erin").Reject(s.Context(), renewed))
	s.await("erin", "qrCallback", `{"statusCode": 400, "message": "Invalid Credentials"}`)
}

// qrEndedByPhone is told in ways of their own: the JavaScript SDK calls two listeners and leaves
// the rest to the app.
func qrEndedByPhone(s *stage) {
	s.call("frank", "initializeSDK", s.options(baseURL)).done()
	s.svc.scan(s.T, "frank", s.parties["frank"].showQR(s.T, signalURL, ""))
	s.await("frank", "qrCallback", `{"statusCode": 200, "username": "frank"}`)
	s.await("frank", "connectionListener", `{"status": "CONNECTED"}`)
	s.meet("frank", "alice", "bob")
	s.call("frank", "getUsersIBlocked").succeeds(`{"data": []}`)
	s.offTheRecord(func() {
		defer s.part("frank", "alice", "bob")
		require.NoError(s, s.svc.srv.Phone("frank").LogoutWeb(s.Context()))
		if s.inGo("frank") {
			s.await("frank", "connectionListener", `{"status": "LOGOUT"}`)
			s.await("frank", "connectionListener", `{"status": "DISCONNECTED"}`)
			return
		}
		s.await("frank", "connectionListener", `null`)
		s.await("frank", "messageListener", `{"msgType": "logout"}`)
		s.call("frank", "logout").done()
		s.answers = s.answers[:len(s.answers)-1] // package sdk has done it
		s.await("frank", "connectionListener", `{"status": "DISCONNECTED"}`)
	})
}
