package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/plugins"
)

func context(values map[string]any) func(string) any {
	return func(name string) any { return values[name] }
}

func TestSettingsHaveSafeDefaults(t *testing.T) {
	got, err := readSettings(context(nil))
	want := settings{auth: "cognito", arch: "arm64", version: "unknown", currency: plugins.Currency, keyRecovery: 7, importTimeout: 15 * time.Minute, bundles: filepath.Join("bin", "lambdas"), env: map[string]string{"SHOP_SHIP_DELAY": "0s"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("settings are %+v, %v, want %+v", got, err, want)
	}
}

func TestSpansGoWhereItIsSaid(t *testing.T) {
	s, err := readSettings(context(map[string]any{"otlp": "https://collector.example.com:4318"}))
	if got := s.env["OTEL_EXPORTER_OTLP_ENDPOINT"]; err != nil || got != "https://collector.example.com:4318" {
		t.Errorf("functions export to %q, %v", got, err)
	}
}

func TestWrongSettingsAreRefusedWithAHint(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		want    string
	}{
		{map[string]any{"auth": "basic"}, "-c auth=basic is none of [cognito jwt none]"},
		{map[string]any{"arch": "arm"}, "-c arch=arm is none of [arm64 x86_64]"},
		{map[string]any{"removal": "delete"}, "-c removal=delete is none of"},
		{map[string]any{"auth": "jwt"}, "-c auth=jwt needs -c jwtIssuer=https://…"},
		{map[string]any{"auth": "jwt", "jwtIssuer": "login", "jwtAudience": "shop"}, `there is "login" and "shop"`},
		{map[string]any{"jwtIssuer": "https://login.example.com"}, "go with -c auth=jwt, not with -c auth=cognito"},
		{map[string]any{"auth": "none", "loginDomain": "shop"}, "-c loginDomain goes with -c auth=cognito, not with -c auth=none"},
		{map[string]any{"loginDomain": "Shop"}, "-c loginDomain=Shop is not what Cognito takes"},
		{map[string]any{"loginDomain": "shop-"}, "-c loginDomain=shop- is not what Cognito takes"},
		{map[string]any{"loginDomain": "my-aws-shop"}, "-c loginDomain=my-aws-shop is not what Cognito takes"},
		{map[string]any{"shipDelay": "-1s"}, "-c shipDelay=-1s is not a duration of at least 0s"},
		{map[string]any{"shipDelay": "soon"}, "-c shipDelay=soon is not a duration"},
		{map[string]any{"importTimeout": "901"}, "-c importTimeout=901 is not a number of seconds between 1 and 900"},
		{map[string]any{"keyRecovery": "36"}, "-c keyRecovery=36 is not a number of days between 1 and 35"},
		{map[string]any{"keyRecovery": "0.5"}, "-c keyRecovery=0.5 is not a number of days"},
		{map[string]any{"importTimeout": "0"}, "-c importTimeout=0 is not a number"},
		{map[string]any{"importTimeout": "1m"}, "-c importTimeout=1m is not a number"},
		{map[string]any{"emailFrom": "shop"}, "-c emailFrom=shop is not an e-mail address"},
		{map[string]any{"alarmEmail": "ops at home"}, "-c alarmEmail=ops at home is not an e-mail address"},
		{map[string]any{"otlp": "collector"}, "-c otlp=collector is not an address"},
		{map[string]any{"auth": "basic", "arch": "arm"}, "-c auth=basic is none of [cognito jwt none]\n-c arch=arm is none of"},
	} {
		if _, err := readSettings(context(c.context)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: the error is %v, want %q", c.context, err, c.want)
		}
	}
}

// cdk.json may give a number where the command line gives text.
func TestNumbersNeedNoQuotes(t *testing.T) {
	s, err := readSettings(context(map[string]any{"importTimeout": float64(30)}))
	if err != nil || s.importTimeout != 30*time.Second {
		t.Errorf("the import's timeout is %s, %v, want 30s", s.importTimeout, err)
	}
}

func TestTheStackWantsTheLambdasBuiltForItsArchitecture(t *testing.T) {
	dir := t.TempDir()
	build := func(machine elf.Machine) {
		var b bytes.Buffer
		header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT)}
		copy(header.Ident[:], elf.ELFMAG)
		header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
		if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "command", bootstrap), b.Bytes())
	}
	check := func(arch string) error { return checkBundles(settings{arch: arch, bundles: dir}, []string{"command"}) }

	if err := check("arm64"); err == nil || !strings.Contains(err.Error(), "run make lambdas ARCH=arm64") {
		t.Errorf("nothing is built: %v", err)
	}
	build(elf.EM_AARCH64)
	if err := check("arm64"); err != nil {
		t.Errorf("everything is built: %v", err)
	}
	if err := check("x86_64"); err == nil || !strings.Contains(err.Error(), "is built for EM_AARCH64, and the stack is for x86_64: run make lambdas ARCH=x86_64") {
		t.Errorf("built for something else: %v", err)
	}
	write(t, filepath.Join(dir, "command", bootstrap), []byte("#!/bin/sh\n"))
	if err := check("arm64"); err == nil || !strings.Contains(err.Error(), "is not a Linux program") {
		t.Errorf("no program: %v", err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestATaskRunsInAProgramOfItsOwnOrInTheOneForAll(t *testing.T) {
	s := settings{bundles: t.TempDir()}
	write(t, filepath.Join(s.bundles, "importproducts", bootstrap), nil)
	for task, want := range map[string]string{"ImportProducts": "importproducts", "ScanLabels": "task"} {
		if got := s.taskKind(es.Task{Name: task}); got != want {
			t.Errorf("%s runs in %s, want %s", task, got, want)
		}
	}
}
