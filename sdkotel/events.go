package sdkotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/mirrorfly-go/sdk"
)

// What frames and bodies are counted under: made once, because a frame is a small thing.
var (
	sent         = metric.WithAttributeSet(attribute.NewSet(semconv.NetworkIODirectionTransmit))
	received     = metric.WithAttributeSet(attribute.NewSet(semconv.NetworkIODirectionReceive))
	xmppSent     = moved("xmpp", semconv.NetworkIODirectionTransmit)
	xmppReceived = moved("xmpp", semconv.NetworkIODirectionReceive)
	httpSent     = moved("http", semconv.NetworkIODirectionTransmit)
	httpReceived = moved("http", semconv.NetworkIODirectionReceive)
)

func moved(protocol string, direction attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(semconv.NetworkProtocolName(protocol), direction))
}

func (o *observer) frame(f sdk.FrameInfo) {
	ctx, frames, bytes := context.Background(), received, xmppReceived
	if f.Sent {
		frames, bytes = sent, xmppSent
	}
	o.frames.Add(ctx, 1, frames)
	o.io.Add(ctx, int64(f.Bytes), bytes)
}

func (o *observer) ignored(i sdk.IgnoredInfo) {
	o.ignores.Add(context.Background(), 1, metric.WithAttributes(keyReason.String(o.reasons.of(i.Why))))
}

func (o *observer) message(m sdk.MessageInfo) {
	stage := oneOf(m.Stage, sdk.MessageReceived, sdk.MessageCopied, sdk.MessageHandled, sdk.MessageUnhandled,
		sdk.MessageDropped, sdk.MessageOverrun)
	o.messages.Add(context.Background(), 1, metric.WithAttributes(keyStage.String(stage)))
}

func (o *observer) event(e sdk.EventInfo) {
	attrs := []attribute.KeyValue{keyListener.String(o.listeners.of(e.Listener))}
	if e.Failed {
		attrs = append(attrs, semconv.ErrorTypeKey.String("panic"))
	}
	o.events.Record(context.Background(), e.Ran.Seconds(), metric.WithAttributes(attrs...))
}

func (o *observer) dropped(d sdk.DroppedInfo) {
	for kind, n := range map[string]int{"message": d.Messages, "other": d.Events - d.Messages} {
		if n > 0 {
			o.drops.Add(context.Background(), int64(n), metric.WithAttributes(keyEventKind.String(kind)))
		}
	}
}

// client lets readers of metrics ask a client how many events wait, until it is closed. No lock is
// held here, since a reader calls back under a lock of its own.
func (o *observer) client(c sdk.ClientInfo) {
	if c.Closed {
		if registration, is := o.watched.LoadAndDelete(c.Client); is {
			if err := registration.(metric.Registration).Unregister(); err != nil {
				otel.Handle(err)
			}
		}
		return
	}
	registration, err := o.meter.RegisterCallback(func(_ context.Context, at metric.Observer) error {
		at.ObserveInt64(o.waiting, c.Client.Stats().EventsWaiting)
		return nil
	}, o.waiting)
	if err != nil {
		otel.Handle(err)
		return
	}
	o.watched.Store(c.Client, registration)
}
