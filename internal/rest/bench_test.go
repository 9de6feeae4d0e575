package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

const (
	profileAnswer = `{"status":200,"message":"Success","data":{"userId":"bob","userJid":"bob@xmpp.example.com",` +
		`"nickName":"q1Kb0Xz1v5H5pIuHf3M5iA==","email":"Hs3CFSY1oSd2uYb9IuYxqK3pIhzWZ1mYg7kB0r0hX0E=",` +
		`"mobileNumber":"Xn2uQ7pKz1mH5p3M5iAq1g==","status":"I am in Mirror Fly",` +
		`"image":"5f2b1c7a9d3e4f60-1700000000000.png","thumbImage":"5f2b1c7a9d3e4f60-1700000000000-thumb.png",` +
		`"isAdminBlocked":0}}`
	benchToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTcwMDAwMDAwMH0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
	benchAgent = "mirrorfly-go/0.1.0 (linux; amd64)"
)

// benchService is the server of the benchmark, in a process of its own.
func benchService() http.Handler {
	reply := func(w http.ResponseWriter, r *http.Request, body string) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /contacts/vcard", func(w http.ResponseWriter, r *http.Request) { reply(w, r, profileAnswer) })
	mux.HandleFunc("POST /moderation/feedback", func(w http.ResponseWriter, r *http.Request) { reply(w, r, plainOK) })
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		reply(w, r, `{"status":200,"message":"Success","data":{"token":"`+benchToken+`"}}`)
	})
	return mux
}

// BenchmarkCall holds a call against bare net/http with encoding/json that makes the same exchange.
// The goal is a cpu-ratio of at most 1.15.
func BenchmarkCall(b *testing.B) {
	url := versus.Server(b)
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	hc := &http.Client{Transport: transport}
	c := New(
		Config{
			LicenseKey: license, BaseURL: url, Trial: true, AllowInsecure: true, UserAgent: benchAgent, HTTPClient: hc,
		},
	)
	b.Cleanup(c.Close)
	// The methods of package sdk pass on a context that ends.
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	b.Cleanup(cancel)
	if err := c.logIn(ctx, "alice", "secret", "secret"); err != nil {
		b.Fatal(err)
	}
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("GET", func(b *testing.B) {
		versus.Compare(b, 100, func() {
			p, err := c.Profile(ctx, "bob")
			check(err)
			if p.UserID != "bob" {
				b.Fatal(p)
			}
		}, func() {
			var data bareProfile
			check(bare(ctx, hc, http.MethodGet, url+"/contacts/vcard?userId=bob", nil, &data))
			if data.UserID != "bob" {
				b.Fatal(data)
			}
		})
	})
	b.Run("POST", func(b *testing.B) {
		versus.Compare(b, 100, func() { check(c.Feedback(ctx, "title", "description")) }, func() {
			body := struct {
				Title       string `json:"title"`
				Description string `json:"description"`
			}{"title", "description"}
			check(bare(ctx, hc, http.MethodPost, url+"/moderation/feedback", body, nil))
		})
	})
}

type bareProfile struct {
	UserID         string `json:"userId"`
	UserJID        string `json:"userJid"`
	NickName       string `json:"nickName"`
	Email          string `json:"email"`
	MobileNumber   string `json:"mobileNumber"`
	Status         string `json:"status"`
	Image          string `json:"image"`
	ThumbImage     string `json:"thumbImage"`
	IsAdminBlocked int    `json:"isAdminBlocked"`
}

// bare is the same exchange, written for this one call.
func bare(ctx context.Context, hc *http.Client, method, url string, body, data any) error {
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", benchAgent)
	req.Header.Set("Authorization", benchToken)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
		Data    any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%d %s", answer.Status, answer.Message)
	}
	return nil
}
