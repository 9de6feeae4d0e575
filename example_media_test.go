package sdk_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"

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
