package faults

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what the names of these tests end in. The certificate of sdktest is good for them.
const zone = ".mirrorfly.test"

// nameServer answers for the names of the tests, by UDP and TCP, with 127.0.0.1, and with faults
// for those that have one.
type nameServer struct {
	udp  *net.UDPConn
	tcp  net.Listener
	done chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	faults map[string]fault
}

func startNames() *nameServer {
	ip := net.ParseIP(ownIP("names"))
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		panic(err) // there is no test yet that could fail
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: tcp.Addr().(*net.TCPAddr).Port})
	if err != nil {
		panic(err)
	}
	s := &nameServer{udp: udp, tcp: tcp, done: make(chan struct{}), faults: map[string]fault{}}
	s.wg.Go(s.serveUDP) // ends with close
	s.wg.Go(s.serveTCP) // likewise
	return s
}

func (s *nameServer) close() {
	close(s.done)
	_ = s.udp.Close()
	_ = s.tcp.Close()
	s.wg.Wait()
}

// resolver asks this server alone.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, s.tcp.Addr().String())
		if err != nil {
			return nil, err
		}
		// the resolver reads on for 5 s after its caller has left
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		return conn, nil
	}}
}

// set makes name have a fault; "" heals it.
func (s *nameServer) set(name string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name+"."] = f
}

func (s *nameServer) faultOf(name string) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[name]
}

func (s *nameServer) serveUDP() {
	for {
		buf := make([]byte, 2048)
		n, from, err := s.udp.ReadFromUDP(buf)
		if err != nil {
			return
		}
		s.answerUDP(buf[:n], from)
	}
}

func (s *nameServer) answerUDP(packet []byte, to *net.UDPAddr) {
	q, err := parseQuery(packet)
	if err != nil {
		return
	}
	answer := q.answer()
	send := func(packets ...[]byte) {
		for _, p := range packets {
			_, _ = s.udp.WriteToUDP(p, to) // a datagram may get lost
		}
	}
	switch s.faultOf(q.name()) {
	case silent:
	case refused:
		q.message.RCode = dnsmessage.RCodeRefused
		send(q.pack())
	case slow, cut, reset, truncated: // those need a connection
		q.message.Truncated = true
		send(q.pack())
	case garbage:
		send([]byte("HTTP/1.1 200 OK\r\n\r\n<html>guest network</html>"))
	case oversized:
		send(q.crowd(3000))
	case duplicated:
		send(answer, answer)
	case reordered:
		send(q.backwards())
	case wrongSender:
		stranger, err := net.DialUDP("udp", nil, to)
		if err == nil {
			_, _ = stranger.Write(answer)
			_ = stranger.Close()
		}
	case wrongID:
		q.message.ID++
		send(q.answer())
	default:
		send(answer)
	}
}

func (s *nameServer) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { // ends with the connection, at the latest with close
			defer conn.Close()
			s.answerTCP(conn.(*net.TCPConn))
		})
	}
}

func (s *nameServer) answerTCP(conn *net.TCPConn) {
	var size uint16
	if binary.Read(conn, binary.BigEndian, &size) != nil {
		return
	}
	packet := make([]byte, size)
	if _, err := io.ReadFull(conn, packet); err != nil {
		return
	}
	q, err := parseQuery(packet)
	if err != nil {
		return
	}
	answer := q.answer()
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)
	switch s.faultOf(q.name()) {
	case cut:
	case reset:
		_ = conn.SetLinger(0)
	case truncated:
		_, _ = conn.Write(framed[:len(framed)/2])
	case slow:
		s.trickle(conn, framed)
	default:
		_, _ = conn.Write(framed)
	}
}

func (s *nameServer) trickle(conn net.Conn, data []byte) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range data {
		select {
		case <-tick.C:
		case <-s.done:
			return
		}
		if _, err := conn.Write(data[i : i+1]); err != nil {
			return
		}
	}
}

// query is a question, made ready for its answer.
type query struct{ message dnsmessage.Message }

func parseQuery(packet []byte) (*query, error) {
	q := new(query)
	if err := q.message.Unpack(packet); err != nil {
		return nil, err
	}
	if len(q.message.Questions) != 1 {
		return nil, io.ErrUnexpectedEOF
	}
	q.message.Response, q.message.Authoritative, q.message.RecursionAvailable = true, true, true
	q.message.Additionals = nil
	return q, nil
}

func (q *query) question() dnsmessage.Question { return q.message.Questions[0] }
func (q *query) name() string                  { return q.question().Name.String() }

func (q *query) pack() []byte {
	packed, err := q.message.Pack()
	if err != nil {
		panic(err) // what was unpacked can be packed
	}
	return packed
}

func (q *query) header(name dnsmessage.Name, kind dnsmessage.Type) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: name, Type: kind, Class: dnsmessage.ClassINET, TTL: 1}
}

// answer is the right one: 127.0.0.1 for a name of ours, no such name for others.
func (q *query) answer() []byte { return q.crowd(1) }

// crowd has the one address so many times.
func (q *query) crowd(times int) []byte {
	q.message.Answers = nil
	if !strings.HasSuffix(q.name(), zone+".") {
		q.message.RCode = dnsmessage.RCodeNameError
		return q.pack()
	}
	for range times {
		if q.question().Type == dnsmessage.TypeA {
			q.message.Answers = append(q.message.Answers, dnsmessage.Resource{
				Header: q.header(
					q.question().Name, dnsmessage.TypeA,
				), Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	return q.pack()
}

// backwards has the address before the alias that leads to it.
func (q *query) backwards() []byte {
	q.message.Answers = nil
	target := dnsmessage.MustNewName("target" + zone + ".")
	if q.question().Type == dnsmessage.TypeA {
		q.message.Answers = append(q.message.Answers, dnsmessage.Resource{
			Header: q.header(target, dnsmessage.TypeA), Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		})
	}
	q.message.Answers = append(q.message.Answers, dnsmessage.Resource{
		Header: q.header(q.question().Name, dnsmessage.TypeCNAME), Body: &dnsmessage.CNAMEResource{CNAME: target},
	})
	return q.pack()
}
