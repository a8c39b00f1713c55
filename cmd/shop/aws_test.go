package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stack's API is served in this process: below its base path, to whoever has
// the credentials, as an administrator.
func TestACloudAnswersInThisProcess(t *testing.T) {
	var got *http.Request
	c := &cloud{
		base: &url.URL{Scheme: "https", Host: "abc.execute-api.eu-central-1.amazonaws.com", Path: "/prod"}, user: "arn:aws:iam::1:user/ada",
		api: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"code":"ProductAlreadyExists","status":409}`))
		}),
	}
	err := c.client().post(t.Context(), "/catalog/product-imports/a%2Fb?minVersion=0", "key", map[string]int{"price": 1}, nil)
	if !isProblem(err, "ProductAlreadyExists") {
		t.Errorf("the answer is %v", err)
	}
	if got.URL.EscapedPath() != "/catalog/product-imports/a%2Fb" || got.URL.RawQuery != "minVersion=0" || got.Method != http.MethodPost {
		t.Errorf("%s %s was asked for", got.Method, got.URL)
	}
	for name, want := range map[string]string{"X-Local-User": c.user, "X-Local-Groups": "Admin", "Idempotency-Key": "key"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
}

func TestAStackMustBeAShops(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, x := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a shop of its own":      {[]string{"serve", "--stack", "Shop"}, exitUsage, "runs by itself"},
		"no file of outputs":     {[]string{"parked", "--stack", file("a.json", `[]`)}, exitFailed, "--outputs-file"},
		"another stack's file":   {[]string{"parked", "--stack", file("b.json", `{"Blog":{"Url":"x"}}`)}, exitFailed, "not a shop's stack"},
		"a version needs no aws": {[]string{"version", "--stack", "Shop"}, exitOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, said strings.Builder
			if code := (program{&out, &said}).Run(context.Background(), x.args...); code != x.code || !strings.Contains(said.String(), x.says) {
				t.Errorf("exit code %d, want %d; it says %q, want %q in it", code, x.code, said.String(), x.says)
			}
		})
	}
}
