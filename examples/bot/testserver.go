package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// startTestServer starts sdktest with accounts for two bots, and a visitor who reacts to them.
func startTestServer(ctx context.Context, log *slog.Logger) (place *service, err error) {
	srv, err := sdktest.Start(sdktest.Options{})
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "no settings: this runs on a test server (sdktest); MIRRORFLY_API_BASE_URL names another",
		"server", srv.URL())
	v := &visitor{log: log.With("user", "visitor")}
	place = &service{cfg: srv.Config(), close: func() {
		v.leave()
		srv.Close()
	}}
	defer func() {
		if err != nil {
			place.close()
		}
	}()
	if v.client, err = sdk.New(place.cfg); err != nil {
		return nil, err
	}
	var jids []string
	for _, user := range []string{"weather", "news", "visitor"} {
		res, err := v.client.Register(ctx, user)
		if err != nil {
			return nil, err
		}
		jids = append(jids, res.Data.UserJID)
		place.accounts = append(place.accounts, account{res.Data.Username, res.Data.Password})
	}
	me := place.accounts[2]
	place.accounts = place.accounts[:2]
	return place, v.arrive(ctx, me, jids[1])
}

// visitor is a user who sees the bots' profiles, and blocks and unblocks one of them.
type visitor struct {
	client *sdk.Client
	log    *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func (v *visitor) arrive(ctx context.Context, me account, victim string) error {
	v.client.OnUserProfile(func(p sdk.Profile) {
		v.log.Info("sees a profile change", "jid", p.UserJID, "status", p.Status)
	})
	if _, err := v.client.Connect(ctx, me.Username, me.Password); err != nil {
		return err
	}
	ctx, v.cancel = context.WithCancel(ctx)
	v.done.Go(func() { v.visit(ctx, victim) }) // ends with leave
	return nil
}

func (v *visitor) visit(ctx context.Context, victim string) {
	const pause = 5 * time.Second
	for block := true; ; block = !block {
		sleep(ctx, pause)
		do, what := v.client.BlockUser, "blocks a bot"
		if !block {
			do, what = v.client.UnblockUser, "unblocks it"
		}
		_, err := do(ctx, victim)
		if ctx.Err() != nil {
			return
		}
		v.log.InfoContext(ctx, what, "jid", victim, "err", err)
	}
}

func (v *visitor) leave() {
	if v.cancel != nil {
		v.cancel()
	}
	v.done.Wait()
	if v.client != nil {
		_ = v.client.Close() // the demonstration is over
	}
}
