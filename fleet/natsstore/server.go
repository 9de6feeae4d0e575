package natsstore

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is a NATS server in this process.
type Server struct{ server *server.Server }

// portFile keeps the port, so that a server that is started again is where members look for it.
const portFile = "port"

// Embedded starts a NATS server with JetStream in this process, which keeps its data in dir and
// listens on the loopback address: enough for the members of one machine. Its port is the one that
// it had in dir before, if that is free. It asks nobody who they are: any user of the machine can
// connect.
//
// It ends with the process, or with Close. A fleet that must outlive a machine needs a cluster of
// its own.
func Embedded(dir string) (*Server, error) {
	if dir == "" {
		return nil, errors.New("natsstore: a server needs a directory")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("natsstore: %w", err)
	}
	s, err := start(dir, lastPort(dir))
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(s.server.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(filepath.Join(dir, portFile), []byte(port+"\n"), 0o600); err != nil {
		s.Close()
		return nil, fmt.Errorf("natsstore: %w", err)
	}
	return s, nil
}

// lastPort is the port that the server had before, if it is free, else any.
func lastPort(dir string) int {
	raw, err := os.ReadFile(filepath.Join(dir, portFile))
	if err != nil {
		return server.RANDOM_PORT
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || port < 1 || port > 65535 {
		return server.RANDOM_PORT
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return server.RANDOM_PORT
	}
	_ = listener.Close() // it was there to see whether it can be
	return port
}

const (
	loopback = "127.0.0.1"
	// startTime is how long a server may take until it answers: it reads what it has kept.
	startTime = 30 * time.Second
)

func start(dir string, port int) (*Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "mirrorfly-fleet", Host: loopback, Port: port, JetStream: true, StoreDir: dir,
		// A revision that was told must not be given out again after the machine has lost power.
		SyncAlways: true,
		NoLog:      true, NoSigs: true,
	})
	if err != nil {
		return nil, fmt.Errorf("natsstore: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, errors.New("natsstore: the server does not start: does another one use its directory?")
	}
	return &Server{s}, nil
}

// URL is where members connect to.
func (s *Server) URL() string { return s.server.ClientURL() }

// Close ends the server. What it keeps stays.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
