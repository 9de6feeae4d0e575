package rest

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// site is where the service is.
type site struct {
	// base is the base URL without a slash at its end; empty: not known yet.
	base  string
	trial bool
}

// CheckBaseURL reports whether raw can be a base URL: an absolute http(s) URL without user, query
// and fragment. http:// without allowInsecure is ErrInsecure. Unlike the JavaScript SDK it permits
// ports, localhost and IP addresses (protocol.md 11).
func CheckBaseURL(raw string, allowInsecure bool) error {
	_, err := parseBase(raw, allowInsecure)
	return err
}

func parseBase(raw string, allowInsecure bool) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.User != nil || strings.ContainsAny(raw, "?#") {
		return "", &Error{Status: http.StatusBadRequest, Message: "Invalid api base url"}
	}
	if u.Scheme == "http" && !allowInsecure {
		return "", insecure("the base URL begins with http://")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Trial reports whether the service is used in trial (sandbox) mode. It may look that up first.
func (c *Client) Trial(ctx context.Context) (bool, error) {
	s, err := c.locate(ctx)
	if err != nil {
		return false, err
	}
	return s.trial, nil
}

// locate returns the service's address. Without a configured one, the first call looks it up, and
// other calls wait for the same lookup (protocol.md 1.3). The outcome of a failed lookup is not
// kept. Its error is marked as unsent, since the request that needed the address was not sent.
func (c *Client) locate(ctx context.Context) (site, error) {
	c.mu.Lock()
	if c.site == (site{}) && c.cfg.BaseURL != "" {
		base, err := parseBase(c.cfg.BaseURL, c.cfg.AllowInsecure)
		if err != nil {
			c.mu.Unlock()
			return site{}, unsent.Mark(err)
		}
		c.site = site{base: base, trial: c.cfg.Trial}
	}
	if c.site != (site{}) {
		defer c.mu.Unlock()
		return c.site, nil
	}
	f := c.lookup
	if f == nil {
		f = c.startLookupLocked()
	}
	c.mu.Unlock()
	if err := f.join(ctx); err != nil {
		return site{}, unsent.Mark(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.site, nil
}

// startLookupLocked starts the licence lookup.
func (c *Client) startLookupLocked() *flight {
	var found site
	f := c.launchLocked(func(ctx context.Context) (err error) {
		found, err = c.askLicense(ctx)
		return err
	}, func(_ *flight, err error) {
		c.lookup = nil
		if err == nil {
			c.site = found
		}
	})
	if !c.closed {
		c.lookup = f
	}
	return f
}

func (c *Client) askLicense(ctx context.Context) (found site, err error) {
	if _, err := parseBase(c.cfg.LookupURL, c.cfg.AllowInsecure); err != nil {
		return site{}, err
	}
	var data struct {
		APIBaseURL text  `json:"apiBaseUrl"`
		TrialMode  *flag `json:"trialMode"`
	}
	// LP's output is percent-encoded already.
	query := "?licenseKey=" + seal.LP(c.cfg.LicenseKey, seal.LicenseKeyString)
	err = c.json(
		ctx, &request{op: "license", method: http.MethodGet, url: c.cfg.LookupURL + query, idempotent: true}, &data,
	)
	if e := asError(err); e != nil && e.Told() && e.Status/100 == 4 && e.Kind() == KindOther {
		e.kind = KindLicense // nothing else was asked
	}
	if err != nil {
		return site{}, err
	}
	if data.APIBaseURL == "" {
		return site{}, &Error{
			Status: http.StatusInternalServerError, Message: "API Base URL not found", kind: KindLicense,
		}
	}
	base, err := parseBase(string(data.APIBaseURL), c.cfg.AllowInsecure)
	if err != nil {
		return site{}, err
	}
	found = site{base: base, trial: c.cfg.Trial}
	if data.TrialMode != nil {
		found.trial = bool(*data.TrialMode)
	}
	return found, nil
}
