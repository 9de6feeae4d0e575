package xmppserver

import (
	"path/filepath"
	"testing"
)

// Cluster starts two ejabberd nodes that are one service: one domain, one
// replicated database. The first listens on 127.0.0.1, the second on 127.0.0.2,
// on the same ports. Each can be stopped, killed and started on its own; after
// both were stopped, the one stopped last must start first.
func Cluster(t testing.TB, o Options) (a, b *Server) {
	t.Helper()
	need(t, "ejabberd")
	h := newHost(t, o)
	dir := filepath.Join(h.dir, "cluster")
	node := func(name, ip string) *Server {
		s := h.server("ejabberd", filepath.Join(dir, name), ip)
		s.start = []string{"start-ejabberd-cluster.sh", dir, name}
		return s
	}
	a, b = node("a", "127.0.0.1"), node("b", "127.0.0.2")
	h.launch([]string{"start-ejabberd-cluster.sh", dir})
	return a, b
}
