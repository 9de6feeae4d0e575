package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// Account is an account of the service, as Register has answered it.
type Account struct {
	// Username is the user id. Its case does not count.
	Username string
	// Password stays in the process: the store never sees it.
	Password string
}

// Config says which accounts a fleet has and how a member takes part. Client.LicenseKey, Accounts
// and Store are required. All members need the same accounts and the same Client.
type Config struct {
	// Client is for every account. A limit in Dials holds for this member, besides that of the
	// fleet. Empty DeviceID: "fleet"; all members must have the same, so that a session that a
	// member has left behind is ended by the next one. Hooks are those of all accounts.
	//
	// The fleet looks at each write to a connection, so it dials by DialContext, where proxies of
	// the environment do not count. With HTTPClient it looks at requests, and at what is written
	// after an upgrade.
	Client sdk.Config
	// Accounts says who belongs to the fleet. It is called at the start and every Refresh, one call
	// at a time. An error, or none at all, changes nothing and is logged. A member joins when it
	// has been told some.
	Accounts func(ctx context.Context) ([]Account, error)
	// Refresh is the time between two calls of Accounts; default 1 minute.
	Refresh time.Duration
	// Setup registers listeners, before Connect; may be nil. ctx ends when the account is given up.
	// An error parks the account. Epochs of an account only rise while the bucket lives: what Setup
	// writes elsewhere can carry it, to tell what a predecessor wrote late. One member may call it
	// again with the same epoch, when it could not reach the store for TTL and nobody has taken
	// the account meanwhile.
	Setup func(ctx context.Context, a Account, epoch uint64, c *sdk.Client) error
	// OnChange is told each change of an account of this member; may be nil. Calls for one account
	// come one after the other, those for several at once.
	OnChange func(AccountStatus)
	// Store is that of all members: natsstore.New, or fleettest.NewStore in tests.
	Store Store
	// Name is that of this member, for people: letters, digits, "-", "_" and ".", at most 64.
	// Empty: made of host name and process id. A random part is added, so names may be the same.
	Name string
	// Max is how many accounts this member takes at most; 0: no limit. Members share in proportion
	// to it.
	Max int
	// TTL is how long a member that is not heard of keeps its accounts, at least 1s; default 15s.
	// It may differ between members.
	TTL time.Duration
	// LoginsPerSecond is for the whole fleet, of which each member has its part; default 50.
	LoginsPerSecond float64
	// NewBucket: go on when the bucket was made anew or restored, instead of returning ErrBucket.
	// Epochs then begin anew, too.
	NewBucket bool
	// Logger is silent when nil.
	Logger *slog.Logger
}

const (
	defaultRefresh = time.Minute
	defaultTTL     = 15 * time.Second
	defaultLogins  = 50
	defaultDevice  = "fleet"
	maxName        = 64
)

// withDefaults returns cfg completed, or what is wrong with it.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case cfg.Accounts == nil:
		return cfg, errors.New("fleet: Config.Accounts is missing")
	case cfg.Store == nil:
		return cfg, errors.New("fleet: Config.Store is missing, see natsstore.New")
	case cfg.Refresh < 0:
		return cfg, errors.New("fleet: Config.Refresh is negative: 0 is the default, 1 minute")
	case cfg.TTL != 0 && (cfg.TTL < time.Second || cfg.TTL > time.Hour):
		return cfg, errors.New("fleet: Config.TTL is not between a second and an hour: 0 is the default, 15s")
	case cfg.Max < 0:
		return cfg, errors.New("fleet: Config.Max is negative: 0 is no limit")
	case !(cfg.LoginsPerSecond >= 0) || math.IsInf(cfg.LoginsPerSecond, 1):
		return cfg, errors.New("fleet: Config.LoginsPerSecond is not a number of at least 0: 0 is the default, 50")
	case len(cfg.Name) > maxName || strings.Trim(cfg.Name, nameLetters) != "":
		return cfg, fmt.Errorf("fleet: Config.Name is not made of at most %d letters, digits, \"-\", \"_\" and \".\"",
			maxName)
	}
	cfg.Refresh = cmp.Or(cfg.Refresh, defaultRefresh)
	cfg.TTL = cmp.Or(cfg.TTL, defaultTTL)
	cfg.LoginsPerSecond = cmp.Or(cfg.LoginsPerSecond, defaultLogins)
	cfg.Name = cmp.Or(cfg.Name, processName())
	cfg.Client.DeviceID = cmp.Or(cfg.Client.DeviceID, defaultDevice)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := sdk.New(cfg.Client)
	if err != nil {
		return cfg, fmt.Errorf("fleet: Config.Client: %w", err)
	}
	return cfg, client.Close()
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "member"
	}
	host = strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameLetters, r) {
			return r
		}
		return '-'
	}, host)
	return host[:min(len(host), maxName/2)] + "-" + strconv.Itoa(os.Getpid())
}

// memberID is one that no member has had.
func memberID(name string) string {
	name = strings.Trim(name, ".") // a key of NATS cannot have dots at its ends, or two in a row
	for strings.Contains(name, "..") {
		name = strings.ReplaceAll(name, "..", ".")
	}
	return name + "-" + randomHex(8)
}

func randomHex(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // it never fails
	return hex.EncodeToString(raw)
}
