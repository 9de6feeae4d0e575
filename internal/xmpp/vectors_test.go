package xmpp

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectors is testdata/stanzas.json: exchanges recorded from the service's own client.
type vectors struct {
	Methods []struct {
		Method   string
		Args     map[string]string
		Outgoing string
		Inbound  string
		Result   json.RawMessage
		Note     string
	}
	Stream []struct{ Step, Direction, XML string }
	Events []struct {
		Event    string
		Inbound  string
		Listener string
		Payload  json.RawMessage
		Reply    string
	}
}

func loadVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/stanzas.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(b, &v))
	require.NotEmpty(t, v.Methods)
	require.NotEmpty(t, v.Stream)
	require.NotEmpty(t, v.Events)
	return v
}

// stream returns a recorded stream frame.
func (v vectors) stream(t testing.TB, step string) string {
	t.Helper()
	for _, s := range v.Stream {
		if s.Step == step {
			return s.XML
		}
	}
	require.FailNow(t, "no such step", step)
	return ""
}

// messageVectors is testdata/messages.json: messages of the service's own client.
type messageVectors struct {
	IV   string
	Sent []struct {
		Call, By, Stanza string
	}
	Received []struct {
		What, Stanza string
	}
}

func loadMessageVectors(t testing.TB) messageVectors {
	t.Helper()
	b, err := os.ReadFile("testdata/messages.json")
	require.NoError(t, err)
	var v messageVectors
	require.NoError(t, json.Unmarshal(b, &v))
	require.Len(t, v.Sent, 45)
	require.Len(t, v.Received, 44)
	return v
}
