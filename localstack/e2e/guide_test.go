package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What docs/aws.md says between an account and the first order works as it
// stands, pasted into a shell.
func TestTheGuideWorksAsPasted(t *testing.T) {
	guide, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	script := `eval "$(bin/localstack env)"` + "\n"
	for _, block := range regexp.MustCompile("(?s)<!-- tour -->\n```sh\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		script += block[1]
	}
	if strings.Count(script, "\n") < 20 {
		t.Fatalf("the guide has hardly anything to try:\n%s", script)
	}
	t.Cleanup(func() { _ = os.Remove("../../bin/june.csv") }) // which it makes
	shell := exec.CommandContext(t.Context(), "bash", "-euxo", "pipefail", "-c", script)
	shell.Dir = "../.."
	shell.Env = append(os.Environ(), "TOKEN="+token(t, "admin", "Admin"))
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"added":2`, `"status":"shipped"`, `"orderCount":1`, "Shipped", "june.csv: finished", "Nothing is parked."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("its output has no %s:\n%s", want, out)
		}
	}
}
