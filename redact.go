package sdk

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// What fmt, slog and a panic show of the types that hold a secret: everything else, in every
// format. JSON is left alone, as that is how Credentials and a MediaFile are kept.
//
// fmt cannot ask a value in an unexported field of somebody else's struct: keep a pointer to a
// Config there.

const hidden = "[hidden]"

func hide(secret *string) {
	if *secret != "" {
		*secret = hidden
	}
}

// withoutSecrets writes "..." for what may be secret in addresses: a query, and a user that does
// not belong there.
func withoutSecrets(addresses string) string {
	var out strings.Builder
	for len(addresses) > 0 {
		end := strings.IndexAny(addresses, "/, \t\r\n\f")
		if end < 0 {
			end = len(addresses)
		}
		user := strings.LastIndexByte(addresses[:end], '@')
		switch {
		case addresses[0] == '?':
			if end = strings.IndexAny(addresses, ", \t\r\n\f"); end < 0 {
				end = len(addresses)
			}
			out.WriteString("...")
			addresses = addresses[end:]
		case user >= 0:
			out.WriteString("...")
			addresses = addresses[user+1:]
		default:
			out.WriteByte(addresses[0])
			addresses = addresses[1:]
		}
	}
	return out.String()
}

// Format writes c without the licence key and without the queries of addresses.
func (c Config) Format(s fmt.State, verb rune) {
	type config Config // has no methods
	hide(&c.LicenseKey)
	for _, address := range []*string{&c.APIBaseURL, &c.XMPPAddress, &c.APIConfigURL} {
		*address = withoutSecrets(*address)
	}
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), config(c)) // fmt reports what is wrong with s
}

// String is c without the licence key.
func (c Config) String() string { return fmt.Sprintf("%+v", c) }

// LogValue is what slog shows of c: String.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Format writes c without the password.
func (c Credentials) Format(s fmt.State, verb rune) {
	type credentials Credentials
	hide(&c.Password)
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), credentials(c))
}

// String is c without the password.
func (c Credentials) String() string { return fmt.Sprintf("%+v", c) }

// LogValue is what slog shows of c: String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Format writes f without the key that opens the file.
func (f MediaFile) Format(s fmt.State, verb rune) {
	type mediaFile MediaFile
	hide(&f.FileKey)
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), mediaFile(f))
}

// String is f without the key that opens the file.
func (f MediaFile) String() string { return fmt.Sprintf("%+v", f) }

// LogValue is what slog shows of f: String.
func (f MediaFile) LogValue() slog.Value { return slog.StringValue(f.String()) }

// LogValue is what slog shows of r: its fields, of Data what that wants to be shown.
func (r Result[T]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int("statusCode", r.StatusCode), slog.String("message", r.Message), slog.Any("data", r.Data),
	)
}

// Format writes where the client belongs, and nothing that it knows.
func (c *Client) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// String names the service, and nothing that the client knows.
func (c *Client) String() string { return "sdk.Client(" + c.cfg.APIBaseURL + ")" }

// Format writes that this is a QR login, and nothing of its outcome.
func (q *QRLogin) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, q.String()) }

// String says that this is a QR login, and nothing of its outcome.
func (q *QRLogin) String() string { return "sdk.QRLogin" }
