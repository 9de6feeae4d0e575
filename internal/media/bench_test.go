package media

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

// sink is the server of BenchmarkUpload, in a process of its own: it takes everything and keeps
// nothing.
func sink() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /media/upload", func(w http.ResponseWriter, r *http.Request) {
		var urls bytes.Buffer
		for n := range int(uploadSize()/partSize) + 1 {
			fmt.Fprintf(&urls, `,"http://%s/part/%d"`, r.Host, n)
		}
		fmt.Fprintf(
			w, `{"status":200,"data":{"uploadUrls":[%s],"fileToken":"t","storage":"minio","uploadId":"u"}}`,
			urls.Bytes()[1:],
		)
	})
	mux.HandleFunc(
		"POST /media/upload/commit",
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":200}`) },
	)
	mux.HandleFunc("PUT /part/{n}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"e"`)
	})
	return mux
}

// uploadSize is what BenchmarkUpload uploads: 64 MiB, or MEDIA_TEST_MIB.
func uploadSize() int64 {
	size := int64(64 << 20)
	if mib, err := strconv.ParseInt(os.Getenv("MEDIA_TEST_MIB"), 10, 64); err == nil {
		size = mib << 20
	}
	return size + 1 // so that there is a last part, and padding
}

// repeated is the same MiB over and over, which costs what reading a file from memory does.
type repeated struct{ rest []byte }

func (r *repeated) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = noise()[:1<<20]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// BenchmarkUpload holds the upload of an encrypted file against hashing, encrypting and copying the
// same file in memory. The goal is a cpu-ratio of at most 1.1.
func BenchmarkUpload(b *testing.B) {
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	c := rest.New(
		rest.Config{
			LicenseKey: "k", BaseURL: versus.Server(b), Trial: true, AllowInsecure: true,
			HTTPClient: &http.Client{Transport: transport},
		},
	)
	b.Cleanup(c.Close)
	size := uploadSize()
	versus.Compare(b, 1, func() {
		_, err := Upload(
			b.Context(), c,
			Source{Reader: io.LimitReader(&repeated{}, size), Size: size, Name: "a", ContentType: "x/y"}, true, testIV,
		)
		require.NoError(b, err)
	}, func() {
		key, vector, err := newCipher(testKey, testIV)
		require.NoError(b, err)
		mode, hash := cipher.NewCBCEncrypter(key, vector), sha256.New()
		src := io.LimitReader(&repeated{}, size)
		from, to := make([]byte, 64<<10), make([]byte, 64<<10)
		for {
			n, err := io.ReadFull(src, from)
			hash.Write(from[:n])
			n -= n % block
			mode.CryptBlocks(from[:n], from[:n])
			copy(to, from[:n])
			if err != nil {
				return
			}
		}
	})
}
