// Package localpage guards the pages that examples serve on this machine.
package localpage

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// HostAllowed reports whether nobody else's DNS can have pointed a request's Host here (DNS
// rebinding): it is an address, localhost, or own, the name in the address that the page listens at
// (empty: none).
func HostAllowed(host, own string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.Trim(name, "[]")
	_, err = netip.ParseAddr(name)
	return err == nil || strings.EqualFold(name, "localhost") || (own != "" && strings.EqualFold(name, own))
}

// Limit answers 503 to more than n requests at once.
func Limit(n int, next http.HandlerFunc) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			next(w, r)
		default:
			http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		}
	})
}
