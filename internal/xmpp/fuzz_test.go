package xmpp

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"mellium.im/sasl"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// A JID that is accepted can be written and read again, whatever its case, and cannot hold what ends a line, a
// word or an attribute.
func FuzzParseJID(f *testing.F) {
	for _, s := range []string{
		"", "a@b/c", "A@B.", "İ@x/y", "@/", "a@b/ /", "a@b..", "a@@b", "a@b@c", "ﬀ@x", "a\u0300@x", "a@b/\u202e", "\u2028@b",
		strings.Repeat("x", maxJIDPart) + "@y", strings.Repeat("İ", 600) + "@y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var j JID
		var err error
		fuzz.Bounded(t, len(s), maxFrame, func() { j, err = ParseJID(s) })
		if err != nil {
			require.Zero(t, j)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		again, err := ParseJID(j.String())
		require.NoError(t, err)
		require.Equal(t, j, again)
		require.Equal(t, j, JID{j.Bare().Local, j.Bare().Domain, j.Resource})
		for _, part := range []string{j.Local, j.Domain, j.Resource} {
			require.LessOrEqual(t, len(part), maxJIDPart)
			require.True(t, utf8.ValidString(part))
			require.False(t, strings.ContainsFunc(part, unicode.IsControl))
		}
		require.NotEmpty(t, j.Domain)
		require.False(t, strings.ContainsAny(j.Local+j.Domain, "<>&\"'@/ \n"))
		if i := strings.IndexByte(s, '/'); i < 0 {
			upper, err := ParseJID(asciiUpper(s))
			require.NoError(t, err)
			require.Equal(t, j, upper)
		}
	})
}

func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 32
		}
	}
	return string(b)
}

// An address is one of four kinds and reads the same when it is written and read again. A server's wish to go
// elsewhere never leads to a worse kind.
func FuzzParseAddresses(f *testing.F) {
	for _, s := range []string{
		"wss://h/p?q", "h:5222,xmpps://[::1]", "xmpp://h:1/", "ws://u:p@h", "h", "wss://h/%2f?a=%zz", ":1", "wss://h#f", "://", "h:99999", "[::1%25eth0]:1",
	} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, tcp bool) {
		addresses, err := ParseAddresses(s, tcp)
		if err != nil {
			require.Empty(t, addresses)
		}
		for _, a := range addresses {
			require.Contains(t, []string{schemeWS, schemeWSS, schemeXMPP, schemeXMPPS}, a.Scheme)
			_, _, err := net.SplitHostPort(a.Host)
			require.NoError(t, err)
			if strings.Contains(a.url(), ",") {
				continue // a comma inside a path or query ends an entry
			}
			again, err := ParseAddresses(a.url(), tcp)
			require.NoError(t, err, a.url())
			require.Equal(t, []Address{a}, again)
		}
		for _, here := range []Address{{schemeWS, "h:1", "/x", ""}, {schemeWSS, "h:1", "/x", ""}, {schemeXMPP, "h:1", "", ""}, {schemeXMPPS, "h:1", "", ""}} {
			if next, err := (&redirect{s}).from(here); err == nil {
				require.True(t, next.Scheme == here.Scheme || here.Scheme == schemeWS && next.Scheme == schemeWSS, "%v to %v", here, next)
			}
		}
	})
}

// Whatever comes over TCP, in whatever pieces: bounded frames, each one element to the checks of the session too, and
// each what a plain XML decoder reads from the whole stream at that place.
func FuzzCutStream(f *testing.F) {
	for _, s := range []string{
		`<presence/><iq id="1"><a/></iq></stream:stream>`, `<a b='>'/>  <c>&lt;<![CDATA[]]]]></c>`, `<a><!-- --></a>`,
		`<a`, `</b>`, `<stream:error/>`, `<a xmlns = 'x'/>`, "<a\x00/>", `<?x?>`, `<a / >`, `<a/ b="1"></a>`,
		`<a xmlns='u'><b/></a><x y="xmlns=''"/>`, `<stream:a><stream:b xmlns:stream="u"/></stream:a>`, `<a>]]></a>`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(serverStream+s), false)
	}
	f.Add([]byte(`<s:stream xmlns:s="http://etherx.jabber.org/streams" xmlns:c="jabber:client" version="1.0" xmlns="a&amp;b"><c:iq c:x=""/></s:stream>`), false)
	f.Fuzz(func(t *testing.T, in []byte, inStream bool) {
		if inStream {
			in = append([]byte(serverStream), in...)
		}
		var frames []string
		var err error
		fuzz.Bounded(t, len(in), maxFrame, func() { frames, err = cut(bytes.NewReader(in)) })
		if err == nil && (len(frames) == 0 || frames[len(frames)-1] != closeFrame) {
			t.Fatal("neither error nor end")
		}
		pieces, err2 := cut(iotest.OneByteReader(bytes.NewReader(in)))
		require.Equal(t, frames, pieces)
		require.Equal(t, err == nil, err2 == nil)
		for _, frame := range frames {
			require.LessOrEqual(t, len(frame), maxFrame+len(in), "what the header declares is added")
		}
		requireSameElements(t, in, frames)
	})
}

// requireSameElements holds each frame against the child of the stream that a plain decoder reads. Where the
// decoder finds an error, the frame there must be one to us too.
func requireSameElements(t *testing.T, stream []byte, frames []string) {
	if len(frames) == 0 {
		return
	}
	dec := xml.NewDecoder(bytes.NewReader(stream))
	dec.DefaultSpace = nsClient // as we have it where the header names none
	if _, err := nextElement(dec); err != nil {
		if bytes.HasPrefix(stream, []byte("<?")) {
			return // it reads declarations in a way of its own
		}
		t.Fatalf("a stream header that is none: %v", err)
	}
	for _, frame := range frames[1:] {
		if frame == closeFrame {
			return
		}
		got, broken := wholeElement(frame)
		start, err := nextElement(dec)
		var want node
		if err == nil {
			want, err = readNode(dec, start)
		}
		if err != nil {
			if broken == nil && !isASCII([]byte(frame)) {
				return // letters beyond ASCII are all good for a name to us
			}
			require.Error(t, broken, "%q is accepted, and the stream has %v", frame, err)
			return
		}
		if broken == nil {
			require.Equal(t, want.textFirst().String(), got.String())
		}
	}
}

func nextElement(dec *xml.Decoder) (xml.StartElement, error) {
	tok, err := dec.Token()
	for ; err == nil; tok, err = dec.Token() {
		switch tok := tok.(type) {
		case xml.StartElement:
			return tok, nil
		case xml.EndElement:
			return xml.StartElement{}, io.EOF
		}
	}
	return xml.StartElement{}, err
}

// wholeElement reads a frame as a session does.
func wholeElement(frame string) (node, error) {
	st, err := parse(frame)
	if err != nil {
		return node{}, err
	}
	return asNode(st.element), nil
}

// Whatever comes in one frame after the login: what is accepted is one well-formed element without anything that XMPP
// forbids, who sent an event was entitled to, and what we answer is well-formed and goes to the sender.
func FuzzReceive(f *testing.F) {
	for _, e := range loadVectors(f).Events {
		f.Add([]byte(e.Inbound))
	}
	for _, m := range loadVectors(f).Methods {
		f.Add([]byte(m.Inbound))
	}
	for _, s := range []string{
		closeFrame, plainFeatures, `<a>&x;</a>`, `<a/><b/>`, `<a/ >`, `<r xmlns="urn:xmpp:sm:3"/>`,
		`<iq type="result" id="w"><blocklist><members>x</members></blocklist></iq>`,
		`<iq type="result" from="bob@xmpp.example.com"><vCard xmlns="vcard-temp"><nickName>x</nickName></vCard></iq>`,
		`<message from="bob@xmpp.example.com/x"><userblocked blocked_user="bob" type="block_user"/></message>`,
		`<message from="xmpp.example.com"><user_deleted user="x"/><admin_block jid="y"/><logout socket_id="1,2"/></message>`,
		`<message from="alice_1@xmpp.example.com"><received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message from="eve@x"><user_deleted user="x"/></message></forwarded></received></message>`,
		`<iq type="get" id="&quot;" from="&lt;"><ping xmlns="urn:xmpp:ping"/></iq>`, `<iq type="set" id="1"><block xmlns="urn:xmpp:blocking"><item jid="x"/></block></iq>`,
		`<presence from="bob@x" type="&#10;"/>`, `<message><body>` + strings.Repeat("<a/>", 100) + `</body></message>`,
	} {
		f.Add([]byte(s))
	}
	jid, err := ParseJID(testFull)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, frame []byte) {
		sink := &keeper{}
		var events []Event
		cfg := Config{Handle: func(e Event) { events = append(events, e) }}
		cfg.setDefaults()
		s := newSession(&cfg, &negotiation{cfg: &cfg, f: sink, jid: jid})
		w := &waiter{reply: make(chan reply, 1)}
		s.waiters.add("w", w)
		var err error
		fuzz.Bounded(t, len(frame), maxFrame, func() {
			err = s.receive(string(frame))
			s.flushers.Wait()
		})
		s.end(ErrClosed)
		stream := (*StreamError)(nil)
		if err != nil && !errors.Is(err, errServerClosed) && !errors.As(err, &stream) {
			require.ErrorIs(t, err, errMalformed)
			require.Less(t, len(err.Error()), 1000)
			require.Empty(t, events, "of what is not well-formed nothing is told")
			return
		}
		if requireOneElement(t, frame, err == nil) {
			root, err := wholeElement(string(frame))
			require.NoError(t, err)
			requireEntitled(t, root, events)
			requireAnswers(t, root, sink.frames())
		}
	})
}

// requireOneElement holds a frame that was accepted against a plain XML decoder. What ends the session need not be read to its end.
func requireOneElement(t *testing.T, frame []byte, whole bool) bool {
	dec := xml.NewDecoder(bytes.NewReader(frame))
	roots, depth := 0, 0
	for {
		tok, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if !whole && err != nil {
			return false
		}
		if err != nil && !isASCII(frame) {
			return whole // letters beyond ASCII are all good for a name to us
		}
		require.NoError(t, err)
		switch tok.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
			require.LessOrEqual(t, depth, maxDepth)
		case xml.EndElement:
			depth--
		case xml.Directive, xml.ProcInst, xml.Comment:
			t.Fatalf("accepted %T", tok)
		}
	}
	require.Equal(t, 1, roots)
	require.Zero(t, depth)
	return whole
}

// requireEntitled is who may tell what (protocol.md 13), read off the stanza once more and in another way.
func requireEntitled(t *testing.T, stanza node, events []Event) {
	const ours, server = testBare, testDomain
	bare := func(jid string) string {
		j, err := ParseJID(jid)
		if err != nil {
			return "nobody"
		}
		return j.Bare().String()
	}
	from := stanza.attr("from")
	speakers := []string{from} // whose words a message may carry
	if from == "" || strings.EqualFold(strings.TrimSuffix(from, "."), ours) {
		for _, inner := range stanza.all("message") {
			speakers = append(speakers, inner.attr("from"))
		}
	}
	trusted := func(speaker string) bool { return speaker == "" || bare(speaker) == ours || bare(speaker) == server }
	for _, event := range events {
		switch e := event.(type) {
		case Presence:
			require.Equal(t, bare(from), e.From.Bare().String())
			require.NotEqual(t, ours, e.From.Bare().String())
		case VCardPush:
			require.Equal(t, bare(from), e.From.String())
			require.Equal(t, testDomain, e.From.Domain)
			require.NotContains(t, from, "/")
		case BlockPush:
			require.True(t, from == "" || bare(from) == ours || bare(from) == server, from)
		case UserBlocked:
			require.True(t, slices.ContainsFunc(speakers, func(s string) bool {
				named, err := ParseJID(e.User + "@" + testDomain)
				return trusted(s) || err == nil && bare(s) == named.String()
			}), from)
		default:
			require.True(t, slices.ContainsFunc(speakers, trusted), "%T from %q", e, from)
		}
	}
}

// all returns the descendants of that name.
func (n node) all(name string) []node {
	var found []node
	for _, c := range n.inner {
		if child, ok := c.(node); ok {
			if child.name.Local == name {
				found = append(found, child)
			}
			found = append(found, child.all(name)...)
		}
	}
	return found
}

// requireAnswers: nothing that was received can break out of the attributes of an answer.
func requireAnswers(t *testing.T, asked node, frames [][]byte) {
	for _, frame := range frames {
		require.NoError(t, check(string(frame)))
		n, err := wholeElement(string(frame))
		require.NoError(t, err)
		require.Equal(t, "iq", n.name.Local)
		require.Contains(t, []string{kindResult, kindError}, n.attr("type"))
		require.Equal(t, clean(asked.attr("from")), clean(n.attr("to")))
		require.Equal(t, clean(asked.attr("id")), clean(n.attr("id")))
		require.LessOrEqual(t, len(n.inner), 1)
	}
}

// clean is a value without its white space, which two rounds of XML may write in two ways.
func clean(s string) string { return strings.Join(strings.Fields(s), "") }

// keeper is a transport that keeps what is written.
type keeper struct {
	nowhere
	mu   sync.Mutex
	sent [][]byte
}

func (k *keeper) WriteFrames(_ context.Context, frames ...[]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, frame := range frames {
		k.sent = append(k.sent, bytes.Clone(frame))
	}
	return nil
}

func (k *keeper) frames() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent
}

// answering is a transport whose other side answers the first request with reply and hangs up.
type answering struct {
	nowhere
	reply  string
	frames chan string
	done   chan struct{}
	once   sync.Once
	over   bool
}

func (a *answering) WriteFrames(_ context.Context, frames ...[]byte) error {
	n, err := parseNode(string(frames[0])) // there is one request
	if err != nil || n.attr("type") != kindGet && n.attr("type") != kindSet {
		return err
	}
	select {
	case a.frames <- strings.ReplaceAll(a.reply, "ID", n.attr("id")):
	case <-a.done:
	}
	return nil
}

func (a *answering) ReadFrame(context.Context) (string, error) {
	if a.over {
		return "", io.EOF
	}
	select {
	case frame := <-a.frames:
		a.over = true
		return frame, nil
	case <-a.done:
		return "", io.EOF
	}
}

func (a *answering) Cut() { a.once.Do(func() { close(a.done) }) }

// Whatever a request is answered with: the call ends, and returns nothing that is not in the answer.
func FuzzReply(f *testing.F) {
	for op, m := range loadVectors(f).Methods {
		if _, inner, ok := strings.Cut(m.Inbound, ">"); ok {
			f.Add(`type="result"`, strings.TrimSuffix(inner, "</iq>"), byte(op))
		}
	}
	f.Add(`type="result" from="bob@xmpp.example.com"`, `<query xmlns="jabber:iq:last" seconds="-5"/>`, byte(0))
	f.Add(`type="result"`, `<a><blocklist><members> x </members><members><b/>y</members></blocklist></a>`, byte(2))
	f.Add(`type="error"`, `<error type="cancel"><x xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text>`+"\n"+`</text></error>`, byte(3))
	jid, err := ParseJID(testFull)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, attrs, inner string, op byte) {
		reply := `<iq xmlns="jabber:client" id="ID" ` + attrs + `>` + inner + `</iq>`
		cfg := Config{}
		cfg.setDefaults()
		end := &answering{reply: reply, frames: make(chan string, 1), done: make(chan struct{})}
		s := newSession(&cfg, &negotiation{cfg: &cfg, f: end, jid: jid})
		served := make(chan struct{})
		go func() { // ends with the session
			defer close(served)
			_ = s.Serve()
		}()
		var returned []string
		var err error
		fuzz.Bounded(t, len(reply), maxFrame, func() { returned, err = ask(t, s, op) })
		s.end(ErrClosed)
		<-served
		if err != nil {
			require.Less(t, len(err.Error()), 2000)
			return
		}
		root, err := wholeElement(reply)
		require.NoError(t, err, "it was taken for a reply")
		require.Equal(t, kindResult, root.attr("type"))
		for _, s := range returned {
			require.NotEmpty(t, s)
			require.Contains(t, root.String(), strings.Trim(quoted(s), `"`))
		}
	})
}

// quoted is s as node prints it.
func quoted(s string) string {
	n := node{attrs: []xml.Attr{{Name: xml.Name{Local: "a"}, Value: s}}}
	_, value, _ := strings.Cut(n.String(), "a=")
	return strings.TrimSuffix(value, "></>")
}

// ask makes one of the requests and returns what came back.
func ask(t *testing.T, s *Session, op byte) ([]string, error) {
	ctx := t.Context()
	switch op % 5 {
	case 0:
		_, seconds, err := s.LastActivity(ctx, "bob@xmpp.example.com")
		require.GreaterOrEqual(t, seconds, int64(0))
		return nil, err
	case 1:
		list, err := s.BlockList(ctx)
		require.Equal(t, err == nil, list != nil)
		return list, err
	case 2:
		list, err := s.WhoBlockedMe(ctx)
		require.Equal(t, err == nil, list != nil)
		return nil, err // text: pieces of it may stand apart
	case 3:
		return nil, s.SetVCard(ctx, VCard{NickName: "x"})
	default:
		return nil, s.Ping(ctx)
	}
}

// scriptedConn is a connection whose other side has said everything already.
type scriptedConn struct {
	net.Conn
	in   io.Reader
	mu   *sync.Mutex
	sent *bytes.Buffer
}

func (c scriptedConn) Read(p []byte) (int, error) { return c.in.Read(p) }
func (c scriptedConn) Close() error               { return nil }

func (c scriptedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.Write(p)
}

// Whatever a server says from its first byte on, and when the lost stream is taken up again: the login ends, succeeds only with a
// full JID, and without TLS nothing secret is ever said unless that was permitted.
func FuzzHandshake(f *testing.F) {
	const bound = `<iq id="_bind_auth_2" type="result"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>` + testFull + `</jid></bind></iq>`
	features := func(inner string) string { return `<stream:features>` + inner + `</stream:features>` }
	login := func(more string) string {
		return serverStream + features(`<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms>`) +
			saslSuccess + serverStream + features(`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><sm xmlns="urn:xmpp:sm:3"/>`) + more
	}
	manage := `<enabled xmlns="urn:xmpp:sm:3" id="x" resume="true"/><a xmlns="urn:xmpp:sm:3" h="1"/><r xmlns="urn:xmpp:sm:3"/>`
	f.Add([]byte(login(bound+manage)), []byte(login(`<resumed xmlns="urn:xmpp:sm:3" previd="x" h="1"/><presence from="a@b"/>`)), true)
	f.Add([]byte(login(bound+manage)), []byte(login(`<failed xmlns="urn:xmpp:sm:3"/>`+bound)), true)
	f.Add([]byte(login(bound+`</stream:stream>`)), []byte{}, true)
	f.Add([]byte(login(bound)), []byte{}, false)
	f.Add([]byte(serverStream+features(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)+`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`), []byte{}, true)
	f.Add([]byte(strings.ReplaceAll(login(bound), "PLAIN", "SCRAM-SHA-1")+`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">cj0=</challenge>`), []byte{}, true)
	f.Add([]byte("<?><0>"), []byte{}, true)
	f.Add([]byte(serverStream+`<stream:error><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">h:1</see-other-host></stream:error>`), []byte{}, true)
	f.Fuzz(func(t *testing.T, first, second []byte, insecure bool) {
		memory := &Memory{}
		resume := tryHandshake(t, first, insecure, memory, nil)
		if resume != nil {
			tryHandshake(t, second, insecure, memory, resume)
		}
	})
}

func tryHandshake(t *testing.T, in []byte, insecure bool, memory *Memory, resume *Resumption) *Resumption {
	var sent bytes.Buffer
	var mu sync.Mutex
	cfg := testConfig("xmpp://h:5222")
	cfg.AllowInsecure, cfg.Memory, cfg.Resume = insecure, memory, resume
	cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return scriptedConn{in: bytes.NewReader(in), mu: &mu, sent: &sent}, nil
	}
	var s *Session
	var err error
	fuzz.Bounded(t, 3*len(in), maxFrame, func() { // it may send us elsewhere twice
		if s, err = Dial(t.Context(), cfg); err == nil {
			if err = s.Start(t.Context()); err == nil {
				err = s.Serve()
			}
		}
	})
	require.Error(t, err, "the connection ends")
	require.NotContains(t, sent.String(), testPassword)
	require.NotContains(t, err.Error(), testPassword)
	if !insecure {
		require.Nil(t, s)
		require.NotContains(t, sent.String(), "<auth")
	}
	if s == nil {
		return nil
	}
	require.NotEmpty(t, s.JID().Local)
	require.NotEmpty(t, s.JID().Resource)
	return s.Resumption()
}

// A server's SCRAM message that passes our check keeps the login neither busy nor waiting.
func FuzzServerFirst(f *testing.F) {
	for _, s := range []string{
		"r=NONCEx,s=c2FsdA==,i=4096", "r=NONCE,s=c2FsdA==,i=4096", "r=NONCEx,s=c2FsdA==,i=99999999999", "r=NONCEx,s=c2FsdA==,i=4096,x=,",
		"r=NONCEx,s=,i=4096", "m=x,r=NONCEx,s=c2FsdA==,i=4096", "r=NONCEx,s=c2FsdA==,i=4096,a", "", ",,,", "r=NONCEx,s=c2FsdA==,i=4096,i=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		client := sasl.NewClient(sasl.ScramSha256, sasl.Credentials(func() ([]byte, []byte, []byte) {
			return []byte(testUser), []byte(testPassword), nil
		}))
		_, _, err := client.Step(nil)
		require.NoError(t, err)
		msg = strings.ReplaceAll(msg, "NONCE", string(client.Nonce()))
		if checkServerFirst(msg, string(client.Nonce())) != nil {
			return
		}
		fields := strings.Split(msg, ",")
		require.True(t, strings.HasPrefix(fields[0], "r="+string(client.Nonce())))
		require.Greater(t, len(fields[0]), len("r=")+len(client.Nonce()))
		count := strings.TrimLeft(strings.TrimPrefix(fields[2], "i="), "+0")
		require.LessOrEqual(t, len(count), len("1000000"), count)
		if len(count) > len("4096") {
			return // permitted, and too slow to try each
		}
		var resp []byte
		fuzz.Bounded(t, len(msg), maxFrame, func() { _, resp, err = client.Step([]byte(msg)) })
		if err == nil {
			require.NotContains(t, string(resp), testPassword)
		}
	})
}
