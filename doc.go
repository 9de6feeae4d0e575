// Package sdk is a client for the MirrorFly chat service: what the JavaScript Web SDK offers on its
// Profile page, and messages between two users, for Go chat applications and back-end bots.
//
// A [Client] is one account. Make it, register once, connect, and call:
//
//	client, err := sdk.New(sdk.Config{LicenseKey: key, APIBaseURL: "https://api.example.com"})
//	defer client.Close()
//	me, err := client.Register(ctx, "alice") // once; keep Username and Password
//	_, err = client.Connect(ctx, me.Data.Username, me.Data.Password)
//	profile, err := client.GetUserProfile(ctx, "bob")
//
// # Calls
//
// Every call answers a [Result], the envelope of the JavaScript SDK, and an error. They agree: the
// error is nil exactly when StatusCode is 200, and otherwise an [*Error] with the same code and
// text. Branch on the Err... sentinels with errors.Is; Error.Retryable tells whether a call that
// failed may be made again. A context ends the call that it is given to; the one of Connect ends
// with the handshake. Without a deadline, Config.RequestTimeout holds.
//
// # Events
//
// On... methods register listeners for what others do and for the state of the connection.
// Listeners run one at a time, in order, and may call any method. A lost connection is made again
// until Logout, DeleteMyAccount or Close: OnConnection tells, and OnMissed when events may have
// been lost meanwhile.
//
// # Messages
//
// SendTextMessage waits until the server has taken the message over. When it returns an error with
// OutcomeUnknown, the message may have arrived: repeat it with the same id (WithMessageID).
//
// A message that comes is handled when every listener has returned, or after Message.Defer when its
// done was called. Only then its sender is told "delivered", and the server that it has arrived, so
// that it comes again after a crash where the server supports that. Set Config.DeviceID for it, and
// register OnMessage before Connect.
//
// # Testing
//
// Package sdktest is the service in one process, for tests without an account.
//
// In comments, "protocol.md 4.3" is section 4.3 of docs/protocol.md in the repository, which says
// what goes over the wire.
package sdk
