package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// strict is MiniStack, a second emulator: it asks the role of each function whether it may.
// In a home of its own inside the emulator's lie
//
//	venv       what is installed
//	log        of the latest one
//	rights     what roles asked for, and whether they may: a line of JSON for each request
func (e emulator) strict(port string) emulator {
	return emulator{root: e.root, home: e.path("ministack"), port: port}
}

// installStrict installs what its lock file pins, where that is not there yet.
func (e emulator) installStrict(ctx context.Context) error {
	lock := filepath.Join(e.root, "localstack", "emulator", "ministack", "requirements.lock")
	pinned, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	if there, err := os.ReadFile(e.path("installed")); err == nil && bytes.Equal(there, pinned) {
		return nil
	}
	py := python(ctx)
	if py == "" {
		return errors.New("this machine lacks Python 3.13 (python3.13 on the PATH, or installed by pyenv)")
	}
	say("installing MiniStack in %s", e.home)
	if err := os.RemoveAll(e.path("venv")); err != nil {
		return err
	}
	if err := e.do(ctx, e.root, os.Environ(), py, "-m", "venv", e.path("venv")); err != nil {
		return err
	}
	if err := e.do(ctx, e.root, os.Environ(), e.path("venv/bin/pip"), "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock); err != nil {
		return err
	}
	return os.WriteFile(e.path("installed"), pinned, 0o600)
}

// startStrict returns when it is ready; stop ends it and what it started.
func (e emulator) startStrict(ctx context.Context) (stop func() error, err error) {
	tidy := func() error {
		return errors.Join(os.RemoveAll(e.path("tmp")), os.RemoveAll(e.path("cdk")), os.RemoveAll(e.path("cdk.out")), remove(e.path("outputs.json")))
	}
	if err := errors.Join(tidy(), os.MkdirAll(e.path("tmp"), 0o700), remove(e.path("rights"))); err != nil {
		return nil, fmt.Errorf("make room for what is temporary: %w", err)
	}
	if err := e.installStrict(ctx); err != nil {
		return nil, fmt.Errorf("install MiniStack: %w", err)
	}
	cmd := exec.Command(e.path("venv/bin/python"), filepath.Join(e.root, "localstack", "emulator", "ministack", "start.py"))
	cmd.Dir = e.home
	// It obeys many variables, and hands them to the functions: it gets these alone.
	cmd.Env = append(e.credentials(),
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME="+e.path("tmp"), "TMPDIR="+e.path("tmp"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"BIND_HOST=127.0.0.1", "MINISTACK_HOST=127.0.0.1", "GATEWAY_PORT="+e.port, "AUTH=true", "SHOP_RIGHTS="+e.path("rights"),
	)
	kill, err := child(ctx, cmd, strings.TrimPrefix(e.url(), "http://"), e.path("log"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start MiniStack: %w", err), tidy())
	}
	say("MiniStack is ready at %s, process %d, log %s", e.url(), cmd.Process.Pid, e.path("log"))
	return func() error { return errors.Join(kill(), tidy()) }, nil
}

// onTheRoles tests the roles of the stack's functions, where they are enforced.
func (e emulator) onTheRoles(ctx context.Context, test func(env ...string) error) (err error) {
	_, port, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	m := e.strict(cmp.Or(os.Getenv("MINISTACK_PORT"), port))
	if err := os.MkdirAll(m.home, 0o700); err != nil {
		return err
	}
	stop, err := m.startStrict(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	provider, err := newIssuer(ctx)
	if err != nil {
		return err
	}
	if err := m.put(ctx, shop, "auth=jwt", "jwtIssuer="+provider.url, "jwtAudience="+audience, "shipDelay=2s", "importTimeout=20"); err != nil {
		return err
	}
	out, err := m.outputs()
	if err != nil {
		return err
	}
	say("testing the roles of the shop's functions at %s", m.url())
	return test(m.environment(
		"SHOP_ROLES_API="+out["ApiUrl"], "SHOP_ROLES_ISSUER="+provider.url,
		"SHOP_ROLES_OUTPUTS="+m.path("outputs.json"), "SHOP_ROLES_RIGHTS="+m.path("rights"),
	)...)
}

// everyRole runs that suite alone, with every permission and not only some.
func (e emulator) everyRole(ctx context.Context) error {
	return e.onTheRoles(ctx, func(env ...string) error {
		return e.do(ctx, e.root, append(env, "SHOP_ROLES_ALL="+cmp.Or(os.Getenv("SHOP_ROLES_ALL"), "1")), "go", "test", "-count=1", "-v", "-timeout", "60m", "./localstack/roles")
	})
}
