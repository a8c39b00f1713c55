package main

import (
	"os"
	"strings"
	"testing"
)

// emulated is an emulator's home with those files.
func emulated(t *testing.T, files map[string]string) emulator {
	t.Helper()
	e := emulator{product: localStack, home: t.TempDir(), port: "4566"}
	for name, text := range files {
		if err := os.WriteFile(e.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestWhatTheEmulatorPassesOverIsNoticed(t *testing.T) {
	const line = `2026-11-23T17:11:39 WARN : No resource provider found for "%s". To find out if …` + "\n"
	for name, x := range map[string]struct{ log, missing string }{
		"nothing":              {"Ready.\n", ""},
		"what does not matter": {strings.ReplaceAll(line, "%s", "AWS::CloudWatch::Dashboard"), ""},
		"what matters":         {strings.ReplaceAll(line, "%s", "AWS::CloudWatch::Dashboard") + strings.ReplaceAll(line, "%s", "AWS::Cognito::UserPool"), "AWS::Cognito::UserPool"},
	} {
		t.Run(name, func(t *testing.T) {
			err := emulated(t, map[string]string{"log": x.log}).checkLog()
			switch {
			case x.missing == "" && err != nil:
				t.Errorf("it complains: %v", err)
			case x.missing != "" && (err == nil || !strings.Contains(err.Error(), x.missing) || strings.Contains(err.Error(), "Dashboard")):
				t.Errorf("it does not complain of %s alone: %v", x.missing, err)
			}
		})
	}
}

func TestWhatTheEmulatorDoesNotDestroyIsNoticed(t *testing.T) {
	const line = "WARN : Resource provider operation failed: 'Failed to delete resource with id Reports65402A0A of type AWS::S3::Bucket'\n"
	if err := emulated(t, map[string]string{"log": "Ready.\n"}).checkDestroyed(); err != nil {
		t.Errorf("it complains: %v", err)
	}
	err := emulated(t, map[string]string{"log": line + line}).checkDestroyed()
	if err == nil || !strings.HasSuffix(err.Error(), "left resources behind: Reports65402A0A of type AWS::S3::Bucket") {
		t.Errorf("it does not complain of the bucket: %v", err)
	}
}

func TestTheAPIIsWhereTheEmulatorServesIt(t *testing.T) {
	e := emulated(t, map[string]string{"outputs.json": `{"Shop":{"ApiUrl":"https://abc123.execute-api.127.0.0.1:4566/prod/","BusName":"bus"}}`})
	out, err := e.outputs()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := out["ApiUrl"], "http://127.0.0.1:4566/_aws/execute-api/abc123/prod"; got != want {
		t.Errorf("the API is at %s, want %s", got, want)
	}
	if out["BusName"] != "bus" {
		t.Errorf("the outputs are %v", out)
	}
}

func TestAnotherProcessIsNotTakenForTheEmulator(t *testing.T) {
	e := emulated(t, map[string]string{"pid": "1"})
	if pid := e.running(); pid != 0 {
		t.Errorf("process %d is taken for the emulator", pid)
	}
	if err := e.stop(); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
	if _, err := os.Stat(e.path("pid")); err == nil {
		t.Error("the stale pid file is still there")
	}
}
