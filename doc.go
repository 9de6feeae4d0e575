// Package sdk is a client for MirrorFly's Profile API: what the JavaScript Web SDK
// offers on its Profile page, for Go chat applications and back-end bots.
//
// A [Client] is one account. Make it, register once, connect, and call:
//
//	client, err := sdk.New(sdk.Config{LicenseKey: key, APIBaseURL: "https://api.example.com/api/v1"})
//	credentials, err := client.Register(ctx, "alice")
//	_, err = client.Connect(ctx, credentials.Data.Username, credentials.Data.Password)
//	profile, err := client.GetUserProfile(ctx, "bob")
//	defer client.Close()
//
// # Calls
//
// Every method answers a [Result], the envelope of the JavaScript SDK, and an error. They agree:
// the error is nil exactly when StatusCode is 200, and otherwise an [*Error] with the same code
// and text. Branch on the Err... sentinels with errors.Is. A context ends the call it is given to; the one
// of Connect ends with the handshake. Without a deadline, Config.RequestTimeout holds.
//
// # Events
//
// On... methods register listeners for what others do and for the state of the connection. Listeners run one
// at a time, in order, and may call any method. A lost connection is made again until Logout, DeleteMyAccount
// or Close; OnConnection tells.
//
// # Testing
//
// Package sdktest is the service in one process, for tests without an account.
package sdk
