package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// The page works below the API's stage, in a browser that signs in by the provider: it
// shows lists, takes a form, an order and a file, and follows what they set off.
func TestTheConsole(t *testing.T) {
	browser := exec.CommandContext(t.Context(), "npm", "run", "--silent", "e2e", "--", "flows", "-t", "main flows")
	browser.Dir = "../../console"
	browser.Env = append(os.Environ(), "NO_COLOR=1",
		"SHOP_URL="+shop.url, "SHOP_TOKEN="+token(t, "admin", "Admin"), "SHOP_PATIENCE=300000")
	out, err := browser.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("npm run e2e in console/: %v", err)
	}
}
