package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What UploadMedia answers is what the receiver needs: send it along with the chat message.
func ExampleClient_UploadMedia() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	alice, bob := online(srv.Config(), "alice"), online(srv.Config(), "bob")
	defer alice.Close()
	defer bob.Close()
	if _, err := alice.SetMediaEncryption(true); err != nil {
		log.Fatal(err)
	}

	content := strings.Repeat("all work and no play\n", 1000)
	uploaded, err := alice.UploadMedia(context.Background(), sdk.MediaUpload{
		To: "bob@xmpp.mirrorfly.test", MessageID: "17", Name: "work.txt",
		Reader: strings.NewReader(content), Size: int64(len(content)),
		Progress: func(sent, total int64) {
			if sent == total {
				fmt.Println("all", total, "bytes have arrived")
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := bob.DownloadMedia(context.Background(), uploaded.Data, &got); err != nil {
		log.Fatal(err)
	}
	fmt.Println("encrypted:", uploaded.Data.FileKey != "", "the same:", got.String() == content)
	// Output:
	// all 21000 bytes have arrived
	// encrypted: true the same: true
}

// A download that goes on where it was cut, and tells how far it is: the same call again.
func ExampleMediaDownload() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()
	const content = "all work and no play"
	uploaded, err := client.UploadMedia(context.Background(), sdk.MediaUpload{
		To: "bob@xmpp.mirrorfly.test", Name: "work.txt", ContentType: "text/plain",
		Reader: strings.NewReader(content), Size: int64(len(content)),
	})
	if err != nil {
		log.Fatal(err)
	}

	file := bytes.NewBufferString("all work ") // what came before
	download := &sdk.MediaDownload{
		Writer: file, Offset: int64(file.Len()),
		Progress: func(received, total int64) { fmt.Println(received, "of", total, "bytes") },
	}
	for {
		_, err := client.DownloadMedia(context.Background(), uploaded.Data, download)
		var e *sdk.Error
		if errors.As(err, &e) && e.Retryable() {
			time.Sleep(time.Second) // or longer: e.RetryAfter
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		break
	}
	fmt.Println(file, download.Info.ContentType)
	// Output:
	// 20 of 20 bytes
	// all work and no play text/plain
}

// A web server that shows the pictures of users to a browser.
func ExampleClient_OpenMedia() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()
	picture := func(w http.ResponseWriter, r *http.Request) {
		content, info, err := client.OpenMedia(r.Context(), sdk.MediaFile{FileToken: r.FormValue("token")})
		if err != nil {
			http.Error(w, "no picture", http.StatusBadGateway)
			return
		}
		defer content.Close()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Type", "application/octet-stream")
		if info.ContentType == "image/png" || info.ContentType == "image/jpeg" {
			w.Header().Set("Content-Type", info.ContentType)
		}
		if _, err := io.Copy(w, content); err != nil {
			panic(http.ErrAbortHandler) // the browser must not take a part for the whole
		}
	}

	uploaded, err := client.UploadMedia(context.Background(), sdk.MediaUpload{
		To: "bob@xmpp.mirrorfly.test", Name: "a.png", Reader: strings.NewReader("\x89PNG\r\n\x1a\n"), Size: 8,
	})
	if err != nil {
		log.Fatal(err)
	}
	answer := httptest.NewRecorder()
	picture(answer, httptest.NewRequest("GET", "/?token="+uploaded.Data.FileToken, nil))
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"), answer.Body.Len())
	// Output: 200 image/png 8
}

func ExampleClient_DownloadMedia() {
	srv := start(sdktest.Options{})
	defer srv.Close()
	client := online(srv.Config(), "alice")
	defer client.Close()

	file := sdk.MediaFile{FileToken: "no-such-file"} // from a message: also FileKey, Size and Large
	var got bytes.Buffer
	res, err := client.DownloadMedia(context.Background(), file, &got)
	fmt.Println(res.StatusCode, err != nil, got.Len())
	// Output: 500 true 0
}
