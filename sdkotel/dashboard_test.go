package sdkotel

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/stretchr/testify/require"
)

// dashboard is what matters here of a dashboard of Grafana.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Query string }
	}
}

var (
	series   = regexp.MustCompile(`(?m)^(\w+)\{(.*)\} [^ ]+$`)
	label    = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	variable = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
)

// exported are the labels of every metric that a page for Prometheus has.
func exported(page string) map[string]set {
	all := make(map[string]set)
	for _, found := range series.FindAllStringSubmatch(page, -1) {
		if all[found[1]] == nil {
			// Prometheus adds these.
			all[found[1]] = set{"job": true, "instance": true}
		}
		for _, name := range label.FindAllStringSubmatch(found[2], -1) {
			all[found[1]][name[1]] = true
		}
	}
	return all
}

// requireDashboard checks that every query of dashboard.json can be parsed and asks for metrics and
// labels that are really exported, and that no metric is left out.
func requireDashboard(t *testing.T, page string) {
	raw, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(raw, &d))
	have, shown, queries := exported(page), make(set), 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries++
			for _, problem := range check(target.Expr, have, shown) {
				t.Errorf("panel %q: %s: %s", p.Title, target.Expr, problem)
			}
		}
	}
	for _, v := range d.Templating.List {
		if found := variable.FindStringSubmatch(v.Query); found != nil {
			require.True(t, have[found[1]][found[2]], "variable %s: %s", v.Name, v.Query)
		} else {
			require.Equal(t, "prometheus", v.Query, "variable %s", v.Name)
		}
	}
	require.Greater(t, queries, 15)
	for _, row := range tables(t)["Metrics"] {
		name := strings.ReplaceAll(strings.Trim(row[0], "`"), ".", "_")
		is := slices.ContainsFunc(shown.sorted(), func(s string) bool { return strings.HasPrefix(s, name) })
		require.True(t, is, "no panel shows %s", name)
	}
}

// functions of PromQL that the dashboard may use. The parser knows more, which Prometheus does not.
var functions = []string{"rate", "increase", "histogram_quantile", "sum"}

// check lists what is wrong with a query, and adds the metrics that it asks for to shown.
func check(query string, have map[string]set, shown set) (problems []string) {
	query = strings.NewReplacer("$__rate_interval", "5m", "$job", "x").Replace(query)
	expr, err := metricsql.Parse(query)
	if err != nil {
		return []string{err.Error()}
	}
	labels, asked := make(set), make(set)
	counted := false // by rate or increase
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			for _, group := range e.LabelFilterss {
				for _, f := range group {
					if f.Label == "__name__" {
						asked[f.Value] = true
					} else {
						labels[f.Label] = true
					}
				}
			}
		case *metricsql.AggrFuncExpr:
			for _, name := range e.Modifier.Args {
				labels[name] = true
			}
			if !slices.Contains(functions, e.Name) {
				problems = append(problems, "no function "+e.Name)
			}
		case *metricsql.FuncExpr:
			counted = counted || e.Name == "rate" || e.Name == "increase"
			if !slices.Contains(functions, e.Name) {
				problems = append(problems, "no function "+e.Name)
			}
		}
	})
	if len(asked) == 0 {
		problems = append(problems, "it asks for no metric")
	}
	for name := range asked {
		shown[name] = true
		if have[name] == nil {
			problems = append(problems, "no metric "+name)
		}
		for l := range labels {
			if !have[name][l] {
				problems = append(problems, name+" has no label "+l)
			}
		}
		for _, suffix := range []string{"_total", "_bucket", "_count", "_sum"} {
			if strings.HasSuffix(name, suffix) && !counted {
				problems = append(problems, name+" only grows: it needs rate or increase")
			}
		}
	}
	return problems
}

// The check must be able to fail.
func TestQueriesAreChecked(t *testing.T) {
	have := exported("a_total{x=\"1\",y=\"a } \\\" b\"} 5\nup{z=\"\"} 1\n# HELP c_total d\n")
	for query, wrong := range map[string]string{
		`sum by (x, job) (rate(a_total{y=~"$job"}[$__rate_interval]))`: "",
		`up{z!=""}`:                            "",
		`sum(rate(a_total[5m])`:                "unexpected token",
		`rate(c_total[5m])`:                    "no metric c_total",
		`sum by (z) (rate(a_total[5m]))`:       "a_total has no label z",
		`rate(a_total{le="1"}[5m])`:            "a_total has no label le",
		`a_total`:                              "only grows",
		`1 + 1`:                                "asks for no metric",
		`median_over_time(up[5m])`:             "no function median_over_time",
		`quantiles("q", 0.5, up)`:              "no function quantiles",
		`histogram_quantile(0.9, rate(up[5m])`: "unexpected token",
	} {
		problems := strings.Join(check(query, have, make(set)), "; ")
		if wrong == "" {
			require.Empty(t, problems, query)
		} else {
			require.Contains(t, problems, wrong, query)
		}
	}
}
