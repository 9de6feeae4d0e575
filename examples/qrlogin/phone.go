package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The POST requests to the built-in phone. The form field user says whose phone it is.
const (
	scanPath = "/phone/scan"
	endPath  = "/phone/end"
)

const phoneTimeout = 20 * time.Second

// scan lets the built-in phone scan the code that is shown.
func (w *web) scan(ctx context.Context, user string) (string, error) {
	v, _ := w.board.look()
	if v.code == nil {
		return "", errors.New("there is no code to scan at the moment")
	}
	if err := w.phone.Phone(user).Scan(ctx, v.code.Content()); err != nil {
		return "", err
	}
	return user + " has logged in", nil
}

// end lets the built-in phone end the session.
func (w *web) end(ctx context.Context, user string) (string, error) {
	if err := w.phone.Phone(user).LogoutWeb(ctx); err != nil {
		return "", err
	}
	return user + " has ended the session", nil
}

// phoneAction answers a request to the built-in phone, in plain text.
func phoneAction(act func(ctx context.Context, user string) (string, error)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		user := strings.ToLower(strings.TrimSpace(r.PostFormValue("user")))
		if user == "" {
			http.Error(rw, "the form field user says whose phone it is", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), phoneTimeout)
		defer cancel()
		text, err := act(ctx, user)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintln(rw, text)
	}
}

// usePhone sends a request to the built-in phone of a program that is running.
func usePhone(ctx context.Context, out io.Writer, at, path, user string) error {
	base, err := url.Parse(at)
	if err != nil || base.Scheme != "http" || base.Host == "" {
		return fmt.Errorf("-at %q is not a URL like http://127.0.0.1:8080", at)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: phoneTimeout + 5*time.Second}
	form := strings.NewReader(url.Values{"user": {user}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.JoinPath(path).String(), form)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Op == "dial" {
		return fmt.Errorf("nothing runs at %s: start qrlogin first, and give the URL that it prints with -at (%w)",
			at, refused.Err)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	text := printable(strings.TrimSpace(string(answer)))
	switch resp.StatusCode {
	case http.StatusOK:
		_, err = fmt.Fprintln(out, text)
		return err
	case http.StatusNotFound:
		return fmt.Errorf("no built-in phone at %s: only the test server (sdktest) has one", at)
	}
	return errors.New(text)
}
