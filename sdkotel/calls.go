package sdkotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
)

func (o *observer) startCall(ctx context.Context, call sdk.CallInfo) (context.Context, func(sdk.CallDone)) {
	operation := o.operations.of(call.Op)
	attrs := []attribute.KeyValue{keyOperation.String(operation)}
	ctx, span := o.tracer.Start(ctx, "mirrorfly "+operation, trace.WithAttributes(attrs...))
	return ctx, func(done sdk.CallDone) {
		status, failed := statusOf(done.StatusCode), done.Err != nil
		if failed {
			attrs = append(attrs, failure(done.Sentinel, done.Err, status), keyOutcome.String(done.Outcome.String()))
		}
		o.calls.Record(ctx, done.Duration.Seconds(), metric.WithAttributes(attrs...))
		finish(span, failed, append(attrs,
			keyStatus.Int(status), keyRequests.Int(done.Requests), keyRetries.Int(done.Retries)))
	}
}
