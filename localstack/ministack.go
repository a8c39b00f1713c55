package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// miniStack is a second emulator: it asks the role of each function whether it may, and
// deploys in seconds. In its home lies, beside what every emulator's has,
//
//	rights     what roles asked for, and whether they may: a line of JSON for each request
var miniStack = product{"MiniStack", "ministack/start.py", installMiniStack, miniStackCommand, func(e emulator) (bool, error) {
	c, err := net.Dial("tcp", e.address())
	return err == nil && c.Close() == nil, nil
}}

func miniStackHome(root string) string {
	return filepath.Join(root, "localstack", ".home", "ministack")
}

// installMiniStack installs what its lock file pins, where that is not there yet.
func installMiniStack(ctx context.Context, e emulator) error {
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

func miniStackCommand(_ context.Context, e emulator) (*exec.Cmd, error) {
	cmd := exec.Command(e.path("venv/bin/python"), filepath.Join(e.root, "localstack", "emulator", "ministack", "start.py"))
	// It obeys many variables, and hands them to the functions: it gets these alone.
	cmd.Env = append(e.credentials(),
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME="+e.path("tmp"), "TMPDIR="+e.path("tmp"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"BIND_HOST=127.0.0.1", "MINISTACK_HOST=127.0.0.1", "GATEWAY_PORT="+e.port, "AUTH=true", "SHOP_RIGHTS="+e.path("rights"),
	)
	return cmd, nil
}

// onTheRoles tests the roles of the stack's functions, where they are enforced.
func (e emulator) onTheRoles(ctx context.Context, test func(env ...string) error) (err error) {
	_, port, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	m := emulator{miniStack, e.root, miniStackHome(e.root), cmp.Or(os.Getenv("MINISTACK_PORT"), port)}
	if err := m.free(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop()) }() // before up: it may be interrupted half-way
	if err := errors.Join(remove(m.path("rights")), m.up(ctx)); err != nil {
		return err
	}
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
