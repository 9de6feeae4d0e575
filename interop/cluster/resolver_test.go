package cluster

import (
	"context"
	"encoding/binary"
	"io"
	"net"

	"golang.org/x/net/dns/dnsmessage"
)

// The names that the tests can look up, with their addresses in the order in which they
// are always told. The certificate of the nodes is good for them.
var records = map[string][][4]byte{
	"both.xmpp.mirrorfly.test.":      {{127, 0, 0, 1}, {127, 0, 0, 2}},
	"half-dead.xmpp.mirrorfly.test.": {{127, 0, 0, 3}, {127, 0, 0, 1}},
}

// resolver is a DNS server inside this process, asked as over TCP.
func resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go answer(server) // ends when the resolver closes its side
		return client, nil
	}}
}

func answer(conn net.Conn) {
	defer conn.Close()
	for {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply, err := reply(query)
		if err != nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

func reply(query []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	for _, q := range m.Questions {
		addresses, known := records[q.Name.String()]
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, a := range addresses {
			if q.Type == dnsmessage.TypeA {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
					Body:   &dnsmessage.AResource{A: a},
				})
			}
		}
	}
	return m.Pack()
}
