package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Each script has a shop of its own to talk to, unless its name begins with
// "alone". Beside testscript's commands: settled waits until every follower and
// view of the shop is up to date.
func TestScripts(t *testing.T) {
	type key struct{}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			if strings.HasPrefix(filepath.Base(env.WorkDir), "script-alone") {
				env.Setenv("SHOP_ADDR", "127.0.0.1:1") // where nobody listens
				return nil
			}
			p := start(env.T().(testing.TB), binary, filepath.Join(env.WorkDir, "data"))
			env.Setenv("SHOP_ADDR", strings.TrimPrefix(p.base, "http://"))
			env.Setenv("SHOP_DATA", p.data)
			env.Values[key{}] = p
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"settled": func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(key{}).(*process).settled() },
		},
	})
}
