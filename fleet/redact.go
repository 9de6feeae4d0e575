package fleet

import (
	"fmt"
	"log/slog"
)

// Format writes a without the password.
func (a Account) Format(s fmt.State, verb rune) {
	type account Account // has no methods
	if a.Password != "" {
		a.Password = "[hidden]"
	}
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), account(a)) // fmt reports what is wrong with s
}

// String is what fmt shows of a.
func (a Account) String() string { return fmt.Sprintf("%+v", a) }

// LogValue is what slog shows of a: String.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }
