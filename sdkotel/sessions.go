package sdkotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/mirrorfly-go/sdk"
)

func (o *observer) startConnect(ctx context.Context, c sdk.ConnectInfo) (context.Context, func(sdk.ConnectDone)) {
	attrs := []attribute.KeyValue{
		keyTransport.String(oneOf(c.Transport, sdk.TransportWebSocket, sdk.TransportTCP)),
		keyReconnect.Bool(c.Attempt > 0),
	}
	ctx, span := o.start(ctx, "xmpp connect", attrs)
	if c.Attempt > 0 {
		span.SetAttributes(keyAttempt.Int(c.Attempt), keyDelay.Float64(c.Delay.Seconds()))
	}
	return ctx, func(done sdk.ConnectDone) {
		failed := done.Err != nil
		if failed {
			attrs = append(attrs, failure(done.Sentinel, done.Err, 0))
		} else {
			resumed := keyResumed.Bool(done.Resumed)
			attrs = append(attrs, resumed)
			o.sessions.Add(ctx, 1)
			if done.Down > 0 {
				o.down.Record(ctx, done.Down.Seconds(), metric.WithAttributes(resumed))
			}
		}
		o.connects.Record(ctx, done.Duration.Seconds(), metric.WithAttributes(attrs...))
		finish(span, failed, attrs)
	}
}

func (o *observer) disconnected(d sdk.DisconnectInfo) {
	attrs := []attribute.KeyValue{keyFinal.Bool(d.Final)}
	if d.Err != nil {
		attrs = append(attrs, failure(d.Sentinel, d.Err, 0))
	}
	ctx := context.Background()
	o.sessions.Add(ctx, -1)
	o.up.Record(ctx, d.Up.Seconds(), metric.WithAttributes(attrs...))
}
