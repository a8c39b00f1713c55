package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// emulator is an AWS on this machine, without Docker: a process that listens on
// loopback. In its home lie
//
//	venv, fs   what is installed
//	log, pid   of the running one
//	dynamodb   where its DynamoDB Local listens, which may be asked past it
//	tmp        what it and the programs around it leave lying about
//	cdk, …     what deploying leaves; gone like tmp when it stops
type emulator struct {
	product
	root, home, port string
}

// product is which emulator it is.
type product struct {
	name    string
	process string // what its command line has, and no other process's
	install func(ctx context.Context, e emulator) error
	command func(ctx context.Context, e emulator) (*exec.Cmd, error)
	ready   func(e emulator) (bool, error)
}

// localStack is the one that tests count on.
var localStack = product{"LocalStack", "localstack.runtime.main", installLocalStack, localStackCommand, func(e emulator) (bool, error) {
	b, err := os.ReadFile(e.path("log"))
	return bytes.Contains(b, []byte("\nReady.\n")), err
}}

func (e emulator) path(name string) string { return filepath.Join(e.home, name) }
func (e emulator) address() string         { return net.JoinHostPort("127.0.0.1", e.port) }
func (e emulator) url() string             { return "http://" + e.address() }

// environment is this process's with what AWS clients need to reach the
// emulator: any credentials will do.
func (e emulator) environment(more ...string) []string {
	return slices.Concat(withoutAWS(), e.credentials(), []string{
		"CDK_HOME=" + e.path("cdk"), // it keeps accounts by access key: real ones of "test" must not be among them
		"TMPDIR=" + e.path("tmp"),
	}, more)
}

// withoutAWS is this process's environment without what leads to an account.
func withoutAWS() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "CDK_")
	})
}

func (e emulator) credentials() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + e.url(), "AWS_ENDPOINT_URL_S3=" + e.url(),
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// tools are what is needed beside Go.
type tools struct{ python, java string }

// look finds the tools, or says of all that are missing what they are for.
func look(ctx context.Context) (t tools, err error) {
	missing := []string{}
	t.python = python(ctx)
	if t.python == "" {
		missing = append(missing, "Python 3.13 (python3.13 on the PATH, or installed by pyenv): LocalStack 4.14.0 runs on no other")
	}
	if javac, err := exec.LookPath("javac"); err == nil {
		if javac, err = filepath.EvalSymlinks(javac); err == nil {
			t.java = filepath.Dir(filepath.Dir(javac))
		}
	}
	if t.java == "" || !atLeast17(ctx, t.java) {
		missing = append(missing, "JDK 17 or newer (javac on the PATH): for DynamoDB Local")
	}
	for _, x := range [][2]string{{"mvn", "Maven (mvn): it fetches DynamoDB Local"}, {"npm", "Node with npm: for the CDK"}} {
		if _, err := exec.LookPath(x[0]); err != nil {
			missing = append(missing, x[1])
		}
	}
	if len(missing) > 0 {
		return t, fmt.Errorf("this machine lacks\n  %s\nWith Docker, localstack/compose.yaml needs Node alone", strings.Join(missing, "\n  "))
	}
	return t, nil
}

// python is a Python 3.13 that starts; pyenv has commands on the PATH that don't.
func python(ctx context.Context) string {
	pyenv := os.Getenv("PYENV_ROOT")
	if pyenv == "" {
		home, _ := os.UserHomeDir() // without one there is no pyenv of the user's
		pyenv = filepath.Join(home, ".pyenv")
	}
	found, _ := filepath.Glob(filepath.Join(pyenv, "versions", "3.13.*", "bin", "python3.13")) // the pattern is well-formed
	for _, p := range append([]string{"python3.13"}, found...) {
		if exec.CommandContext(ctx, p, "-c", "import venv").Run() == nil {
			return p
		}
	}
	return ""
}

func atLeast17(ctx context.Context, home string) bool {
	out, err := exec.CommandContext(ctx, filepath.Join(home, "bin", "javac"), "-version").Output()
	version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "javac "), ".")
	n, _ := strconv.Atoi(version) // 0 for 1.8 and its like
	return err == nil && n >= 17
}

// up installs what is missing, and starts the emulator if it does not run.
func (e emulator) up(ctx context.Context) error {
	if pid := e.running(); pid != 0 {
		say("%s runs already, as process %d at %s", e.name, pid, e.url())
		return nil
	}
	if err := errors.Join(os.RemoveAll(e.path("tmp")), os.MkdirAll(e.path("tmp"), 0o700)); err != nil {
		return fmt.Errorf("make room for what is temporary: %w", err)
	}
	if err := e.install(ctx, e); err != nil {
		return err
	}
	return e.start(ctx)
}

func installLocalStack(ctx context.Context, e emulator) error {
	t, err := look(ctx)
	if err != nil {
		return err
	}
	return e.do(ctx, e.root, append(os.Environ(), "TMPDIR="+e.path("tmp"), "PYTHON="+t.python, "JAVA_HOME="+t.java), "localstack/emulator/install.sh", e.home)
}

// readyWithin is how long the emulator may take to start: long, since machines that run it are
// busy.
const readyWithin = 5 * time.Minute

// start returns when the emulator is ready.
func (e emulator) start(ctx context.Context) error {
	l, err := net.Listen("tcp", e.address())
	if err != nil {
		return fmt.Errorf("something else listens at %s (%w): stop it, or set LOCALSTACK_PORT", e.address(), err)
	}
	if err := l.Close(); err != nil {
		return err
	}
	log, err := os.Create(e.path("log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := e.command(ctx, e)
	if err != nil {
		return err
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = e.home, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives this program, and the terminal's Ctrl-C
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", e.name, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := os.WriteFile(e.path("pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return errors.Join(fmt.Errorf("note the emulator's process: %w", err), cmd.Process.Kill())
	}
	late, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not ready within %s", readyWithin))
	defer cancel()
	err = wait(late, func() (bool, error) {
		select {
		case err := <-exited:
			return false, fmt.Errorf("it ended: %w", err)
		default:
		}
		return e.ready(e)
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w; the end of %s:\n%s", e.name, err, log.Name(), tail(log.Name(), 30)), e.stop())
	}
	say("%s is ready at %s, process %d, log %s", e.name, e.url(), cmd.Process.Pid, log.Name())
	return nil
}

func localStackCommand(ctx context.Context, e emulator) (*exec.Cmd, error) {
	address, port, err := freeAddress(ctx)
	if err == nil {
		err = os.WriteFile(e.path("dynamodb"), []byte("http://"+address), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("find a port for DynamoDB Local: %w", err)
	}
	cmd := exec.Command(e.path("venv/bin/python"), "-m", "localstack.runtime.main")
	// LocalStack obeys many variables: it gets these alone.
	cmd.Env = []string{
		"PATH=" + e.path("venv/bin") + ":" + e.path("fs/var/lib/localstack/lib/java/21/bin") + ":/usr/local/bin:/usr/bin:/bin",
		"HOME=" + e.path("tmp"), "TMPDIR=" + e.path("tmp"), "LANG=C.UTF-8",
		"FILESYSTEM_ROOT=" + e.path("fs"), "OVERRIDE_IN_DOCKER=0",
		"GATEWAY_LISTEN=" + e.address(), "LOCALSTACK_HOST=" + e.address(),
		"DNS_ADDRESS=0", "SKIP_SSL_CERT_DOWNLOAD=1", "DISABLE_EVENTS=1", "AWS_EC2_METADATA_DISABLED=true",
		// DynamoDB Local's own streams, instead of a Kinesis mock that is downloaded.
		"PROVIDER_OVERRIDE_DYNAMODB=v2", "PROVIDER_OVERRIDE_DYNAMODBSTREAMS=v2", "DYNAMODB_IN_MEMORY=1",
		// Functions, and whoever else works on tables alone, ask it themselves, with any
		// credentials: on its way through LocalStack a request takes several times as long.
		"DYNAMODB_LOCAL_PORT=" + port, "DYNAMODB_SHARE_DB=1",
		"JAVA_TOOL_OPTIONS=" + strings.Join(e.javaOptions(), " "),
		"LAMBDA_RUNTIME_EXECUTOR=host",
		// Its pollers back off further than anybody wants to wait.
		"LAMBDA_EVENT_SOURCE_MAPPING_POLL_INTERVAL_SEC=0.25",
		"LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC=0.5",
		"LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_ERROR_SEC=2",
		"LAMBDA_RETRY_BASE_DELAY=1",
	}
	return cmd, nil
}

// javaOptions keep Java's leftovers among the others.
func (e emulator) javaOptions() []string {
	return []string{"-Djava.io.tmpdir=" + e.path("tmp"), "-XX:-UsePerfData"}
}

// running is the emulator's process id, or 0.
func (e emulator) running() int {
	b, err := os.ReadFile(e.path("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return 0
	}
	// The number may have gone to another process since.
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil || !bytes.Contains(out, []byte(e.process)) {
		return 0
	}
	return pid
}

// free fails where the emulator runs already.
func (e emulator) free() error {
	if pid := e.running(); pid != 0 {
		return fmt.Errorf("%s runs already, as process %d, and may have a shop that somebody uses: make localstack-down ends it", e.name, pid)
	}
	return nil
}

// patience is how long the emulator may take to end of itself.
const patience = 30 * time.Second

// stop ends the emulator. DynamoDB Local and the functions' processes go with it.
func (e emulator) stop() error {
	pid := e.running()
	if pid == 0 {
		say("%s does not run", e.name)
	} else {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Signal(syscall.SIGTERM)
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s, process %d: %w", e.name, pid, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		gone := func() (bool, error) { return e.running() == 0, nil }
		if wait(ctx, gone) != nil {
			ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("process %d does not end", pid))
			defer cancel()
			if err := errors.Join(p.Kill(), wait(ctx, gone)); err != nil {
				return fmt.Errorf("stop %s: %w", e.name, err)
			}
		}
		say("%s is stopped", e.name)
	}
	return errors.Join(remove(e.path("pid")), remove(e.path("dynamodb")), os.RemoveAll(e.path("tmp")), os.RemoveAll(e.path("cdk")), os.RemoveAll(e.path("cdk.out")), os.RemoveAll(e.path("library")), os.RemoveAll(e.path("tutorial")), remove(e.path("outputs.json")))
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
