package sdk_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestOpenMedia(t *testing.T) {
	srv := sdktest.New(t)
	bob := login(t, srv.Config(), "bob")
	for name, f := range files(t, srv) {
		t.Run(name, func(t *testing.T) {
			r, info, err := bob.OpenMedia(t.Context(), f)
			require.NoError(t, err)
			require.Equal(t, sdk.MediaInfo{ContentType: "video/mp4", Size: f.Size}, info)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(noise(int(f.Size)), got))
			n, err := r.Read(make([]byte, 10))
			require.Zero(t, n)
			require.Equal(t, io.EOF, err, "it stays at its end")
			for range 2 {
				require.NoError(t, r.Close())
			}
			_, err = r.Read(make([]byte, 10))
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			require.ErrorContains(t, err, "the reader is closed")

			r, _, err = bob.OpenMedia(t.Context(), f)
			require.NoError(t, err)
			require.NoError(t, iotest.TestReader(struct{ io.Reader }{io.LimitReader(r, 3000)}, noise(3000)))
			require.NoError(t, r.Close(), "it is not at its end")
		})
	}
}

func TestOpenMediaRefused(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	for token, want := range map[string]error{
		"":  &sdk.Error{Op: "OpenMedia", StatusCode: 400, Message: "File Token is not valid or required"},
		"x": &sdk.Error{Op: "OpenMedia", StatusCode: 500, Message: "File not found"},
	} {
		r, info, err := alice.OpenMedia(t.Context(), sdk.MediaFile{FileToken: token})
		require.Nil(t, r)
		require.Zero(t, info)
		require.ErrorIs(t, err, want)
	}
	for _, token := range []string{"", "../logout", "a/..", srv.Config().APIBaseURL + "/media/%2e%2e/logout"} {
		_, _, err := alice.OpenMedia(t.Context(), sdk.MediaFile{FileToken: token})
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, token)
		var e *sdk.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "FileToken", e.Argument, token)
		require.Equal(t, sdk.OutcomeNotSent, e.Outcome, token)
	}
	_, _, err := newClient(t, srv.Config()).OpenMedia(t.Context(), sdk.MediaFile{FileToken: "x"})
	require.ErrorIs(t, err, sdk.ErrNotRegistered)
	require.NoError(t, alice.Close())
	_, _, err = alice.OpenMedia(t.Context(), sdk.MediaFile{FileToken: "x"})
	require.ErrorIs(t, err, sdk.ErrClosed)
}

// storedAt is what srv holds of a file, and the same file at a URL of a stranger, who answers with
// what change makes of it.
func storedAt(
	t *testing.T, srv *sdktest.Server, f sdk.MediaFile, change func(w http.ResponseWriter, stored []byte),
) sdk.MediaFile {
	t.Helper()
	r, _, err := srv.Media(f.FileToken)
	require.NoError(t, err)
	defer r.Close()
	stored, err := io.ReadAll(r)
	require.NoError(t, err)
	f.FileToken = elsewhere(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		change(w, stored)
	}).URL
	return f
}

// permissive is a client that fetches from strangers.
func permissive(t *testing.T, srv *sdktest.Server, change ...func(*sdk.Config)) *sdk.Client {
	t.Helper()
	cfg := srv.Config()
	cfg.AllowInsecure, cfg.FetchForeignURLs = true, true
	for _, f := range change {
		f(&cfg)
	}
	return login(t, cfg, "bob")
}

// A file that is cut, or that somebody has changed, ends in an error where that shows, and never as
// a file that has ended.
func TestDamagedMedia(t *testing.T) {
	srv := sdktest.New(t)
	bob := permissive(t, srv)
	const cut = 50_000
	for name, f := range files(t, srv) {
		if f.Large {
			continue // what is told of them is the same, and five MiB are many
		}
		want := noise(int(f.Size))
		for damage, change := range map[string]func(w http.ResponseWriter, stored []byte){
			"cut": func(w http.ResponseWriter, stored []byte) { _, _ = w.Write(stored[:cut]) },
			"cut connection": func(w http.ResponseWriter, stored []byte) {
				w.Header().Set("Content-Length", strconv.Itoa(len(stored)))
				_, _ = w.Write(stored[:cut])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
			"cut stream": func(w http.ResponseWriter, stored []byte) {
				_ = http.NewResponseController(w).Flush()
				_, _ = w.Write(stored[:cut])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			},
			"longer": func(w http.ResponseWriter, stored []byte) {
				_, _ = w.Write(stored)
				_, _ = w.Write(stored)
			},
			"empty": func(http.ResponseWriter, []byte) {},
			"page":  func(w http.ResponseWriter, _ []byte) { _, _ = io.WriteString(w, "<html>") },
		} {
			t.Run(name+" "+damage, func(t *testing.T) {
				r, info, err := bob.OpenMedia(t.Context(), storedAt(t, srv, f, change))
				require.NoError(t, err)
				defer r.Close()
				require.Equal(t, f.Size, info.Size)
				got, err := io.ReadAll(r)
				var e *sdk.Error
				require.ErrorAs(t, err, &e, "%d bytes", len(got))
				require.Equal(t, "OpenMedia", e.Op)
				require.False(t, e.Retryable(), "the beginning has been read")
				if damage != "page" {
					require.True(t, bytes.HasPrefix(want, got), "%d bytes", len(got))
				}
				least := map[string]int{"cut": cut / 4 * 3, "longer": len(want)}[damage]
				if f.FileKey != "" {
					// a block, a group of base64, and what it decodes ahead
					least = max(0, least-64)
				}
				require.GreaterOrEqual(t, len(got), least, "what is certain comes first")
				_, again := r.Read(make([]byte, 1))
				require.Equal(t, err, again)
			})
		}
	}
}

// A reader ends with its context, by its own Close and by that of the client, also while a Read
// waits for a server that says nothing.
func TestOpenMediaEnds(t *testing.T) {
	srv := sdktest.New(t)
	silent := elsewhere(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = io.WriteString(w, "begin")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	for name, tc := range map[string]struct {
		end  func(cancel context.CancelFunc, r io.Closer, c *sdk.Client)
		want error
	}{
		"context": {func(cancel context.CancelFunc, _ io.Closer, _ *sdk.Client) { cancel() }, context.Canceled},
		"reader": {func(_ context.CancelFunc, r io.Closer, _ *sdk.Client) {
			_, _ = r.Close(), r.Close()
		}, sdk.ErrInvalidArgument},
		"client": {func(_ context.CancelFunc, _ io.Closer, c *sdk.Client) { _ = c.Close() }, sdk.ErrClosed},
		"no one": {func(context.CancelFunc, io.Closer, *sdk.Client) {}, sdk.ErrNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			bob := permissive(t, srv, func(cfg *sdk.Config) {
				if name == "no one" {
					cfg.RequestTimeout = time.Second
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, info, err := bob.OpenMedia(ctx, sdk.MediaFile{FileToken: silent.URL})
			require.NoError(t, err)
			defer r.Close()
			require.Equal(t, sdk.MediaInfo{ContentType: "image/png", Size: -1}, info)
			begin := make([]byte, 5)
			_, err = io.ReadFull(r, begin)
			require.NoError(t, err)
			require.Equal(t, "begin", string(begin))
			read := make(chan error)
			go func() {
				_, err := r.Read(make([]byte, 5))
				read <- err
			}()
			tc.end(cancel, r, bob)
			require.ErrorIs(t, patient.Receive(t, read), tc.want)
		})
	}
}

// Of a file of any length only a little is in memory.
func TestOpenMediaNeedsLittleMemory(t *testing.T) {
	srv := sdktest.New(t)
	const size = 64 << 20
	piece := make([]byte, 64<<10)
	endless := elsewhere(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		for range size / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	bob := permissive(t, srv)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, _, err := bob.OpenMedia(t.Context(), sdk.MediaFile{FileToken: endless.URL})
	require.NoError(t, err)
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/8), "allocated in all")
}
