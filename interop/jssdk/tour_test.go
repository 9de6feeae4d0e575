package jssdk_test

import (
	"bytes"
	"image"
	"image/png"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

const (
	alice = "alice@" + host
	bob   = "bob@" + host
	carol = "carol@" + host

	notRegistered = "Not registered with MirrorFly SDK, Please call SDK.register() or SDK.connect() method before " +
		"call this function"
)

// tour is the whole Profile page for alice and bob, and carol by QR code. Each call must end as
// protocol.md says.
func tour(s *stage) {
	parts := []func(*stage){
		initialize, logIn, profiles, conversations, lastSeen, blocking, moderation, mediaEncryption, interruption,
		staleTokens,
	}
	if s.svc.srv != nil {
		parts = append(parts, plan, refusals, adminBlock, maxSessions, logoutLeavesNothing, qrRefused, qrEndedByPhone)
	}
	for _, part := range append(parts, qrLogin, goodbye) {
		for _, p := range s.parties {
			p.told().forget()
		}
		part(s)
	}
}

// options are those of initializeSDK. Without an address the licence lookup tells it, and the mode
// too (protocol.md 1.1, 1.3).
func (s *stage) options(address string) object {
	options := object{"licenseKey": license, "apiBaseUrl": address}
	if !s.svc.trial {
		options["isTrialLicenseKey"] = false
	}
	return options
}

func initialize(s *stage) {
	s.call("alice", "initializeSDK", object{"licenseKey": ""}).bare(400, "License key cannot be null or empty")
	s.call("alice", "initializeSDK", s.options(baseURL)).done()
	s.call("bob", "initializeSDK", object{"licenseKey": license}).done()
	s.call("alice", "getUserProfile", bob).bare(400, notRegistered)
	s.call("alice", "blockUser", bob).bare(400, notRegistered)
	s.call("alice", "getCurrentUserJid").bare(400, notRegistered)
	messagesTooEarly(s)
}

func logIn(s *stage) {
	const badIdentifier = "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and " +
		"underscores (_)."
	s.call("alice", "register", "").bare(400, "User identifier is empty, Please pass valid user identifier")
	s.call("alice", "register", "al ice").bare(400, "User identifier should not contain the whitespaces")
	s.call("alice", "register", "Alice").bare(400, badIdentifier)
	passwords := map[string]string{}
	for _, who := range []string{"alice", "bob"} {
		data := s.call(
			who, "register", who, true, object{"plan": "gold", "age": 7, "beta": true},
		).is(200, "Success")["data"].(object)
		passwords[who] = data["password"].(string)
		require.NotEmpty(s, passwords[who])
		delete(data, "password")
		require.Equal(
			s,
			object{"username": who, "userJid": who + "@" + host, "isSandbox": s.svc.trial, "isProfileUpdated": false},
			data,
		)
	}
	s.call("alice", "getUsersIBlocked").bare(400, notRegistered)
	messagesTooEarly(s)
	s.call("alice", "connect", "", "x").bare(400, "username is not valid or required")
	s.call("alice", "connect", "alice", "").bare(400, "password is not valid or required")
	s.call("alice", "connect", "alice", "wrong").bare(400, "Invalid Credentials")
	s.call("alice", "getUsersIBlocked").bare(400, notRegistered)
	for _, who := range []string{"alice", "bob"} {
		s.call(who, "connect", who, passwords[who]).bare(200, "Login Success")
		s.await(who, "connectionListener", `{"status": "CONNECTED"}`)
		s.call(who, "getCurrentUserJid").succeeds(`{"userJid": "` + who + "@" + host + `"}`)
	}
	s.meet("alice", "bob")
	s.call("bob", "getUsersIBlocked").succeeds(`{"data": []}`)
	s.call("alice", "connect", "alice", passwords["alice"]).bare(409, "Already Logged In")
}

func profiles(s *stage) {
	const picture = "https://example.com/bob.png"
	s.call("bob", "setUserProfile", "Bob", picture, "busy", "123", "bob").bare(400, "email is not valid or required")
	s.call("bob", "setUserProfile", "Bob", picture, "busy", "123", "").bare(400, "email is not valid or required")
	s.call("bob", "setUserProfile", "Böb <&>", picture, `"busy" & 'away'`, "+1 23", "bob@example.com").
		succeeds(`{"fileToken": "` + picture + `", "fileTokenThumb": "` + picture + `"}`)
	told := `{"fromUser": "bob", "userId": "bob", "nickName": "Böb <&>", "email": "bob@example.com", "mobileNumber": "+1 23",
		"status": "\"busy\" & 'away'", "image": "` + picture + `", "thumbImage": "` + picture + `"}`
	s.await("alice", "userProfileListener", told)
	s.await("bob", "userProfileListener", told)

	var small bytes.Buffer
	require.NoError(s, png.Encode(&small, image.NewGray(image.Rect(0, 0, 300, 200))))
	tokens := s.call(
		"alice", "setUserProfile", "Alice", file{"alice.png", "image/png", small.Bytes()}, "", "", "alice@example.com",
	).is(200, "Success")
	require.Len(s, tokens, 2)
	require.NotEmpty(s, tokens["fileToken"])
	require.NotEmpty(s, tokens["fileTokenThumb"])
	s.await(
		"bob", "userProfileListener",
		`{"fromUser": "alice", "nickName": "Alice", "image": "`+tokens["fileToken"].(string)+`"}`,
	)
	s.await("alice", "userProfileListener", `{"fromUser": "alice", "nickName": "Alice", "status": ""}`)

	for _, id := range []string{bob, "bob"} {
		data := s.call("alice", "getUserProfile", id).is(200, "Success")["data"]
		require.Equal(s, object{
			"userId": "bob", "userJid": bob, "fromUser": "bob", "nickName": "Böb <&>", "email": "bob@example.com",
			"mobileNumber": "+1 23",
			"status":       `"busy" & 'away'`, "image": picture, "thumbImage": picture, "isAdminBlocked": false,
		}, data)
		s.await("alice", "userProfileListener", `{"fromUser": "bob", "isAdminBlocked": false}`)
	}
	require.Equal(s, small.Bytes(), s.parties["bob"].picture(s.T, tokens["fileToken"].(string)))
	own := s.call("alice", "getUserProfile", "alice").is(200, "Success")["data"].(object)
	s.await("alice", "userProfileListener", `{"fromUser": "alice", "isAdminBlocked": false}`)
	require.Equal(s, tokens["fileToken"], own["image"])
	require.Equal(s, tokens["fileTokenThumb"], own["thumbImage"])
	s.call("alice", "getUserProfile", "nobody").bare(400, "User not available")
	s.call("alice", "getUserProfile", "").bare(400, "userId is not valid or required")
}

func lastSeen(s *stage) {
	s.call("alice", "getLastSeen", bob).succeeds(`{"data": {"fromUserJid": "` + bob + `", "seconds": 0}}`)
	s.call("alice", "getLastSeen", alice).is(200, "Success")
	s.call("alice", "getLastSeen", "nobody@"+host).bare(500, "Request Failed")
	// A bare id is taken by package sdk alone, see TestUsersAreNamedByID there.
	s.call("alice", "getLastSeen", "b ob").bare(400, "toUserJid format is invalid")
	s.call("alice", "getLastSeen", bob+"/phone").bare(400, "toUserJid format is invalid")
	s.call("alice", "getLastSeen", "").bare(400, "toUserJid is not valid or required")
}

func blocking(s *stage) {
	const mine = `{"blockedUserId": "bob", "msgType": "userBlockStatus", "type": `
	const others = `{"blockedUserId": "alice", "msgType": "userBlockStatus", "type": `
	for _, who := range []string{"alice", "bob"} {
		s.call(who, "getUsersIBlocked").succeeds(`{"data": []}`)
		s.call(who, "getUsersWhoBlockedMe").succeeds(`{"data": []}`)
	}
	s.call("alice", "blockUser", "").bare(400, "toUserJid is not valid or required")
	s.call("alice", "unblockUser", "bob@").bare(400, "toUserJid format is invalid")

	s.call("alice", "blockUser", bob).done()
	s.await("alice", "blockUserListener", mine+`"block_user"}`)
	s.await("bob", "presenceListener", `{"fromUserJid": "`+alice+`", "status": "unavailable"}`)
	s.await("bob", "messageListener", others+`"block_user"}`)
	s.call("alice", "getUsersIBlocked").succeeds(`{"data": [{"jid": "` + bob + `"}]}`)
	s.call("alice", "getUsersWhoBlockedMe").succeeds(`{"data": []}`)
	s.call("bob", "getUsersWhoBlockedMe").succeeds(`{"data": [{"jid": "` + alice + `"}]}`)
	s.call("bob", "getLastSeen", alice).bare(500, "Request Failed")
	s.call("alice", "getLastSeen", bob).bare(500, "Request Failed")

	s.call("alice", "unblockUser", bob).done()
	s.await("alice", "blockUserListener", mine+`"unblock_user"}`)
	s.await("bob", "messageListener", others+`"unblock_user"}`)
	s.await("bob", "presenceListener", `{"fromUserJid": "`+alice+`", "status": "online"}`)
	for _, who := range []string{"alice", "bob"} {
		s.call(who, "getUsersIBlocked").succeeds(`{"data": []}`)
		s.call(who, "getUsersWhoBlockedMe").succeeds(`{"data": []}`)
	}
}

func moderation(s *stage) {
	s.call("alice", "reportUserOrGroup", bob, "chat", report()).done()
	s.call("alice", "reportUserOrGroup", "room@mix."+host, "groupchat", append(report(), report()...)).done()
	s.call("alice", "reportUserOrGroup", bob, "groupchat", report()).bare(400, "toUserJid format is invalid")
	s.call("alice", "reportUserOrGroup", bob, "", report()).bare(400, "chatType is not valid or required")
	s.call("alice", "reportUserOrGroup", bob, "chat", []sdk.ReportedMessage{}).bare(400, "Invalid data value.")
	s.call("alice", "sendFeedback", "title", "description \"<&>\" ünï").done()
	s.call("alice", "sendFeedback", "", "description").bare(400, "title is not valid or required")
	s.call("alice", "sendFeedback", "", "").bare(400, "description is not valid or required")
}

func mediaEncryption(s *stage) {
	s.call("alice", "setMediaEncryption", true).done()
	s.call("alice", "setMediaEncryption", false).done()
}

// interruption: a cut is mended without the caller (protocol.md 4.6).
func interruption(s *stage) {
	s.offTheRecord(func() {
		s.svc.cut(s.T)
		for _, who := range []string{"alice", "bob"} {
			s.await(who, "connectionListener", `{"status": "DISCONNECTED"}`)
			s.await(who, "connectionListener", `{"status": "CONNECTED"}`)
			s.call(who, "getUsersIBlocked").succeeds(`{"data": []}`)
		}
		s.svc.settle(s.T, "alice", "bob")
		// Whatever was on its way to them comes before what this leads to.
		s.call("alice", "setUserProfile", "Back", "", "", "", "alice@example.com").is(200, "Success")
		for _, who := range []string{"alice", "bob"} {
			s.await(who, "userProfileListener", `{"fromUser": "alice", "nickName": "Back"}`)
		}
	})
}

// staleTokens are renewed without the caller (protocol.md 1.4).
func staleTokens(s *stage) {
	s.svc.expire(s.T)
	s.call("alice", "getUserProfile", "bob").is(200, "Success")
	s.await("alice", "userProfileListener", `{"fromUser": "bob"}`)
	s.call("bob", "sendFeedback", "title", "description").done()
}

func qrLogin(s *stage) {
	s.call("carol", "initializeSDK", s.options(baseURL)).done()
	text := s.parties["carol"].showQR(s.T, signalURL, "")
	s.svc.scan(s.T, "carol", text)
	s.await("carol", "qrCallback", `{"statusCode": 200, "message": "Login Success", "username": "carol"}`)
	s.await("carol", "connectionListener", `{"status": "CONNECTED"}`)
	s.meet("carol", "alice", "bob")
	s.call("carol", "getCurrentUserJid").succeeds(`{"userJid": "` + carol + `"}`)
	s.call("carol", "blockUser", bob).done()
	s.call("carol", "logout").done()
	s.await("carol", "connectionListener", `{"status": "DISCONNECTED"}`)
	s.part("carol", "alice", "bob")
}

func goodbye(s *stage) {
	s.call("alice", "logout").done()
	s.await("alice", "connectionListener", `{"status": "DISCONNECTED"}`)
	s.part("alice", "bob")
	data := s.call("alice", "register", "alice").is(200, "Success")["data"].(object)
	require.Equal(s, true, data["isProfileUpdated"])
	s.call("alice", "connect", "alice", data["password"]).bare(200, "Login Success")
	s.await("alice", "connectionListener", `{"status": "CONNECTED"}`)
	s.meet("alice", "bob")
	s.call("alice", "getUsersIBlocked").succeeds(`{"data": []}`)

	s.call("bob", "deleteMyAccount", "", "feedback").bare(400, "reason is not valid or required")
	s.offTheRecord(func() {
		s.call("bob", "deleteMyAccount", "moving on", "").done()
		// The JavaScript SDK does not take it as a logout: it comes back until it is refused.
		if s.inGo("bob") {
			s.await("bob", "connectionListener", `{"status": "DISCONNECTED"}`)
		} else {
			s.await(
				"bob", "connectionListener",
				`{"status": "AUTHFAIL", "statusCode": 401, "errorMessage": "Invalid Credentials"}`,
			)
		}
		s.await("alice", "userDeletedListener", `"`+bob+`"`)
		s.part("bob", "alice")
	})
	s.call("alice", "getUserProfile", bob).bare(400, "User not available")
	const why = "the account is gone: package sdk says so, the JavaScript SDK only lost its password when it came " +
		"back (protocol.md 5.9)"
	s.differs(why, "bob", "getCurrentUserJid", `{"statusCode": 200, "message": "Success", "userJid": "null@`+host+`"}`,
		`{"statusCode": 400, "message": "`+notRegistered+`"}`)
}
