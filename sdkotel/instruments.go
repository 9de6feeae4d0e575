package sdkotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.43.0/httpconv"
)

// The attributes that are no semantic convention. README.md says what they mean.
const (
	keyOperation   = attribute.Key("mirrorfly.operation")
	keyStatus      = attribute.Key("mirrorfly.status_code")
	keyOutcome     = attribute.Key("mirrorfly.outcome")
	keyRequests    = attribute.Key("mirrorfly.requests")
	keyRetries     = attribute.Key("mirrorfly.retries")
	keyRequestKind = attribute.Key("mirrorfly.request.kind")
	keyRequestName = attribute.Key("mirrorfly.request.name")
	keyTransport   = attribute.Key("mirrorfly.transport")
	keyReconnect   = attribute.Key("mirrorfly.reconnect")
	keyAttempt     = attribute.Key("mirrorfly.reconnect.attempt")
	keyDelay       = attribute.Key("mirrorfly.reconnect.delay")
	keyResumed     = attribute.Key("mirrorfly.resumed")
	keyFinal       = attribute.Key("mirrorfly.final")
	keyReason      = attribute.Key("mirrorfly.ignored.reason")
	keyStage       = attribute.Key("mirrorfly.message.stage")
	keyListener    = attribute.Key("mirrorfly.listener")
	keyEventKind   = attribute.Key("mirrorfly.event.kind")
)

// instruments are the metrics.
type instruments struct {
	meter metric.Meter

	calls    metric.Float64Histogram
	http     metric.Float64Histogram
	xmpp     metric.Float64Histogram
	retries  metric.Int64Counter
	io       metric.Int64Counter
	frames   metric.Int64Counter
	connects metric.Float64Histogram
	sessions metric.Int64UpDownCounter
	up, down metric.Float64Histogram
	ignores  metric.Int64Counter
	messages metric.Int64Counter
	events   metric.Float64Histogram
	drops    metric.Int64Counter
	waiting  metric.Int64ObservableUpDownCounter
}

// The bounds of buckets, in seconds. Those of answers are what the semantic conventions advise for
// HTTP, and a little more, since a message waits for a stream that is being resumed.
var (
	answerBounds   = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60}
	listenerBounds = []float64{0.0001, 0.001, 0.01, 0.1, 1, 5, 30}
	downBounds     = []float64{0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200}
	upBounds       = []float64{1, 10, 60, 300, 1800, 7200, 43200, 86400, 604800}
)

func newInstruments(m metric.Meter) instruments {
	duration := func(name, what string, bounds []float64) metric.Float64Histogram {
		return must(m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(bounds...)))
	}
	count := func(name, unit, what string) metric.Int64Counter {
		return must(m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what)))
	}
	return instruments{
		meter:    m,
		calls:    duration("mirrorfly.call.duration", "Duration of calls of Client.", answerBounds),
		http:     must(httpconv.NewClientRequestDuration(m)).Inst(),
		xmpp:     duration("mirrorfly.xmpp.request.duration", "Duration of XMPP requests.", answerBounds),
		retries:  count("mirrorfly.request.retries", "{request}", "Requests that were sent once more."),
		io:       count("mirrorfly.network.io", "By", "Bodies of HTTP, and frames of XMPP."),
		frames:   count("mirrorfly.xmpp.frames", "{frame}", "Frames of XMPP."),
		connects: duration("mirrorfly.xmpp.connect.duration", "Duration of attempts to make a session.", answerBounds),
		sessions: must(m.Int64UpDownCounter("mirrorfly.xmpp.session.active", metric.WithUnit("{session}"),
			metric.WithDescription("Sessions that are up."))),
		up:       duration("mirrorfly.xmpp.session.duration", "Duration of sessions that have ended.", upBounds),
		down:     duration("mirrorfly.xmpp.down.duration", "Time without a session, when it is over.", downBounds),
		ignores:  count("mirrorfly.xmpp.stanza.ignored", "{stanza}", "Stanzas that do not count."),
		messages: count("mirrorfly.messages", "{message}", "Messages that have come, by how far they got."),
		events:   duration("mirrorfly.listener.duration", "How long listeners ran for an event.", listenerBounds),
		drops:    count("mirrorfly.event.dropped", "{event}", "Events dropped because listeners were too slow."),
		waiting: must(m.Int64ObservableUpDownCounter("mirrorfly.event.waiting", metric.WithUnit("{event}"),
			metric.WithDescription("Events that wait for their listeners."))),
	}
}

// must hands an error to the handler of the program: a metric that cannot be made is no reason to
// fail a call.
func must[I any](instrument I, err error) I {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}
