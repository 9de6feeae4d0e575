package jssdk_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// gopher is a party: package sdk, asked and answering in the words of the JavaScript SDK.
type gopher struct {
	svc    *service
	client *sdk.Client
	login  *sdk.QRLogin
	events *events
}

func newGopher(svc *service) *gopher { return &gopher{svc: svc, events: newEvents()} }

func (g *gopher) told() *events { return g.events }

// answered is a Result in the JavaScript SDK's shape. That has the data of some methods beside the
// status (protocol.md 11), under flat, or under its own names when flat is "...".
func answered[T any](t *testing.T, flat string, res sdk.Result[T], err error) object {
	t.Helper()
	require.Equal(t, err == nil, res.StatusCode == 200, "result and error agree: %v", err)
	out, isObject := jsonOf(res).(object)
	require.True(t, isObject)
	data, has := out["data"]
	if !has && err == nil && flat != "" { // Data is left out of the JSON when it is all zero
		data, has = jsonOf(res.Data), true
	}
	switch {
	case flat == "" || !has:
		return out
	case flat == "...":
		for name, value := range data.(object) {
			out[name] = value
		}
	default:
		out[flat] = data
	}
	delete(out, "data")
	return out
}

// arg is the i-th argument, or the zero value when it was left out.
func arg[T any](args []any, i int) T {
	var zero T
	if i >= len(args) {
		return zero
	}
	value, _ := args[i].(T)
	return value
}

func (g *gopher) call(t *testing.T, method string, args ...any) object {
	t.Helper()
	text := func(i int) string { return arg[string](args, i) }
	c, ctx := g.client, t.Context()
	if answer, handled := g.callMessages(t, method, args...); handled {
		return answer
	}
	switch method {
	case "initializeSDK":
		return g.initialize(t, arg[object](args, 0))
	case "register":
		res, err := c.Register(ctx, text(0), registerOptions(args)...)
		return answered(t, "", res, err)
	case "connect":
		res, err := c.Connect(ctx, text(0), text(1))
		return answered(t, "", res, err)
	case "logout":
		res, err := c.Logout(ctx)
		return answered(t, "", res, err)
	case "getUserProfile":
		res, err := c.GetUserProfile(ctx, text(0))
		return answered(t, "", res, err)
	case "setUserProfile":
		res, err := c.SetUserProfile(
			ctx,
			sdk.ProfileUpdate{
				Name: text(0), Image: imageOf(args), Status: text(2), MobileNumber: text(3), Email: text(4),
			},
		)
		return answered(t, "...", res, err)
	case "getLastSeen":
		res, err := c.GetLastSeen(ctx, text(0))
		return answered(t, "", res, err)
	case "getCurrentUserJid":
		res, err := c.GetCurrentUserJID()
		return answered(t, "userJid", res, err)
	case "blockUser":
		res, err := c.BlockUser(ctx, text(0))
		return answered(t, "", res, err)
	case "unblockUser":
		res, err := c.UnblockUser(ctx, text(0))
		return answered(t, "", res, err)
	case "getUsersIBlocked":
		res, err := c.GetUsersIBlocked(ctx)
		return answered(t, "", res, err)
	case "getUsersWhoBlockedMe":
		res, err := c.GetUsersWhoBlockedMe(ctx)
		return answered(t, "", res, err)
	case "sendFeedback":
		res, err := c.SendFeedback(ctx, text(0), text(1))
		return answered(t, "", res, err)
	case "reportUserOrGroup":
		res, err := c.ReportUserOrGroup(ctx, text(0), sdk.ChatType(text(1)), arg[[]sdk.ReportedMessage](args, 2))
		return answered(t, "", res, err)
	case "setMediaEncryption":
		res, err := c.SetMediaEncryption(arg[bool](args, 0))
		return answered(t, "", res, err)
	case "deleteMyAccount":
		res, err := c.DeleteMyAccount(ctx, text(0), text(1))
		return answered(t, "", res, err)
	}
	require.FailNow(t, "no such method", method)
	return nil
}

// initialize is New: the client reaches the service by the same names as the browser.
func (g *gopher) initialize(t *testing.T, options object) object {
	t.Helper()
	cfg := g.svc.srv.Config()
	cfg.LicenseKey = arg[string]([]any{options["licenseKey"]}, 0)
	cfg.APIBaseURL = arg[string]([]any{options["apiBaseUrl"]}, 0)
	cfg.TrialLicense = options["isTrialLicenseKey"] != false
	cfg.APIConfigURL = "https://api-config.mirrorfly.test/license/details"
	cfg.DialContext = g.svc.dial
	// At once, as the JavaScript SDK does.
	cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay = time.Millisecond, 50*time.Millisecond
	client, err := sdk.New(cfg)
	if err != nil {
		var e *sdk.Error
		require.ErrorAs(t, err, &e)
		return object{"statusCode": float64(e.StatusCode), "message": e.Message}
	}
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	g.client = client
	g.listen()
	g.listenForMessages()
	return object{"statusCode": float64(200), "message": "Success"}
}

// listen tells the events under the names and in the shapes of protocol.md 4.5 and 6.
func (g *gopher) listen() {
	c, add := g.client, g.events.add
	blockType := map[bool]string{true: "block_user", false: "unblock_user"}
	c.OnConnection(func(e sdk.ConnectionEvent) {
		told := jsonOf(e).(object)
		delete(told, "attempt") // only here
		delete(told, "retryIn")
		delete(told, "resumed")
		delete(told, "final")
		add("connectionListener", told)
	})
	c.OnUserProfile(func(p sdk.Profile) { add("userProfileListener", jsonOf(p)) })
	c.OnPresence(func(e sdk.PresenceEvent) { add("presenceListener", jsonOf(e)) })
	c.OnBlock(func(e sdk.BlockEvent) {
		listener := map[bool]string{true: "blockUserListener", false: "messageListener"}[e.ByMe]
		add(listener, object{"blockedUserId": e.UserID, "msgType": "userBlockStatus", "type": blockType[e.Blocked]})
	})
	c.OnUserDeleted(func(e sdk.UserDeletedEvent) { add("userDeletedListener", e.UserJID) })
	c.OnAdminBlock(func(e sdk.AdminBlockEvent) {
		id, _, _ := strings.Cut(e.JID, "@")
		status := map[bool]string{true: "1", false: "0"}[e.Blocked]
		add(
			"adminBlockListener",
			object{
				"type": "", "chatType": string(e.ChatType), "toUserJid": e.JID, "toUserId": id, "blockStatus": status,
			},
		)
	})
}

func (g *gopher) showQR(t *testing.T, signalURL, old string) string {
	t.Helper()
	if old == "" {
		login, err := g.client.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: signalURL})
		require.NoError(t, err)
		g.login = login
	}
	var text string
	select {
	case code, open := <-g.login.Codes():
		require.True(t, open)
		text = code.Content()
	case <-time.After(patience):
		require.FailNow(t, "no code")
	}
	require.NotEqual(t, old, text)
	if old != "" {
		return text
	}
	go func() { // owner: the test; ends with its context
		res, err := g.login.Wait(t.Context())
		told := object{"statusCode": float64(res.StatusCode), "message": res.Message}
		if err == nil {
			told["username"], told["password"] = res.Data.Username, res.Data.Password
		}
		g.events.add("qrCallback", told)
	}()
	return text
}

func (g *gopher) picture(t *testing.T, token string) []byte {
	t.Helper()
	var out bytes.Buffer
	res, err := g.client.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: token}, &out)
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	return out.Bytes()
}

func registerOptions(args []any) (opts []sdk.RegisterOption) {
	if len(args) > 1 {
		opts = append(opts, sdk.ForceRegister(arg[bool](args, 1)))
	}
	if len(args) > 2 {
		opts = append(opts, sdk.RegisterMetadata(arg[object](args, 2)))
	}
	return opts
}

func imageOf(args []any) sdk.Image {
	if f := arg[file](args, 1); f.name != "" {
		return sdk.ImageReader(f.name, f.kind, bytes.NewReader(f.content), int64(len(f.content)))
	}
	return sdk.ImageURL(arg[string](args, 1))
}
