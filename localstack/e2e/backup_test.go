package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
)

// The first test, by the name of its file: only a stack without a history can be restored into.
func TestARestoreIntoTheStackThatIsKilledGoesOn(t *testing.T) {
	takesLong(t)
	// Given a backup of a folder with some thousand commits: a product whose price has changed
	// often, orders of it, and a customer who is erased
	const changes, orders = 1_200, 3
	dir := t.TempDir()
	program, heads := filepath.Join(dir, "shop"), filepath.Join(dir, "heads")
	data, file, keys := filepath.Join(dir, "data"), filepath.Join(dir, "shop.backup"), filepath.Join(dir, "identity")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/shop")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("shop %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	inFolder(t, program, data, func(post func(path, body string), get func(path string) string) {
		post("/catalog/product/restored/add", `{"name":"Tea","description":"","price":1}`)
		for _, id := range []string{"restored-ann", "restored-bob"} {
			post("/ordering/customer/"+id+"/register", `{"email":"`+id+`@example.com","address":"1 Main Street"}`)
		}
		post("/ordering/customer/restored-bob/erase", "")
		together(8, func(worker int) {
			for i := range changes / 8 {
				post("/catalog/product/restored/update-price", fmt.Sprintf(`{"price":%d}`, 10+worker+8*i))
			}
		})
		post("/catalog/product/restored/update-price", `{"price":9.99}`)
		eventually(t, "the other plugin knows the price", func() (bool, any) {
			row := get("/ordering/available-products/restored")
			return row == `{"id":"restored","name":"Tea","price":9.99}`, row
		})
		for i := range orders {
			post(fmt.Sprintf("/ordering/order/restored-%d/place", i), `{"customerId":"restored-ann","productIds":["restored"]}`)
		}
		eventually(t, "the orders are shipped, counted and confirmed", func() (bool, any) {
			mails, err := filepath.Glob(filepath.Join(data, "emails", "*.eml"))
			rows := get("/ordering/orders") + get("/catalog/product-demands/restored")
			return len(mails) == orders && strings.Count(rows, `"shipped"`) == orders && strings.Contains(rows, demandRow("restored", orders)), fmt.Sprint(mails, err, rows)
		})
	})
	run("verify", "--data", data, "--heads", heads)
	run("backup", file, "--keys", keys, "--data", data)

	// When its restore into the stack is killed at its first commits, later, when some are noted,
	// and when all are there and functions begin to run
	for _, kill := range []struct {
		at string
		n  int
	}{{"BatchWriteItem", 10}, {"BatchWriteItem", 60}, {"UpdateFunctionConfiguration", 3}} {
		restore := exec.CommandContext(t.Context(), program, "restore", file, "--keys", keys, "--bring-back", "--stack", "Shop")
		reached := until(t, restore, kill.at, kill.n)
		var said bytes.Buffer
		restore.Stdout, restore.Stderr = &said, &said
		if err := restore.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- restore.Wait() }()
		select {
		case <-reached:
		case err := <-ended:
			t.Fatalf("it has ended before %s %d: %v\n%s", kill.at, kill.n, err, &said)
		}
		if err := restore.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Fatalf("it has come to its end before it was killed at %s %d", kill.at, kill.n)
		}
		// Then nobody gets to see what is there of it, before it is all there
		if kill.at != "BatchWriteItem" {
			continue
		}
		if a := admin(t).send(http.MethodGet, "/catalog/products", ""); a.Status < http.StatusInternalServerError && a.Status != http.StatusTooManyRequests {
			t.Errorf("killed at %s %d: the stack answers %d %s", kill.at, kill.n, a.Status, a.Body)
		}
	}

	// When it is run once more, then it goes on where it was, and what it has made verifies
	said := run("restore", file, "--keys", keys, "--bring-back", "--stack", "Shop")
	if !strings.Contains(said, "were there from an earlier attempt") || !strings.Contains(said, "streams are whole") {
		t.Errorf("restore: %s", said)
	}
	// And it is the same history, to each stream's latest commit and its hash
	there := filepath.Join(dir, "there")
	run("verify", "--stack", "Shop", "--expect", heads, "--heads", there)
	want, err1 := os.ReadFile(heads)
	got, err2 := os.ReadFile(there)
	if d := cmp.Diff(string(want), string(got)); d != "" || err1 != nil || err2 != nil {
		t.Errorf("heads (-folder +stack): %v %v\n%s", err1, err2, d)
	}
	// And views are what they were, nothing is mailed again, and who was erased is not back
	if got := list[struct{ ID, Status string }](admin(t), "/ordering/orders"); len(got) != orders || got[0].Status != "shipped" {
		t.Errorf("the orders are %v", got)
	}
	admin(t).becomes("/catalog/product-demands/restored", demandRow("restored", orders))
	if a := admin(t).send(http.MethodGet, "/ordering/customers/restored-bob", ""); strings.Contains(string(a.Body), "example.com") {
		t.Errorf("who was erased is %s", a.Body)
	}
	// And what is ordered now is shipped, counted on, and the only thing that is mailed
	admin(t).place("restored-new", "restored-ann", "restored")
	admin(t).becomes("/ordering/orders/restored-new", orderRow("restored-new", "restored-ann", "shipped", "restored"))
	admin(t).becomes("/catalog/product-demands/restored", demandRow("restored", orders+1))
	var mails []s3types.ObjectVersion
	eventually(t, "the new order is confirmed", func() (bool, any) {
		var err error
		mails, err = versions(t.Context(), output(t, deployed.ReportBucket), wiring.EmailPrefix)
		return len(mails) > 0, fmt.Sprint(mails, err)
	})
	if len(mails) != 1 || !strings.Contains(*mails[0].Key, "restored-new") {
		t.Errorf("e-mails: %v", mails)
	}
}

// until has the program reach the cloud through a place that hands on its requests, up to the
// n-th of that action, which gets no answer. What it returns is closed then.
func until(t *testing.T, program *exec.Cmd, action string, n int) (reached <-chan struct{}) {
	t.Helper()
	cloud, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	there, proxy := make(chan struct{}), httputil.NewSingleHostReverseProxy(cloud)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { // whoever asked is killed
		w.WriteHeader(http.StatusBadGateway)
	}
	var mu sync.Mutex
	left := n
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		is := strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+action) ||
			action == "UpdateFunctionConfiguration" && r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/configuration")
		mu.Lock()
		if is {
			if left--; left == 0 {
				close(there)
			}
		}
		stuck := left <= 0
		mu.Unlock()
		if stuck {
			_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that who asked is killed
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	program.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+between.URL, "AWS_ENDPOINT_URL_S3="+between.URL)
	return there
}

// inFolder does something with a shop in the folder, by HTTP, and stops it.
func inFolder(t *testing.T, program, data string, do func(post func(path, body string), get func(path string) string)) {
	t.Helper()
	serve := exec.CommandContext(t.Context(), program, "--json", "serve", "--addr", "127.0.0.1:0", "--data", data)
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	var first struct{ URL string }
	if err := json.NewDecoder(out).Decode(&first); err != nil || first.URL == "" {
		t.Fatalf("the shop does not say where it is: %v", err)
	}
	do(func(path, body string) {
		res, err := http.Post(first.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if said, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
			t.Errorf("POST %s %s: %d %s", path, body, res.StatusCode, said)
		}
	}, func(path string) string {
		res, err := http.Get(first.URL + path)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer res.Body.Close()
		said, _ := io.ReadAll(res.Body) // an error shows in what is compared
		return strings.TrimSpace(string(said))
	})
	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Fatalf("stop the shop in the folder: %v", err)
	}
}

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
