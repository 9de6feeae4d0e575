package sdkotel

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// set is a set of names.
type set map[string]bool

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// tables reads the tables of README.md: of each section the cells of its rows.
func tables(t *testing.T) map[string][][]string {
	t.Helper()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows, section := make(map[string][][]string), ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if title, is := strings.CutPrefix(line, "## "); is {
			section = title
		}
		if strings.HasPrefix(line, "| `") {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[section] = append(rows[section], cells)
		}
	}
	return rows
}

var code = regexp.MustCompile("`([^`]+)`")

func codeOf(cell string) set {
	all := make(set)
	for _, found := range code.FindAllStringSubmatch(cell, -1) {
		all[found[1]] = true
	}
	return all
}

// requireDocumented compares what was reported with the tables of README.md, in both directions.
func requireDocumented(t *testing.T, spans tracetest.SpanStubs, metrics map[string]metricdata.Metrics) {
	documented := tables(t)
	want := make(map[string]kind)
	used := make(set)
	for _, row := range documented["Metrics"] {
		attrs := codeOf(row[3])
		maps.Copy(used, attrs)
		want[strings.Trim(row[0], "`")] = kind{row[1], strings.Trim(row[2], "`"), attrs}
	}
	have := make(map[string]kind)
	for name, m := range metrics {
		have[name] = kindOfMetric(t, m)
		// By the semantic conventions neither namespaces nor up-down counters are plurals.
		singular := name
		if have[name].typ != "up-down counter" {
			singular = name[:strings.LastIndex(name, ".")]
		}
		require.NotContains(t, singular+".", "s.", name)
	}
	require.Equal(t, want, have)

	titles, wantSpans := make(map[string]string), make(map[string]set)
	for _, row := range documented["Spans"] {
		title := strings.Trim(row[0], "`")
		wantSpans[title] = codeOf(row[3])
		titles[row[1]+" "+firstOwn(wantSpans[title])] = title
		maps.Copy(used, wantSpans[title])
	}
	haveSpans := make(map[string]set)
	for _, s := range spans {
		keys := make(set)
		for _, a := range s.Attributes {
			keys[string(a.Key)] = true
		}
		title, is := titles[s.SpanKind.String()+" "+firstOwn(keys)]
		require.True(t, is, "%s with %v", s.Name, keys)
		require.Equal(t, expand(title, s.Attributes), s.Name)
		if haveSpans[title] == nil {
			haveSpans[title] = make(set)
		}
		maps.Copy(haveSpans[title], keys)
	}
	require.Equal(t, wantSpans, haveSpans)

	var attributes []string
	for _, row := range documented["Attributes"] {
		attributes = append(attributes, strings.Trim(row[0], "`"))
	}
	require.Equal(t, used.sorted(), attributes)
}

// kind is what README.md says of a metric.
type kind struct {
	typ, unit string
	attrs     set
}

func kindOfMetric(t *testing.T, m metricdata.Metrics) kind {
	k := kind{unit: m.Unit, attrs: make(set)}
	note := func(s attribute.Set) {
		for _, a := range s.ToSlice() {
			k.attrs[string(a.Key)] = true
		}
	}
	switch d := m.Data.(type) {
	case metricdata.Histogram[float64]:
		k.typ = "histogram"
		for _, p := range d.DataPoints {
			note(p.Attributes)
		}
	case metricdata.Sum[int64]:
		k.typ = "up-down counter"
		if d.IsMonotonic {
			k.typ = "counter"
		}
		for _, p := range d.DataPoints {
			note(p.Attributes)
		}
	default:
		require.Fail(t, "unknown kind", "%s: %T", m.Name, d)
	}
	require.NotEmpty(t, m.Description, m.Name)
	return k
}

// firstOwn is the attribute that tells a kind of span from the others.
func firstOwn(keys set) string {
	for _, key := range []string{
		"mirrorfly.operation", "http.request.method", "mirrorfly.request.kind", "mirrorfly.transport",
	} {
		if keys[key] {
			return key
		}
	}
	return ""
}

var placeholder = regexp.MustCompile(`\{([a-z._]+)\}`)

// expand puts the values of attributes into the name of a span.
func expand(title string, attrs []attribute.KeyValue) string {
	return strings.TrimSpace(placeholder.ReplaceAllStringFunc(title, func(found string) string {
		value, _ := valueOf(attrs, attribute.Key(strings.Trim(found, "{}")))
		return value.AsString()
	}))
}
