package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheStackMovesToAFolder(t *testing.T) {
	// Given products, a customer and an order that is shipped, on the stack
	products(t, "moving-tea")
	someone(t, "moving-mia").customer("moving-mia")
	someone(t, "moving-mia").place("moving-order", "moving-mia", "moving-tea")
	admin(t).becomes("/ordering/orders/moving-order", orderRow("moving-order", "moving-mia", "shipped", "moving-tea"))
	// When the stack is backed up, and restored into a folder
	dir := t.TempDir()
	file, data, keys := filepath.Join(dir, "shop.backup"), filepath.Join(dir, "data"), filepath.Join(dir, "identity.txt")
	if said := command(t, "backup", file, "--keys", keys); !strings.Contains(said, "holds the shop") {
		t.Errorf("backup: %s", said)
	}
	inFolder := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/shop", "--addr", "127.0.0.1:1", "--data", data}, args...)...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("shop %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	// Then that verifies, and has sent nothing
	if said := inFolder("restore", file, "--keys", keys, "--bring-back"); !strings.Contains(said, "streams are whole") {
		t.Errorf("restore: %s", said)
	}
	if _, err := os.Stat(filepath.Join(data, "emails")); err == nil {
		t.Error("e-mails were sent")
	}
	// And its history is the stack's
	heads := filepath.Join(dir, "heads.txt")
	inFolder("verify", "--heads", heads)
	there, err := os.ReadFile(heads)
	if err != nil || !strings.Contains(string(there), `"Ordering.Order#moving-order" 1 `) {
		t.Errorf("the folder's heads are %s, %v", there, err)
	}
	// When the file is restored into the stack, which has a history, then that is refused, and
	// the stack stays open
	if out, err := attempt(t, "restore", file, "--keys", keys, "--bring-back"); err == nil || !strings.Contains(out, "the stack is not empty") {
		t.Errorf("restore into the stack: %v\n%s", err, out)
	}
	admin(t).must("/catalog/product/moving-cup/add", `{"name":"Cup","description":"","price":1}`)
}

func TestWhatALogHasLostComesBackFromAnotherTable(t *testing.T) {
	takesLong(t)
	// Given a product that is known to both plugins, and a log that has lost nothing
	products(t, "lost-tea")
	// When it is compared with itself, as with a table of an earlier time
	table := shop.stack.Wiring.Plugins["Catalog"].Events
	said := command(t, "--json", "restore", "--from-table", "Catalog="+table)
	// Then nothing has to be brought back, and the stack is open again, and verifies
	var restored struct{ Commits *int }
	for line := range strings.Lines(said) {
		if json.Unmarshal([]byte(line), &restored) == nil && restored.Commits != nil {
			break
		}
	}
	if restored.Commits == nil || *restored.Commits != 0 {
		t.Errorf("restore: %s", said)
	}
	admin(t).must("/catalog/product/lost-tea/update-price", `{"price":3}`)
	admin(t).becomes("/ordering/available-products/lost-tea", `{"id":"lost-tea","name":"Tea","price":3}`)
}
