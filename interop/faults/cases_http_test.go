package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// overREST is the one way of what is no XMPP.
var overREST = []way{rest}

// freshConnections makes every request of REST connect anew: no connection is there that looks as
// if it worked.
func freshConnections(s *site) {
	s.cfg.HTTPClient = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: s.cfg.TLSConfig, DisableKeepAlives: true, TLSHandshakeTimeout: patience,
		},
	}
}

func callProfile(ctx context.Context, s *site) error {
	_, err := s.client.GetUserProfile(ctx, s.account.Username)
	return err
}

// callFeedback is a call that must not be made twice. What its error says of the outcome is held
// against the service.
func callFeedback(ctx context.Context, s *site) error {
	_, err := s.client.SendFeedback(ctx, "title", "text")
	given := len(s.srv.Feedback())
	var e *sdk.Error
	if given > 1 || given == 1 && errors.As(err, &e) && e.Outcome != sdk.OutcomeUnknown {
		return fmt.Errorf("given %d times, %w", given, err)
	}
	return err
}

func requestCases() []faultCase {
	vcard := func(do func(*exchange)) func(*site) { return answering("/contacts/vcard", do) }
	feedback := func(do func(*exchange)) func(*site) { return answering("/moderation/feedback", do) }
	return join(
		each(request, overREST, network, callProfile, []faultCase{
			{
				fault: refused, note: "nothing listens", prepare: freshConnections,
				want: readLost.sent(sdk.OutcomeNotSent), begin: func(s *site) { s.line.refuse() },
			},
			{fault: silent, want: unanswered, begin: func(s *site) { s.line.silence() }},
			{fault: slow, want: unanswered, begin: func(s *site) { s.line.slow("downstream") }},
			{fault: slow, note: "the request", want: unanswered, begin: func(s *site) { s.line.slow("upstream") }},
			{fault: cut, note: "between two requests", want: works, begin: func(s *site) { s.line.cut() }},
			{fault: halfOpen, want: unanswered, begin: func(s *site) { s.line.halfOpen() }},
			{fault: garbage, note: "inside TLS", want: readLost, begin: func(s *site) { s.line.garble() }},
		}),
		each(request, overREST, network, callFeedback, []faultCase{
			{
				fault: refused, note: "nothing listens, a write", prepare: freshConnections,
				want: broken.sent(sdk.OutcomeNotSent), begin: func(s *site) { s.line.refuse() },
			},
			{fault: silent, note: "a write", want: unanswered, begin: func(s *site) { s.line.silence() }},
		}),
		each(request, overREST, nothing, callProfile, []faultCase{
			{fault: refused, note: "503", want: senseless, begin: faulty(sdktest.StepREST, sdktest.FaultError)},
			{
				fault: refused, note: "503 once", want: works,
				begin: func(s *site) { s.srv.FailNext("contacts/vcard", 503, "busy") },
			},
			{fault: refused, note: "429 always", want: refusal(429, sdk.OutcomeRefused), begin: func(s *site) {
				for range 3 {
					s.srv.FailNext("contacts/vcard", 429, "slow down")
				}
			}},
			{fault: cut, want: readLost, begin: faulty(sdktest.StepREST, sdktest.FaultClose)},
			{
				fault: garbage, note: "a page instead", want: senseless,
				begin: faulty(sdktest.StepREST, sdktest.FaultMalformed),
			},
			{
				fault: wrongID, note: "the token is not known any more", want: works,
				begin: func(s *site) { s.srv.ExpireTokens() },
			},
		}),
		each(request, overREST, nothing, callFeedback, []faultCase{
			{
				fault: refused, note: "503, a write", want: refusal(503, sdk.OutcomeUnknown),
				begin: func(s *site) { s.srv.FailNext("moderation/feedback", 503, "busy") },
			},
			{
				fault: refused, note: "by the service", want: refusal(400, sdk.OutcomeRefused),
				begin: func(s *site) { s.srv.FailNext("moderation/feedback", 400, "no") },
			},
		}),
		each(request, overREST, insider, callProfile, []faultCase{
			{fault: reset, want: readLost, begin: vcard((*exchange).reset)},
			{fault: garbage, note: "not HTTP", want: readLost, begin: vcard(raw(noise))},
			{
				fault: truncated, note: "in its headers", want: readLost,
				begin: vcard(raw("HTTP/1.1 200 OK\r\nContent-Ty")),
			},
			{fault: oversized, note: "headers without end", want: readLost, begin: vcard(endless)},
			{fault: duplicated, note: "the answer comes twice", want: works, begin: vcard(func(x *exchange) {
				_, answer := x.fetch()
				text := page(len(answer), string(answer))
				raw(text + text)(x)
			})},
			{fault: wrongSender, note: "sent elsewhere", want: readLost, begin: func(s *site) {
				away := s.stranger().URL()
				vcard(func(x *exchange) { http.Redirect(x.w, x.r, away+"/contacts/vcard", http.StatusFound) })(s)
			}},
		}),
		each(request, overREST, insider, callFeedback, []faultCase{
			{
				fault: reset, note: "done, but nobody says so", want: broken,
				begin: feedback(func(x *exchange) { x.fetch(); x.reset() }),
			},
			{
				fault: cut, note: "before the service has it", want: broken,
				begin: feedback(func(*exchange) { panic(http.ErrAbortHandler) }),
			},
		}),
	)
}

func bodyCases() []faultCase {
	const answer = `{"status":200,"message":"Success","data":{"userId":"alice","nickName":"","status":"fine"}}`
	at := func(do func(*exchange)) func(*site) { return answering("/contacts/vcard", do) }
	begun := page(len(answer), answer[:20]) // the rest is for the fault
	return append(each(body, overREST, insider, callProfile, []faultCase{
		{fault: silent, want: unanswered, begin: at(func(x *exchange) { x.beginning(begun); x.hold() })},
		{fault: slow, want: unanswered, begin: at(dribble(page(len(answer), answer)))},
		{fault: cut, want: readLost, begin: at(raw(begun))},
		{fault: reset, want: readLost, begin: at(func(x *exchange) { x.beginning(begun); x.cutByReset() })},
		{
			fault: garbage, note: "half of it JSON", want: senseless,
			begin: at(raw(page(len(answer), answer[:40]+strings.Repeat("]", len(answer)-40)))),
		},
		{fault: truncated, note: "and its length says so", want: senseless, begin: at(raw(page(40, answer[:40])))},
		{fault: duplicated, want: senseless, begin: at(raw(page(2*len(answer), answer+answer)))},
		{fault: reordered, want: senseless, begin: at(raw(page(len(answer), answer[40:]+answer[:40])))},
		{fault: wrongSender, note: "no status, no data", want: senseless, begin: at(raw(page(2, "{}")))},
	}), each(body, overREST, nothing, callProfile, []faultCase{
		{fault: oversized, want: senseless, begin: faulty(sdktest.StepREST, sdktest.FaultHuge)},
	})...)
}

const fileSize = 5<<20 + 1000 // two parts

// fileContent differs from itself when it is moved by a part.
var fileContent = bytes.Repeat([]byte("0123456789abcdefg"), fileSize/17+1)[:fileSize]

// callTransfer uploads a file of two parts, and requires that what the service has is the same.
// meanwhile comes between the parts.
func callTransfer(meanwhile func(*site)) call {
	return func(ctx context.Context, s *site) error {
		up, err := s.client.UploadMedia(ctx, sdk.MediaUpload{
			To: "bob", MessageID: "1", Name: "a.bin", Reader: bytes.NewReader(fileContent), Size: fileSize,
			Progress: func(sent, total int64) {
				if sent < total {
					meanwhile(s)
				}
			},
		})
		if err != nil {
			return err
		}
		down := &expecting{fileContent}
		if _, err := s.client.DownloadMedia(ctx, up.Data, down); err != nil {
			return err
		}
		if len(down.left) > 0 {
			return fmt.Errorf("the file came back without its last %d bytes", len(down.left))
		}
		return nil
	}
}

// expecting is a writer that takes only what is left of a file, in its order. It keeps nothing:
// fresh memory is what costs most under the race detector.
type expecting struct{ left []byte }

func (e *expecting) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(e.left, p) {
		return 0, fmt.Errorf("other bytes than the file has, with %d to come", len(e.left))
	}
	e.left = e.left[len(p):]
	return len(p), nil
}

// between is a case whose fault begins when the first part has arrived.
func between(begin func(*site), c faultCase) []faultCase {
	c.begin = func(*site) {}
	return each(chunk, overREST, network, callTransfer(begin), []faultCase{c})
}

func chunkCases() []faultCase {
	undisturbed := callTransfer(func(*site) {})
	part := func(do func(*exchange)) func(*site) { return answering("/storage/", do) }
	// one of the parts meets the fault the first time that it is sent.
	first := func(do func(*exchange)) func(*site) {
		return func(s *site) {
			var met atomic.Bool
			part(func(x *exchange) {
				if met.Swap(true) {
					x.pass()
				} else {
					do(x)
				}
			})(s)
		}
	}
	all := join(
		between(
			func(s *site) { s.line.refuse() },
			faultCase{
				fault: refused, note: "nothing listens", prepare: freshConnections,
				want: broken.sent(sdk.OutcomeNotSent),
			},
		),
		between(func(s *site) { s.line.slow("upstream") }, faultCase{fault: slow, want: stuck}),
		between(func(s *site) { s.line.halfOpen() }, faultCase{fault: halfOpen, want: stuck}),
		between(func(s *site) { s.line.cut() }, faultCase{fault: cut, note: "between two parts", want: works}),
		each(chunk, overREST, nothing, undisturbed, []faultCase{
			{
				fault: refused, note: "503 once", want: works,
				begin: func(s *site) { s.srv.FailNext("storage", 503, "busy") },
			},
			{
				fault: refused, note: "403", want: refusal(403, sdk.OutcomeRefused),
				begin: func(s *site) { s.srv.FailNext("storage", 403, "Signature does not match") },
			},
		}),
		each(chunk, overREST, insider, undisturbed, []faultCase{
			{fault: silent, want: stuck, begin: part((*exchange).hang)},
			{fault: cut, note: "once", want: works, begin: first(func(*exchange) { panic(http.ErrAbortHandler) })},
			{fault: cut, note: "always", want: broken, begin: part(func(*exchange) { panic(http.ErrAbortHandler) })},
			{fault: reset, note: "once", want: works, begin: first((*exchange).reset)},
			{
				fault: reset, note: "stored, but nobody says so", want: works,
				begin: first(func(x *exchange) { x.fetch(); x.reset() }),
			},
			{fault: garbage, note: "instead of an answer, once", want: works, begin: first(raw(noise))},
			{
				fault: truncated, note: "the answer, once", want: works,
				begin: first(raw("HTTP/1.1 200 OK\r\nETag: \"1")),
			},
			{fault: oversized, note: "the answer", want: works, begin: first(func(x *exchange) {
				resp, _ := x.fetch()
				x.w.Header().Set("ETag", resp.Header.Get("ETag"))
				chunk := make([]byte, 64<<10)
				for range 1024 {
					if _, err := x.w.Write(chunk); err != nil {
						return
					}
				}
			})},
			{fault: duplicated, note: "a part arrives twice", want: works, begin: first(func(x *exchange) {
				data, _ := io.ReadAll(x.r.Body)
				for range 2 {
					x.r.Body = io.NopCloser(bytes.NewReader(data))
					resp, content := x.fetch()
					_ = x.answer(resp, bytes.NewReader(content))
				}
			})},
			{
				fault: wrongID, note: "ETag of something else", want: refusal(400, sdk.OutcomeRefused),
				begin: func(s *site) {
					s.srv.SetStorage("minio") // the default has no use for ETags
					first(func(x *exchange) {
						resp, content := x.fetch()
						resp.Header.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
						_ = x.answer(resp, bytes.NewReader(content))
					})(s)
				},
			},
		}),
	)
	for i := range all {
		// otherwise the transfer itself was well again in the end
		if all[i].want.err != nil || all[i].want.code != 0 {
			all[i].again = undisturbed
		}
	}
	return all
}

// offer starts a QR login and waits for its code.
func offer(ctx context.Context, s *site) (*sdk.QRLogin, *sdk.QRCode, error) {
	login, err := s.client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: s.qr})
	if err != nil {
		return nil, nil, err
	}
	code, err := nextCode(ctx, login)
	return login, code, err
}

// nextCode is the code that comes next, or why none comes any more.
func nextCode(ctx context.Context, login *sdk.QRLogin) (*sdk.QRCode, error) {
	select {
	case code, open := <-login.Codes():
		if open {
			return code, nil
		}
		_, err := login.Wait(ctx)
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func callOffer(ctx context.Context, s *site) error {
	login, err := s.client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: s.qr})
	if err != nil {
		return err
	}
	return login.Close()
}

// callScan logs in by a code.
func callScan(ctx context.Context, s *site) error {
	login, code, err := offer(ctx, s)
	if err != nil {
		return err
	}
	if err := s.srv.Phone("alice").Scan(ctx, code.Content()); err != nil {
		return err
	}
	_, err = login.Wait(ctx)
	return err
}

// callLosing has a code, loses the server, and logs in by the code that comes then.
func callLosing(lose func(s *site)) call {
	return func(ctx context.Context, s *site) error {
		login, old, err := offer(ctx, s)
		if err != nil {
			return err
		}
		lose(s)
		code, err := nextCode(ctx, login)
		if err != nil {
			return err
		}
		if code.Content() == old.Content() {
			return errors.New("the same code comes again")
		}
		if err := s.srv.Phone("alice").Scan(ctx, code.Content()); err != nil {
			return err
		}
		_, err = login.Wait(ctx)
		return err
	}
}

// callBriefly gives a call little time of its own: RequestTimeout is for the login by the code,
// too.
func callBriefly(c call) call {
	return func(ctx context.Context, s *site) error {
		ctx, cancel := context.WithTimeout(ctx, callersTime)
		defer cancel()
		return c(ctx, s)
	}
}

func signalCases() []faultCase {
	at := func(do func(*exchange)) func(*site) { return answering("/socket.io/", do) }
	all := join(
		each(signaling, overREST, network, callOffer, []faultCase{
			{fault: refused, note: "nothing listens", want: broken, begin: func(s *site) { s.line.refuse() }},
		}),
		each(signaling, overREST, network, callBriefly(callOffer), []faultCase{
			{fault: silent, want: left, begin: func(s *site) { s.line.silence() }},
			{fault: slow, want: left, begin: func(s *site) { s.line.slow("downstream") }},
			{fault: halfOpen, want: left, begin: func(s *site) { s.line.halfOpen() }},
		}),
		each(signaling, overREST, network, callLosing(func(s *site) { s.line.cut() }), []faultCase{
			{fault: cut, note: "with a code on the screen", want: works, begin: func(*site) {}},
		}),
		each(signaling, overREST, brittle, callLosing(func(s *site) { s.line.cut() }), []faultCase{
			{fault: reset, note: "with a code on the screen", want: works, begin: func(*site) {}},
		}),
		each(signaling, overREST, nothing, callOffer, []faultCase{
			{fault: refused, note: "503", want: broken, begin: faulty(sdktest.StepSignal, sdktest.FaultError)},
			{fault: cut, want: broken, begin: faulty(sdktest.StepSignal, sdktest.FaultClose)},
			{fault: garbage, want: broken, begin: faulty(sdktest.StepSignal, sdktest.FaultMalformed)},
			{fault: oversized, want: broken, begin: faulty(sdktest.StepSignal, sdktest.FaultHuge)},
		}),
		each(signaling, overREST, insider, callOffer, []faultCase{
			{fault: reset, want: broken, begin: at((*exchange).reset)},
			{fault: truncated, want: broken, begin: at(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n20:0{"))},
		}),
		each(signaling, overREST, insider, callScan, []faultCase{
			{fault: duplicated, note: "the id", want: works, begin: ruled(onDown(`["id"`, twice))},
			{fault: duplicated, note: "the phone's answer", want: works, begin: ruled(onDown(`["response"`, twice))},
			{
				fault: wrongSender, note: "an answer under another key first", want: works,
				begin: ruled(onDown(`["response"`, func(p packet) fate {
					return fate{send: []string{`42["response",{"id":"c29tZWJvZHkgZWxzZSdzIGFuc3dlcg=="}]`, p.text}}
				})),
			},
			{
				fault: reordered, note: "an answer before the id", want: works,
				begin: ruled(onDown(`["id"`, func(p packet) fate {
					return fate{send: []string{`42["response",{"id":"c29tZWJvZHkgZWxzZSdzIGFuc3dlcg=="}]`, p.text}}
				})),
			},
		}),
	)
	for i := range all {
		if all[i].want.err != nil {
			all[i].again = callScan
		}
	}
	return all
}
