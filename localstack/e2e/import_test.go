package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"onlineshop/platform/aws/deployed"
)

// importRun is a row of ProductImports.
type importRun struct {
	ID, Status, Reason, Report               string
	Rows, Added, Unchanged, Rejected, Offset int
}

// run is the key's, folded from the log; the zero value where there is none.
func run(t testing.TB, key string) importRun {
	t.Helper()
	a := admin(t).send(http.MethodGet, "/catalog/product-imports/"+url.PathEscape(key)+"?minVersion=0", "")
	if a.Status == http.StatusNotFound {
		return importRun{}
	}
	var r importRun
	if err := json.Unmarshal(a.Body, &r); err != nil || a.Status != http.StatusOK {
		t.Fatalf("import of %s: %d %s", key, a.Status, a.Body)
	}
	return r
}

// ends waits for the end of the key's run.
func ends(t testing.TB, key string, right func(importRun) bool) (r importRun) {
	t.Helper()
	eventually(t, "the import of "+key+" ends", func() (bool, any) {
		r = run(t, key)
		return right(r), fmt.Sprintf("%+v", r)
	})
	return r
}

// rows is a CSV file of products <prefix>0 … <prefix>n-1, with a bad row after
// every thousandth; their text makes the file long enough for several parts.
func rows(prefix string, n int) (content []byte, bad int) {
	var b bytes.Buffer
	b.WriteString("id,name,description,price\n")
	for i := range n {
		fmt.Fprintf(&b, "%s%d,Product %d,\"Number %d, of many\",%d.5\n", prefix, i, i, i, i)
		if i%1000 == 0 {
			fmt.Fprintf(&b, "%sbad%d,Bad,,dear\n", prefix, i)
			bad++
		}
	}
	return b.Bytes(), bad
}

// imported are the products in the log whose ids begin with the prefix.
func imported(t testing.TB, prefix string) map[string]bool {
	t.Helper()
	ids, err := streams(t.Context(), "Catalog.Product")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) {
			out[id] = true
		}
	}
	return out
}

func TestAFileIsImportedWhateverItsName(t *testing.T) {
	for i, key := range []string{"with space.csv", "a+b.csv", "Sömmer & Räder (1).csv", "folder/deep file.csv", "100%.csv"} {
		t.Run(key, func(t *testing.T) {
			prefix := fmt.Sprintf("named-%d-", i)
			content, bad := rows(prefix, 3)
			put(t, output(t, deployed.ImportBucket), key, content)
			r := ends(t, key, func(r importRun) bool { return r.Status == "finished" })
			if r.ID != key || r.Rows != 4 || r.Added != 3 || r.Rejected != bad {
				t.Errorf("the run is %+v", r)
			}
			if got := report(t, key); len(got) != 1 || got[0][1] != "InvalidPrice" {
				t.Errorf("the report is %v", got)
			}
		})
	}
}

// report is an import's over HTTP, without its header.
func report(t testing.TB, key string) [][]string {
	t.Helper()
	var text string
	eventually(t, "the report of "+key+" is there", func() (bool, any) {
		a := admin(t).send(http.MethodGet, run(t, key).Report, "")
		text = string(a.Body)
		return a.Status == http.StatusOK, a.Status // redirects are followed
	})
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) == 0 || strings.Join(lines[0], ",") != "line,code,reason" {
		t.Fatalf("the report of %s: %v: %.200s", key, err, text)
	}
	return lines[1:]
}
