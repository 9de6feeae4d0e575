package sdktest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMedia(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("picture"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	content, contentType, err := s.Media(d.FileToken)
	require.NoError(t, err)
	require.NotEmpty(t, contentType)
	raw, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "picture", string(raw))
	for _, token := range []string{"", "nothing", "../accounts.db"} {
		_, _, err := s.Media(token)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}

func TestFaultsAreTold(t *testing.T) {
	s := trial(t)
	require.Equal(t, Faults{Steps: map[Step]FaultKind{}}, s.Faults())
	s.SetFault(StepIQ, FaultSlow)
	s.SetFault(StepBind, FaultClose)
	s.SetFault(StepBind, FaultNone)
	s.FailNext("/login/", 500, "boom")
	s.FailNext("logout", 401, "")
	s.Delay(time.Second)
	f := s.Faults()
	require.Equal(t, Faults{
		Steps: map[Step]FaultKind{StepIQ: FaultSlow}, Delay: time.Second,
		Next: []Failure{{Op: "login", Status: 500, Message: "boom"}, {Op: "logout", Status: 401}},
	}, f)
	f.Steps[StepREST] = FaultClose // a copy
	s.Delay(0)
	require.Equal(t, 500, rest(t, s, "POST", "/login", "", map[string]any{}).Status)
	require.Len(t, s.Faults().Next, 1, "one is used up")
	s.ClearFaults()
	require.Equal(t, Faults{Steps: map[Step]FaultKind{}}, s.Faults())
	s.SetFeature("report", false)
	require.False(t, s.Features()["report"])
	require.True(t, s.Features()["block"])
}

// Steps and FaultKinds name all constants.
func TestStepsAndKindsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "faults.go", nil, 0)
	require.NoError(t, err)
	var steps []Step
	var kinds []FaultKind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, isSpec := n.(*ast.ValueSpec)
		if !isSpec || len(spec.Values) != 1 {
			return true
		}
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		kind, isNamed := spec.Type.(*ast.Ident)
		if !isLiteral || !isNamed {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		switch kind.Name {
		case "Step":
			steps = append(steps, Step(text))
		case "FaultKind":
			kinds = append(kinds, FaultKind(text))
		}
		return true
	})
	require.NotEmpty(t, steps)
	require.Equal(t, steps, Steps())
	require.Equal(t, kinds, append([]FaultKind{FaultNone}, FaultKinds()...))
}

func TestSetProfile(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	p := Profile{NickName: "Ålice <&>", Email: "a@example.com", MobileNumber: "1", Status: "here", Image: "i", ThumbImage: "t"}
	require.NoError(t, s.SetProfile(t.Context(), "alice@"+s.Domain(), p))
	push := b.until("<vCard")
	require.Contains(t, push, `from="alice@`+s.Domain()+`"`)
	require.NotContains(t, push, "lice &lt;", "it travels sealed")
	require.Contains(t, push, "<status>here</status>")
	a.until("<vCard") // her other devices too
	p.UserID, p.UserJID = "alice", "alice@"+s.Domain()
	require.Equal(t, p, s.Profile("alice"))

	require.NoError(t, s.SetProfile(t.Context(), "carol", Profile{NickName: "Carol"}), "who is not there is registered")
	require.Equal(t, "Carol", s.Profile("carol").NickName)
	b.until(`from="carol@`)
	require.ErrorIs(t, s.SetProfile(t.Context(), "Not An Id", Profile{}), errPhoneUser)
	require.ErrorContains(t, s.SetProfile(t.Context(), "alice", Profile{Status: strings.Repeat("x", maxStanza)}), "too big")
	require.Equal(t, "here", s.Profile("alice").Status)
}
