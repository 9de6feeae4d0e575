package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answering is a client that is logged in and whose every further request gets the same answer,
// without a network.
func answering(t *testing.T, status int, header http.Header, body []byte) testClient {
	loggedIn := false
	return connect(t, "http://service.example/api", func(c *Config) {
		c.HTTPClient = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				_, _ = io.Copy(io.Discard, req.Body)
				req.Body.Close()
			}
			resp := &http.Response{
				StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1,
				Request: req,
			}
			if !loggedIn {
				loggedIn = true
				resp.StatusCode, resp.Header, resp.Body = 200, http.Header{}, io.NopCloser(strings.NewReader(loginOK))
			}
			return resp, nil
		})}
	})
}

// called is a result of a call, to be checked.
type called struct {
	err      error
	required []string // never empty when there is no error
}

const kindsOfCalls = 14

// calls makes each kind of call whose answer is JSON.
func calls(t *testing.T, c testClient, op byte) called {
	ctx := t.Context()
	switch op % kindsOfCalls {
	case 0:
		err := c.Login(ctx, "alice", "p", "p")
		return called{err: err, required: []string{c.session.token}}
	case 1:
		a, err := c.Register(ctx, Registration{UserIdentifier: "alice"})
		if err != nil {
			return called{err: err}
		}
		return called{required: []string{a.Username, a.Password}}
	case 2:
		_, err := c.Profile(ctx, "bob")
		return called{err: err}
	case 3:
		s, err := c.ServiceConfig(ctx, "alice")
		if err == nil {
			require.NotNil(t, s)
		}
		return called{err: err}
	case 4:
		done, err := c.PostMedia(
			ctx, Form{Type: "chat", File: File{Name: "x", Reader: strings.NewReader("x"), Size: 1}},
		)
		_ = done // a token may be missing: its user looks
		return called{err: err}
	case 5:
		up, err := c.StartUpload(ctx, UploadStart{Parts: 2})
		if err != nil {
			return called{err: err}
		}
		require.Len(t, up.URLs, 2)
		return called{required: []string{up.FileToken}}
	case 6:
		to, err := c.DownloadURL(ctx, "x")
		if err != nil {
			return called{err: err}
		}
		u, err := url.Parse(to)
		require.NoError(t, err)
		return called{required: []string{u.Hostname()}}
	case 7:
		return called{err: c.Feedback(ctx, "t", "d")}
	case 8:
		m, err := c.getMedia(ctx, "x")
		if err == nil {
			_, _ = io.Copy(io.Discard, m)
			m.Close()
		}
		return called{err: err}
	case 10:
		page, err := c.Chat(ctx, ChatQuery{UserID: "bob", Size: 20})
		requireInRange(t, page.Messages...)
		require.GreaterOrEqual(t, page.Total, 0)
		return called{err: err}
	case 11:
		m, err := c.Message(ctx, "bob", "m1")
		if err != nil {
			return called{err: err}
		}
		requireInRange(t, *m)
		return called{required: []string{m.ID}}
	case 12:
		_, err := c.RecentChats(ctx, 20, time.Time{})
		return called{err: err}
	case 13:
		_, err := c.Users(ctx, UsersQuery{Page: 1, Size: 30})
		return called{err: err}
	default:
		lookup := New(
			Config{
				LicenseKey: license, LookupURL: "http://lookup.example", AllowInsecure: true,
				HTTPClient: &http.Client{Transport: c.http.Transport},
			},
		)
		defer lookup.Close()
		s, err := lookup.locate(ctx)
		if err != nil {
			return called{err: err}
		}
		return called{required: []string{s.base}}
	}
}

// requireInRange: what history holds can be shown as a date, and as one of the states that there
// are.
func requireInRange(t *testing.T, messages ...ChatMessage) {
	for _, m := range messages {
		require.Contains(t, []int{0, 1, 2}, m.Delivery)
		require.False(t, !m.Sent.IsZero() && m.Sent.UnixMicro() <= 0 || m.Sent.Year() > 9999, "%v", m.Sent)
	}
}

// Whatever the service answers, to whatever call: an error that fits one line, or what the call
// promises; success only when the body says so or, silent, HTTP does.
func FuzzEnvelope(f *testing.F) {
	for op, body := range []string{
		loginOK, `{"status":200,"data":{"username":"u","password":"p","config":{"xmppHost":"h","block":0}}}`,
		`{"status":"200","data":{"userId":5,"nickName":null,` +
			`"isAdminBlocked":"1"}}`, `{"status":200,"data":{"xmppHost":"h","iv":[]}}`,
		`{"status":200,"data":{"fileToken":"t"}` +
			`}`, `{"status":200,"data":{"uploadUrls":["a","b"],"fileToken":"t","storage":"S3"}}`,
		`{"status":200,"data":"https://storage.example/x?sig"}`, plainOK, `{"status":404,"message":"no such file"}`,
		`{"status":200,"data":{"apiBaseUrl":"https://api.example.com/","trialMode":false}}`,
		`{"status":200,"data":{"totalPages":1,"chatList":[` + fullMessage + `]}}`, `{"status":200,` +
			`"data":` + fullMessage + `}`,
		`{"status":200,"data":{"chatList":[{"messageId":1,"metaData":"{}"}]}}`,
		`{"status":200,"data":{"userList":[{"userId":"bob","name":"Bob"}]}}`,
	} {
		f.Add(200, "application/json", body, byte(op))
	}
	for _, items := range []string{
		"null", "{}", `[null,7,"x",[],{}]`, `[{"messageId":[],"sentTime":1e300,"epochTimestamp":"-1"}]`,
		`[{"messageId":"m","metaData":"{\"a\":{}}","parentMessage":[{"messageId":7}],"recallStatus":"1"}]`,
		`[{"messageId":"m","deliveryStatus":9e99,"unreadCount":-5,"unread":"7.5","editMessageId":"e"}]`,
	} {
		for op, list := range map[byte]string{10: "chatList", 12: "chatList", 13: "userList"} {
			f.Add(200, "application/json", `{"status":200,"data":{"totalRecords":-1,"`+list+`":`+items+`}}`, op)
		}
	}
	for i, body := range []string{
		"", "null", "[]", `{"status":1e2,"message":"a\nb\u001b[2J\u202e"` +
			`}`, `{"STATUS":400,"status":200}`, `{"status":"NaN"}`, `{"status":-1}`, `{"status":200.5}`,
		`{"status":999999999999999999999}`, `{"status":"0x1p7"}`, `{"data":{}}`, `{"status":{}}`, "<html>",
		`{"status":401}`, "\ufeff{}", `{"status":200}{`,
		`{"status":200,"data":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`,
	} {
		f.Add(200+i*29, "text/html; charset=\"x\"", body, byte(i))
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string, op byte) {
		status = 200 + (status&0x7fffffff)%400
		c := answering(t, status, http.Header{"Content-Type": {contentType}}, []byte(body))
		c.login(t)
		var got called
		fuzz.Bounded(t, len(body), maxJSON, func() { got = calls(t, c, op) })
		if got.err != nil {
			requireFit(t, got.err)
			return
		}
		for _, s := range got.required {
			require.NotEmpty(t, s)
		}
		if op%kindsOfCalls != 8 { // whose answer is a file
			requireSuccess(t, status, body)
		}
	})
}

// requireFit: what an error shows of an answer is one printable line, and its numbers are in range.
func requireFit(t *testing.T, err error) {
	e := fail(t, err)
	require.GreaterOrEqual(t, e.Status, 100, "%v", e)
	require.LessOrEqual(t, e.Status, 999)
	require.GreaterOrEqual(t, e.RetryAfter, time.Duration(0))
	require.Less(t, len(e.Error()), 24*httpguard.MaxText)
	require.False(t, strings.ContainsFunc(e.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", e.Error())
}

// requireSuccess reads the answer once more, key by key.
func requireSuccess(t *testing.T, status int, body string) {
	if strings.Trim(body, " \t\r\n") == "" {
		require.Equal(t, 200, status)
		return
	}
	var fields map[string]any
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&fields))
	told := false
	for name, value := range fields {
		number, isNumber := value.(json.Number)
		text, isText := value.(string)
		if isText {
			number, isNumber = json.Number(text), true
		}
		if n, ok := new(big.Float).SetString(number.String()); strings.EqualFold(name, "status") && isNumber && ok &&
			n.Cmp(big.NewFloat(200)) == 0 {
			return
		} else if strings.EqualFold(name, "status") && isNumber && ok {
			told = true
		}
	}
	require.False(t, told, "the body says something else")
	require.Equal(t, 200, status)
}

// Whatever is sealed in the answers to register and users/config.
func FuzzSealedData(f *testing.F) {
	for _, s := range []string{
		`{"username":"u","password":"p","isProfileUpdated":1,"config":{"xmppHost":"h","xmppPortWeb":443,` +
			`"block":false,"report":"0","groupChat":null}}`,
		`{"xmppHost":"h","xmppPortWeb":"443","signalServerDomain":"wss://s","iv":"é","ivProfile":7,"block":"1"}`,
		`{"xmppHost":"h","block":false,"block":true,"Report":1,"report":0,"report":null}`,
		`{}`, `[]`, `null`, `"x"`, `{"config":{"block":{}}}`, `{"config":{"xmppHost":"a"},` +
			`"config":{}}`, `{"username":1e400,"password":"p"}`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, data string, register bool) {
		key := seal.Triple("alice")
		if register {
			key = seal.Triple(license)
		}
		body := `{"status":200,"data":` + toJSON(t, seal.Seal(data, key, seal.ConstIV)) + `}`
		c := answering(t, 200, http.Header{}, []byte(body))
		c.login(t)
		var service Service
		var err error
		fuzz.Bounded(t, len(body), maxJSON, func() {
			if register {
				var a *Account
				if a, err = c.Register(t.Context(), Registration{UserIdentifier: "alice"}); err == nil {
					require.NotEmpty(t, a.Username)
					require.NotEmpty(t, a.Password)
					service = a.Service
				}
				return
			}
			var s *Service
			if s, err = c.ServiceConfig(t.Context(), "alice"); err == nil {
				service = *s
			}
		})
		if err != nil {
			requireFit(t, err)
			return
		}
		requireFeatures(t, data, register, service.Features)
	})
}

// requireFeatures: a flag is off only where the service has said so (protocol.md 3).
func requireFeatures(t *testing.T, data string, nested bool, got Features) {
	if !json.Valid([]byte(data)) || !strings.HasPrefix(strings.TrimSpace(data), "{") {
		return // it was JSON in a JSON string, or was not sealed at all
	}
	// A map would have the last of several members of a name alone.
	type member struct {
		name  string
		value json.RawMessage
	}
	var members []member
	dec := json.NewDecoder(strings.NewReader(data))
	_, err := dec.Token()
	require.NoError(t, err)
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		m := member{name: name.(string)}
		require.NoError(t, dec.Decode(&m.value))
		members = append(members, m)
	}
	flags := reflect.TypeFor[Features]()
	for i := range flags.NumField() {
		if reflect.ValueOf(got).FieldByName(flags.Field(i).Name).Bool() {
			continue
		}
		said := nested && strings.Contains(strings.ToLower(strings.ToUpper(data)), strings.ToLower(flags.Field(i).Name))
		for _, m := range members {
			yes := slices.Contains([]string{"true", "1", `"1"`, `"true"`, "null"}, string(m.value))
			// encoding/json compares names in this way, too.
			said = said || !yes && strings.EqualFold(m.name, flags.Field(i).Name)
		}
		require.True(t, said, "%s was not told", flags.Field(i).Name)
	}
}

// A wait is never negative nor overflows, and says what the header says (RFC 9110 10.2.3).
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{
		"", "0", "120", "-1", "+5", " 7", "1.5", "9223372036854775807", "9223372037", "99999999999999999999999", "0x10",
		"1_0",
		"Fri, 31 Dec 9999 23:59:59 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"Wed, 15 Nov 2023 00:00:00 GMT",
	} {
		f.Add(s, int64(1_700_000_000))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		now := time.Unix(unix%(1<<40), 0)
		got := retryAfter(http.Header{"Retry-After": {value}}, now)
		require.GreaterOrEqual(t, got, time.Duration(0))
		digits := value != "" && strings.Trim(value, "0123456789") == ""
		at, err := http.ParseTime(value)
		switch {
		case digits:
			seconds, ok := new(big.Int).SetString(value, 10)
			require.True(t, ok)
			most := big.NewInt(math.MaxInt64 / int64(time.Second))
			if seconds.Cmp(most) > 0 {
				seconds = most
			}
			require.Equal(t, time.Duration(seconds.Int64())*time.Second, got)
		case err == nil && at.After(now):
			require.Equal(t, at.Sub(now), got)
		case err == nil:
			require.Zero(t, got)
		}
	})
}

// Whatever text a profile names as its picture: the request stays below /media/ of the service, or
// goes without the token. It goes elsewhere only where that is permitted.
func FuzzMediaToken(f *testing.F) {
	for _, s := range []string{
		"abc", "a/b.png", "../logout", "%2e%2e/logout", "a/..\\..", "x?mf=1#y", "//evil.example/x", "@evil.example",
		"%zz", "%252e%252e/x", "", ".", "a%2f..%2f..",
		"http://service.example/api/media/x?mf" +
			"1", "http://service.example/api/media/../logou" +
			"t", "HTTP://service.example/api/media/x", "https://evil.example/x",
		"http://service.example@evil.example/", "http://", "https:/x", "ftp://x", "a\nb", "a\x00", "é",
		"http://service.example/api/media//evil", "http://service.example./x", "http://service.example:80/x",
		"http://\u212aervice.example/x", "http://service.example\\@evil.example/x",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, token string, foreign bool) {
		var asked *http.Request
		c := connect(t, "http://service.example/api", func(c *Config) {
			c.FetchForeignURLs = foreign
			c.HTTPClient = &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				body := io.NopCloser(strings.NewReader(loginOK))
				if req.Method == http.MethodGet {
					asked, body = req, http.NoBody
				}
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: req}, nil
			})}
		})
		c.login(t)
		m, err := c.getMedia(t.Context(), token)
		if err != nil {
			requireFit(t, err)
			return
		}
		m.Close()
		at := asked.URL.Scheme + "://" + asked.URL.Host
		require.True(t, foreign || at == "http://service.example", "%q is fetched from %s", token, at)
		if asked.Header.Get("Authorization") == "" {
			require.True(t, isURL(token), "%q goes without the token", token)
			return
		}
		require.Equal(t, "http://service.example", at)
		require.Empty(t, asked.URL.RawQuery)
		raw, _, _ := strings.Cut(asked.URL.RequestURI(), "?")
		for range 2 { // as written, and as a server may read it
			require.True(t, strings.HasPrefix(raw, "/api/media/"), raw)
			slashes := strings.ReplaceAll(raw, "\\", "/")
			require.True(t, strings.HasPrefix(path.Clean(slashes)+"/", "/api/media/"), raw)
			if raw, err = url.PathUnescape(raw); err != nil {
				break
			}
		}
	})
}

// The Content-Range of a part is a range of a file, or refused.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{
		"bytes 0-99/1234", "bytes 5-9/*", "bytes */5", "", "bytes -1-2/3", "bytes 9223372036854775808-/1",
		"bytes 0-1/-5", "0", "bytes bytes 1-2/3", "bytes 5-4/9", "bytes 0-9/9", "bytes 0-9223372036854775807/*",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		from, end, total, err := contentRange(value)
		if err != nil {
			requireFit(t, err)
			return
		}
		require.GreaterOrEqual(t, from, int64(0))
		require.Greater(t, end, from)
		require.True(t, total == -1 || total >= end, total)
	})
}

// A base URL, also one that a lookup has answered, is https without user, query and fragment, and
// paths can be put behind it.
func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{
		"https://api.example.com/api/v1/", "http://h", "https://u:p@h", "https://h?x", "https://h#",
		"https://[::1]:1/%2f", "HTTPS://H//", "https://", "//h", "https://h/\n",
	} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, raw string, allowInsecure bool) {
		base, err := parseBase(raw, allowInsecure)
		if err != nil {
			require.Equal(t, 400, fail(t, err).Status)
			return
		}
		u, err := url.Parse(base + "/login")
		require.NoError(t, err)
		require.True(t, u.Scheme == "https" || u.Scheme == "http" && allowInsecure, u.Scheme)
		require.NotEmpty(t, u.Hostname())
		require.Nil(t, u.User)
		require.Empty(t, u.RawQuery+u.Fragment)
		require.True(t, strings.HasSuffix(u.Path, "/login"))
		again, err := parseBase(base, allowInsecure)
		require.NoError(t, err)
		require.Equal(t, base, again)
	})
}
