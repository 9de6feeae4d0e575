package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// workerFlag makes this program one of the processes that it starts. Each peer is measured in a
// process of its own, so that CPU time and memory are the peer's alone. sdktest runs in another
// one.
const workerFlag = "-worker"

// job is what a worker reads from its standard input, as JSON. One field is set. The worker writes
// the answer to its standard output: for Requests one when it is connected, and then for each turn
// that it reads one, or two where it hears messages; for Burst one when it is connected, and one.
type job struct {
	Requests *requestsJob `json:",omitempty"`
	Sessions *sessionsJob `json:",omitempty"`
	Burst    *burstJob    `json:",omitempty"`
	Serve    *serveJob    `json:",omitempty"`
}

// work does the job of a worker. It ends early with its standard input: then the process that
// started it has ended.
func work(stdin io.Reader, stdout io.Writer) error {
	in := json.NewDecoder(stdin)
	var j job
	if err := in.Decode(&j); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	turns := make(chan turn, 1)
	// It has no owner: it ends with standard input, at the latest with the process.
	go func() {
		defer close(turns)
		for t := (turn{}); in.Decode(&t) == nil; {
			turns <- t
		}
		cancel(errors.New("nobody waits for the answer"))
	}()
	var result any
	err := errors.New("no job")
	out := json.NewEncoder(stdout)
	switch {
	case j.Requests != nil:
		if err = j.Requests.Service.trust(); err == nil {
			return j.Requests.run(ctx, turns, func(r requestsResult) error { return out.Encode(r) })
		}
	case j.Burst != nil:
		if err = j.Burst.Service.trust(); err == nil {
			return j.Burst.run(ctx, func(r burstResult) error { return out.Encode(r) })
		}
	case j.Sessions != nil:
		if err = j.Sessions.Service.trust(); err == nil {
			result, err = j.Sessions.run(ctx)
		}
	case j.Serve != nil:
		return j.Serve.run(ctx, func(s service) error { return out.Encode(s) })
	}
	if err != nil {
		return err
	}
	return out.Encode(result)
}

// worker is a process that was started.
type worker struct {
	cmd   *exec.Cmd
	stdin io.Closer
	in    *json.Encoder
	out   *json.Decoder
}

// hire starts a worker. The end of ctx kills it.
func hire(ctx context.Context, j job) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, workerFlag)
	cmd.Stderr = os.Stderr
	// Ctrl+C must end only this process: a worker ends with its standard input.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &worker{cmd, stdin, json.NewEncoder(stdin), json.NewDecoder(stdout)}
	if err := w.in.Encode(j); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// end tells the worker to end and waits for it.
func (w *worker) end() error {
	defer w.limited()()
	return errors.Join(w.stdin.Close(), w.cmd.Wait())
}

// patience is how long one answer may take: some peers do not notice that their server has gone.
const patience = 15 * time.Minute

// limited kills the worker when patience ends before the returned function is called.
func (w *worker) limited() (stop func() bool) {
	// fails when it has ended by itself
	return time.AfterFunc(patience, func() { _ = w.cmd.Process.Kill() }).Stop
}

// answer waits for one.
func (w *worker) answer(to any) error {
	defer w.limited()()
	if err := w.out.Decode(to); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	return nil
}

// have has a worker do a job and returns its answer.
func have[T any](ctx context.Context, j job) (answer T, err error) {
	w, err := hire(ctx, j)
	if err != nil {
		return answer, err
	}
	return answer, errors.Join(w.answer(&answer), w.end())
}
