package natsstore_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/natsstore"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	bucket = "fleet"
	limit  = time.Minute
	pause  = 20 * time.Millisecond
)

// member is a member in this process.
type member struct {
	*fleet.Fleet
	ended chan error
	stop  context.CancelFunc

	mu   sync.Mutex
	lost int // accounts that were up and are not
}

// register registers accounts.
func register(t *testing.T, srv *sdktest.Server, n int) []fleet.Account {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	all := make([]fleet.Account, n)
	for i := range all {
		found, err := client.Register(t.Context(), fmt.Sprintf("bot%d", i))
		require.NoError(t, err)
		all[i] = fleet.Account{Username: found.Data.Username, Password: found.Data.Password}
	}
	return all
}

func join(t *testing.T, srv *sdktest.Server, js jetstream.JetStream, replicas int, accounts []fleet.Account) *member {
	t.Helper()
	store, err := natsstore.New(js, natsstore.Options{Bucket: bucket, Replicas: replicas})
	require.NoError(t, err)
	m := &member{ended: make(chan error, 1)}
	m.Fleet, err = fleet.New(fleet.Config{
		Client:   srv.Config(),
		Accounts: func(context.Context) ([]fleet.Account, error) { return accounts, nil },
		OnChange: m.note,
		Store:    store, TTL: 6 * time.Second,
	})
	require.NoError(t, err)
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	go func() { m.ended <- m.Run(ctx) }() // ends with leave
	t.Cleanup(m.stop)
	return m
}

func (m *member) note(s fleet.AccountStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.State != fleet.StateUp {
		m.lost++
	}
}

// losses is how many accounts were lost since it was asked last.
func (m *member) losses() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.lost
	m.lost = 0
	return n
}

func (m *member) leave(t *testing.T) {
	t.Helper()
	m.stop()
	require.NoError(t, patient.Receive(t, m.ended))
}

func (m *member) up() int {
	n := 0
	for _, s := range m.Accounts() {
		if s.State == fleet.StateUp {
			n++
		}
	}
	return n
}

// shared waits until each of the members has as many accounts up.
func shared(t *testing.T, n int, members ...*member) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, m := range members {
			if m.up() != n {
				return false
			}
		}
		return true
	}, limit, pause)
}

// Neither the stream nor what the server keeps of it has a password in it.
func TestNoPasswordInNATS(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 10)
	dir := t.TempDir()
	js := connect(t, embedded(t, dir).URL())
	a, b := join(t, srv, js, 1, accounts), join(t, srv, js, 1, accounts)
	shared(t, 5, a, b)
	a.leave(t)
	shared(t, 10, b)
	b.leave(t)

	stream, err := js.Stream(t.Context(), "KV_"+bucket)
	require.NoError(t, err)
	last, read := stream.CachedInfo().State.LastSeq, 0
	for seq := uint64(1); seq <= last; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			continue // a newer one has taken its place
		}
		read++
		requireNoPassword(t, accounts, fmt.Sprint(msg.Subject, msg.Header, string(msg.Data)))
	}
	require.GreaterOrEqual(t, read, 13, "bucket, members and shards")
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		requireNoPassword(t, accounts, string(raw))
		return err
	}))
}

func requireNoPassword(t *testing.T, accounts []fleet.Account, text string) {
	t.Helper()
	for _, a := range accounts {
		require.False(t, strings.Contains(text, a.Password), "a password was found")
	}
}

// One of three NATS servers dies: no account is lost.
func TestClusterLosesANode(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 10)
	nodes := cluster(t)
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.ClientURL())
	}
	js := connect(t, strings.Join(urls, ","))
	a, b := join(t, srv, js, 3, accounts), join(t, srv, js, 3, accounts)
	shared(t, 5, a, b)
	require.Equal(t, "KV_"+bucket, leaderOf(t, js, nodes).stream)
	a.losses()
	b.losses()

	leaderOf(t, js, nodes).node.Shutdown()
	before := revision(t, js)
	require.Eventually(t, func() bool { // both have renewed their heartbeats several times
		info, err := stateOf(t, js)
		return err == nil && info >= before+8
	}, limit, pause)
	require.Zero(t, a.losses()+b.losses())
	a.leave(t)
	shared(t, 10, b)
	b.leave(t)
}

type leader struct {
	stream string
	node   *server.Server
}

// leaderOf finds the server that leads the stream.
func leaderOf(t *testing.T, js jetstream.JetStream, nodes []*server.Server) leader {
	t.Helper()
	stream, err := js.Stream(t.Context(), "KV_"+bucket)
	require.NoError(t, err)
	info := stream.CachedInfo()
	require.Len(t, info.Cluster.Replicas, 2)
	for _, n := range nodes {
		if n.Name() == info.Cluster.Leader {
			return leader{info.Config.Name, n}
		}
	}
	require.FailNow(t, "the stream has no leader")
	return leader{}
}

func revision(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	var found uint64
	require.Eventually(t, func() bool {
		var err error
		found, err = stateOf(t, js)
		return err == nil
	}, limit, pause)
	return found
}

func stateOf(t *testing.T, js jetstream.JetStream) (uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// cluster starts three NATS servers. Each has to know where the others listen.
func cluster(t *testing.T) []*server.Server {
	t.Helper()
	const size = 3
	var ports []int
	var routes []*url.URL
	for range size {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: listener.Addr().String()})
		require.NoError(t, listener.Close())
	}
	var nodes []*server.Server
	for i, port := range ports {
		node, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: "fleet", Host: "127.0.0.1", Port: port},
		})
		require.NoError(t, err)
		node.Start()
		t.Cleanup(func() {
			node.Shutdown()
			node.WaitForShutdown()
		})
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		require.True(t, node.ReadyForConnections(limit))
	}
	return nodes
}

// A bucket that is deleted and made again while members are there is not the one that they knew.
func TestBucketMadeAnew(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 4)
	js := connect(t, embedded(t, t.TempDir()).URL())
	a := join(t, srv, js, 1, accounts)
	shared(t, 4, a)
	require.NoError(t, js.DeleteKeyValue(t.Context(), bucket))
	b := join(t, srv, js, 1, accounts)
	require.ErrorIs(t, patient.Receive(t, a.ended), fleet.ErrBucket)
	require.Empty(t, a.Accounts())
	shared(t, 4, b)
	b.leave(t)
}
