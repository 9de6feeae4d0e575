package lenient

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// fields has one of each. A field that another value was in before must not keep it.
type fields struct {
	Text   Text
	Flag   Flag
	Number Number
	Texts  Texts
}

func read(t *testing.T, value string) fields {
	t.Helper()
	got := fields{Text: "old", Flag: true, Number: 7, Texts: Texts{"old"}}
	text := `{"text":` + value + `,"flag":` + value + `,"number":` + value + `,"texts":` + value + `}`
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	return got
}

func TestFields(t *testing.T) {
	for value, want := range map[string]fields{
		`null`:                 {},
		`true`:                 {Flag: true},
		`false`:                {},
		`{}`:                   {},
		`{"a":[1]}`:            {},
		`""`:                   {},
		`"x"`:                  {Text: "x"},
		`"true"`:               {Text: "true", Flag: true},
		`"1"`:                  {Text: "1", Flag: true, Number: 1},
		`1`:                    {Text: "1", Flag: true, Number: 1},
		`2`:                    {Text: "2", Number: 2},
		`-3`:                   {Text: "-3", Number: -3},
		`1.9`:                  {Text: "1.9", Number: 1},
		`"1.9"`:                {Text: "1.9", Number: 1},
		`-1.9`:                 {Text: "-1.9", Number: -1},
		`1e3`:                  {Text: "1e3", Number: 1000},
		`1e300`:                {Text: "1e300"},
		`9223372036854775807`:  {Text: "9223372036854775807", Number: 9223372036854775807},
		`9223372036854775808`:  {Text: "9223372036854775808"},
		`-9223372036854775808`: {Text: "-9223372036854775808", Number: -9223372036854775808},
		`"NaN"`:                {Text: "NaN"},
		`"Inf"`:                {Text: "Inf"},
		`"a\"b\u00e4\n"`:       {Text: "a\"bä\n"},
		"\"a\xffb\"":           {Text: "a\uFFFDb"},
		`[]`:                   {},
		`[ ]`:                  {},
		`["a","b"]`:            {Texts: Texts{"a", "b"}},
		`["a",7,null,{},[1],true,"","b"]`: {
			Texts: Texts{"a", "7", "b"},
		},
	} {
		require.Equal(t, want, read(t, value), value)
	}
}
