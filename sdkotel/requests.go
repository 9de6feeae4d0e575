package sdkotel

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
)

func (o *observer) startRequest(ctx context.Context, r sdk.RequestInfo) (context.Context, func(sdk.RequestDone)) {
	kind := oneOf(r.Kind, sdk.RequestHTTP, sdk.RequestIQ, sdk.RequestMessage)
	name := o.names.of(r.Name)
	if r.Attempt > 1 {
		o.retries.Add(ctx, 1, metric.WithAttributes(keyRequestKind.String(kind), keyRequestName.String(name)))
	}
	if r.Kind == sdk.RequestHTTP {
		return o.startHTTP(ctx, r, name)
	}
	return o.startXMPP(ctx, kind, name)
}

func (o *observer) startXMPP(ctx context.Context, kind, name string) (context.Context, func(sdk.RequestDone)) {
	attrs := []attribute.KeyValue{keyRequestKind.String(kind), keyRequestName.String(name)}
	ctx, span := o.start(ctx, "xmpp "+name, append(attrs, semconv.NetworkProtocolName("xmpp")))
	return ctx, func(done sdk.RequestDone) {
		failed := done.Err != nil
		if failed && done.Condition != "" {
			attrs = append(attrs, semconv.ErrorTypeKey.String(o.conditions.of(done.Condition)))
		} else if failed {
			attrs = append(attrs, failure(nil, done.Err, 0))
		}
		o.xmpp.Record(ctx, done.Duration.Seconds(), metric.WithAttributes(attrs...))
		finish(span, failed, attrs)
	}
}

// startHTTP follows the semantic conventions for HTTP clients, but for url.full: a path may have
// the token of a file.
func (o *observer) startHTTP(
	ctx context.Context, r sdk.RequestInfo, name string,
) (context.Context, func(sdk.RequestDone)) {
	method := oneOf(r.Method, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete)
	attrs := append(o.server(r.Host), keyRequestName.String(name), semconv.HTTPRequestMethodKey.String(method))
	title := method
	if method == other {
		title = "HTTP"
	}
	if r.Template != "" {
		template := o.templates.of(r.Template)
		title += " " + template
		attrs = append(attrs, semconv.URLTemplate(template))
	}
	ctx, span := o.start(ctx, title, attrs)
	if r.Attempt > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(r.Attempt - 1))
	}
	return ctx, func(done sdk.RequestDone) {
		status := statusOf(done.Status)
		failed := done.Err != nil || status >= http.StatusBadRequest
		if status != 0 {
			attrs = append(attrs, semconv.HTTPResponseStatusCode(status))
		}
		switch {
		case status >= http.StatusBadRequest:
			attrs = append(attrs, semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		case failed:
			attrs = append(attrs, failure(nil, done.Err, 0))
		}
		o.http.Record(ctx, done.Duration.Seconds(), metric.WithAttributes(attrs...))
		o.io.Add(ctx, done.Sent, httpSent)
		o.io.Add(ctx, done.Received, httpReceived)
		finish(span, failed, attrs)
	}
}

func (o *observer) start(
	ctx context.Context, name string, attrs []attribute.KeyValue,
) (context.Context, trace.Span) {
	return o.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
}

// server names the host of a request. An empty one was chosen by a user.
func (o *observer) server(address string) []attribute.KeyValue {
	if address = o.hosts.of(address); address == other {
		return []attribute.KeyValue{semconv.ServerAddress(other)}
	}
	host, port := strings.Trim(address, "[]"), 443
	if h, p, err := net.SplitHostPort(address); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			host, port = h, int(n)
		}
	}
	return []attribute.KeyValue{semconv.ServerAddress(host), semconv.ServerPort(port)}
}
