package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// caFile is beside the database, and has what clients have to trust.
const caFile = "ca.pem"

// ownCertificate reads the files of -cert and -key.
func ownCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("-cert: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("-key: %w", err)
	}
	if !slices.Contains(blocks(cert), "CERTIFICATE") {
		return nil, fmt.Errorf("-cert: %s has no certificate in PEM (-----BEGIN CERTIFICATE-----)", certFile)
	}
	at := slices.IndexFunc(blocks(key), func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	switch {
	case at < 0:
		return nil, fmt.Errorf("-key: %s has no private key in PEM (-----BEGIN PRIVATE KEY-----)", keyFile)
	case blocks(key)[at] == "ENCRYPTED PRIVATE KEY" || bytes.Contains(key, []byte("Proc-Type: 4,ENCRYPTED")):
		return nil, fmt.Errorf("-key: %s is encrypted; openssl pkey -in %[1]s decrypts it", keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil && strings.Contains(err.Error(), "does not match"):
		return nil, fmt.Errorf("-key: %s is not the key of the first certificate in %s", keyFile, certFile)
	case err != nil:
		return nil, fmt.Errorf("-cert %s, -key %s: %w", certFile, keyFile, err)
	case len(pair.Leaf.DNSNames)+len(pair.Leaf.IPAddresses) == 0:
		return nil, fmt.Errorf("-cert: %s is for no host: it has no subjectAltName, and no client takes it", certFile)
	}
	return &pair, nil
}

// hostsOf are the names and addresses that a certificate is for.
func hostsOf(cert *x509.Certificate) string {
	hosts := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return strings.Join(hosts, ", ")
}

// blocks are the types of the blocks in a PEM file.
func blocks(file []byte) (types []string) {
	for {
		b, rest := pem.Decode(file)
		if b == nil {
			return types
		}
		types, file = append(types, b.Type), rest
	}
}

// writeCA copies what clients have to trust to where they find it, also after a restart, and
// returns that file's name.
func writeCA(srv *sdktest.Server, s settings) (file string, err error) {
	raw, err := os.ReadFile(srv.CAFile())
	switch {
	case err != nil:
		return "", err
	case s.caOut != "":
		return s.caOut, os.WriteFile(s.caOut, raw, 0o644)
	case s.data != "":
		file = filepath.Join(s.data, caFile)
		return file, replaceFile(file, raw)
	}
	return srv.CAFile(), nil
}

// replaceFile gives a file another content, all of it or nothing, also when the program is killed.
func replaceFile(name string, content []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, content) {
		return nil
	}
	next := name + ".new" // of a program that was killed it may be there already
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(next, name)
}
