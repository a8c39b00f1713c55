package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The program under test, built once with the race detector, and once without
// for what measures.
var binary, plainBinary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, plainBinary = filepath.Join(dir, "shop"), filepath.Join(dir, "plain", "shop")
	for _, build := range [][]string{{"build", "-race", "-o", binary, "."}, {"build", "-o", plainBinary, "."}} {
		if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(build, " "), err, out)
			return 1
		}
	}
	// A race detector that waits before each exit makes scripts slow.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// patience is how long a condition may take to come true: long, since machines
// that run tests are busy, and only ever waited for where something is wrong.
const patience = 5 * time.Minute

// eventually waits until done says so; saw is told where it never does.
func eventually(t testing.TB, what string, done func() (ok bool, saw any)) {
	t.Helper()
	var saw any
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := await(ctx, func() (ok bool, err error) {
		ok, saw = done()
		return ok, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %s; last seen: %v", patience, what, saw)
	}
}

// process is a shop that is being served by the real program.
type process struct {
	*client
	t      testing.TB
	data   string
	cmd    *exec.Cmd
	log    *lockedBuffer
	exited chan struct{}
}

// start serves a shop from a data folder, on a port of its own. Settings are
// further environment variables.
func start(t testing.TB, program, data string, settings ...string) *process {
	t.Helper()
	p, err := launch(t, program, data, settings...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func launch(t testing.TB, program, data string, settings ...string) (*process, error) {
	p := &process{t: t, data: data, log: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd = exec.Command(program, "serve", "--json")
	p.cmd.Env = append(os.Environ(), "SHOP_ADDR=127.0.0.1:0", "SHOP_DATA="+data, "SHOP_SHIP_DELAY=0s", "SHOP_AUTH=none", "SHOP_TOKEN=")
	p.cmd.Env = append(p.cmd.Env, settings...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	read := bufio.NewReader(out)
	line, err := read.ReadBytes('\n')
	go func() {
		_, _ = io.Copy(p.log, read)
		_ = p.cmd.Wait() // its state is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	t.Cleanup(func() {
		if s := p.log.String(); strings.Contains(s, "DATA RACE") || strings.Contains(s, "panic:") {
			t.Errorf("the shop's log has a data race or a panic:\n%s", s)
		}
	})
	var hello struct{ URL string }
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("shop serve: %w; it said: %s%s", err, line, p.log)
	}
	p.client = newClient(hello.URL, "")
	p.http.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	return p, nil
}

// kill ends the process as a power failure would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// stop asks it to end, and returns its exit code.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("SIGTERM: %v", err)
	}
	p.wait()
	return p.cmd.ProcessState.ExitCode()
}

// wait returns when the process has ended.
func (p *process) wait() {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the shop still runs after %s; its log: %s", patience, p.log)
	}
}

// must sends a command that is to be accepted.
func (p *process) must(path string, body any) {
	p.t.Helper()
	if err := p.post(p.t.Context(), path, "", body, nil); err != nil {
		p.t.Fatal(err)
	}
}

// row reads a view's row; ok is false where there is none.
func row[T any](p *process, path string) (v T, ok bool) {
	p.t.Helper()
	err := p.get(p.t.Context(), path, &v)
	var no *problem
	if errors.As(err, &no) && no.Status == http.StatusNotFound {
		return v, false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return v, true
}

// list reads a whole list.
func list[T any](p *process, path string) (all []T) {
	p.t.Helper()
	err := each(p.t.Context(), p.client, path, func(v T) error { all = append(all, v); return nil })
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// history reads all events of an aggregate.
func (p *process) history(aggregate, id string) []event {
	p.t.Helper()
	return list[event](p, "/"+aggregate+"/"+id+"/events")
}

// settled waits until every follower and view has seen the whole log. The
// consumers are looked at one after the other, and one's work is another's next: each
// time, a commit that is made meanwhile may be passed over. So all must have been idle
// more often than a commit sets off others in turn: an order is placed, shipped, counted.
func (p *process) settled() {
	p.t.Helper()
	idle := 0
	eventually(p.t, "every consumer is up to date", func() (bool, any) {
		var h struct {
			Status  string
			Plugins []struct {
				Name      string
				Connected bool
				Consumers []struct {
					Name       string
					LagSeconds float64
					Parked     int
				}
			}
		}
		if err := p.get(p.t.Context(), "/health", &h); err != nil {
			return false, err
		}
		for _, plugin := range h.Plugins {
			for _, c := range plugin.Consumers {
				if c.LagSeconds > 0 || c.Parked > 0 {
					idle = 0
					return false, h
				}
			}
		}
		idle++
		return h.Status == "ok" && idle > 4, h
	})
}

// drop puts a file into the folder that is imported from.
func (p *process) drop(name, content string) {
	p.t.Helper()
	hidden := filepath.Join(p.data, bucket, ".dropped-"+fmt.Sprintf("%x", name))
	if err := os.WriteFile(hidden, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(hidden, filepath.Join(p.data, bucket, name)); err != nil {
		p.t.Fatal(err)
	}
}

// lockedBuffer collects what a process writes.
type lockedBuffer struct {
	sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.buffer.String()
}
