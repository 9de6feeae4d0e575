package sdktest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What goes over the wire, as it goes: here the first REST request and its answer.
func ExampleServer_Watch() {
	srv, err := sdktest.Start(sdktest.Options{Trial: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	traffic := srv.Watch(context.Background()) // until Close
	client, err := sdk.New(srv.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	if _, err := client.Register(context.Background(), "alice"); err != nil {
		fmt.Println(err)
		return
	}
	asked, answered := <-traffic, <-traffic
	fmt.Println(asked.Method, asked.Path)
	fmt.Println(answered.Status, answered.Text)
	// Output:
	// POST sandbox/register
	// 200 {"data":"•••","message":"Success","status":200}
}

// A page of one's own on the server's port, beside the service.
func ExampleServer_SetHandler() {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	srv.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "users:", len(srv.Users()))
	}))
	tr := &http.Transport{TLSClientConfig: srv.Config().TLSConfig}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(srv.SignalURL() + "/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(os.Stdout, resp.Body)
	// Output: users: 0
}
