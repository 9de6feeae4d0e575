package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
)

// mark tells the messages of a bot from those of people: two bots that answer each other never end.
const mark = "observedbot"

// bot answers. examples/echobot is one that also reads what it has missed.
type bot struct {
	*sdk.Client
	log    *slog.Logger
	tracer trace.Tracer
}

// answer answers messages to a user until ctx ends.
func answer(ctx context.Context, place *service, tracer trace.Tracer, user string, every time.Duration) error {
	client, err := sdk.New(place.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	b := &bot{client, place.cfg.Logger, tracer}
	b.OnMessage(func(m sdk.Message) { b.echo(ctx, m) })
	over := make(chan error, 1)
	b.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Final {
			select {
			case over <- e.Err:
			default: // it has ended already
			}
		}
	})
	me, err := b.Register(ctx, user)
	if err != nil {
		return err
	}
	if _, err := b.Connect(ctx, me.Data.Username, me.Data.Password); err != nil {
		return err
	}
	visiting, stop := context.WithCancel(ctx)
	var visitor sync.WaitGroup
	defer visitor.Wait()
	defer stop()
	// owner: answer; ends with visiting
	visitor.Go(func() { place.visit(visiting, me.Data.Username, every) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-over:
		return err
	}
}

// echo sends a text back. Both calls are below one span of the program's own, so a trace shows what
// the answer to one message has cost.
func (b *bot) echo(ctx context.Context, m sdk.Message) {
	if m.Metadata[mark] != "" || m.Text == "" {
		return
	}
	ctx, span := b.tracer.Start(ctx, "answer")
	defer span.End()
	if _, err := b.SendTypingStatus(ctx, m.Peer()); err != nil {
		b.log.WarnContext(ctx, "typing", "err", err)
	}
	if _, err := b.SendTextMessage(ctx, m.Peer(), m.Text,
		sdk.WithMetadata(map[string]string{mark: "yes"}), sdk.WithReplyTo(m.ID)); err != nil {
		b.log.WarnContext(ctx, "no answer", "err", err)
	}
}
