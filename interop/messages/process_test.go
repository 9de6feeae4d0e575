package messages

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// life is one process of the bot, and what it has reported.
type life struct {
	t       testing.TB
	record  *record
	manner  manner
	process *exec.Cmd
	stdin   io.Closer
	// up is closed when it is connected, ended when it has gone and all that it has said is read.
	up, ended chan struct{}

	mu                  sync.Mutex
	wire, told, handled []string
	failed              string
	// more is closed when there is another report.
	more chan struct{}
}

// begin starts a bot, whose reports r notes too.
func (r *record) begin(t testing.TB, o order) *life {
	t.Helper()
	text, err := json.Marshal(o)
	require.NoError(t, err)
	l := &life{
		t: t, record: r, manner: o.Manner, process: exec.Command(os.Args[0]),
		up: make(chan struct{}), ended: make(chan struct{}), more: make(chan struct{}),
	}
	l.process.Env = append(os.Environ(), botEnv+"="+string(text))
	l.process.Stderr = os.Stderr
	stdin, err := l.process.StdinPipe()
	require.NoError(t, err)
	l.stdin = stdin
	stdout, err := l.process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, l.process.Start())
	r.lives = append(r.lives, l)
	go l.listen(stdout) // until the process has gone
	return l
}

func (l *life) listen(stdout io.Reader) {
	defer close(l.ended)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		word, id, _ := strings.Cut(lines.Text(), " ")
		l.note(word, id)
	}
}

func (l *life) note(word, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch word {
	case botUp:
		close(l.up)
	case botWire:
		l.wire = append(l.wire, id)
	case botTold:
		l.told = append(l.told, id)
	case botHandled:
		l.handled = append(l.handled, id)
		l.record.note(id)
	default:
		l.failed += word + " " + id + "\n"
	}
	close(l.more)
	l.more = make(chan struct{})
}

// awaitUp waits until the bot is connected.
func (l *life) awaitUp() {
	l.t.Helper()
	select {
	case <-l.up:
	case <-l.ended:
		require.Fail(l.t, "the bot has ended", l.failed)
	case <-time.After(users.Patience):
		require.Fail(l.t, "the bot does not connect")
	}
}

// await waits until what it has reported is as wanted, and reports false when that takes longer
// than limit. Nothing more is reported while is looks.
func (l *life) await(limit time.Duration, is func() bool) bool {
	l.t.Helper()
	timeout := time.After(limit)
	for {
		l.mu.Lock()
		fits, more := is(), l.more
		l.mu.Unlock()
		if fits {
			return true
		}
		select {
		case <-more:
		case <-l.ended:
			return false
		case <-timeout:
			return false
		}
	}
}

// kill ends the process with SIGKILL, and returns when all that it has said is known.
func (l *life) kill() {
	l.t.Helper()
	require.NoError(l.t, l.process.Process.Kill())
	<-l.ended
	_ = l.process.Wait() // "signal: killed"
	_ = l.stdin.Close()
	require.Empty(l.t, l.failed)
}

// leave has the process end in order.
func (l *life) leave() {
	l.t.Helper()
	require.NoError(l.t, l.stdin.Close())
	<-l.ended
	require.NoError(l.t, l.process.Wait())
	require.Empty(l.t, l.failed)
}
