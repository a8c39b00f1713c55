package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"onlineshop/es"
)

func TestAViewSaysWhatItsRowsAre(t *testing.T) {
	const numbers = `{"properties":{"n":{"type":"integer"},"at":{"type":"string","format":"date-time"},"name":{"type":"string"}}}`
	whole := []es.Merge{{Field: "n", How: es.MergeSum}, {Field: "at", How: es.MergeLast}}
	for name, x := range map[string]struct {
		es.ReadModelDefinition
		want string
	}{
		"rows":                 {es.ReadModelDefinition{Kind: es.ViewRows, Sources: []string{"A.B", "A.C"}}, ""},
		"of several kinds":     {es.ReadModelDefinition{Sources: []string{"A.B"}}, "one of these"},
		"items of two":         {es.ReadModelDefinition{Kind: es.ViewItems, Sources: []string{"A.B", "A.C"}}, "from one aggregate, not from A.B and A.C"},
		"rows that are merged": {es.ReadModelDefinition{Kind: es.ViewRows, Merges: whole}, "leave out Sum"},
		"keyed and sorted":     {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: whole, Sorts: []string{"n"}}, "leave out By, Sort and Search"},
		"keyed and owned":      {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: whole, Access: es.AllowOwner()}, "has no owner"},
		"not all fields":       {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: whole}, "say how name is merged"},
		"a text":               {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: append(whole, es.Merge{Field: "name", How: es.MergeFirst})}, `no first or last "name"`},
		"the sum of times":     {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: []es.Merge{{Field: "at", How: es.MergeSum}}}, `"at" can't be added up`},
		"twice":                {es.ReadModelDefinition{Kind: es.ViewKeyed, Sources: []string{"A.B"}, Merges: append(whole, whole[0])}, "say once how n"},
	} {
		d := x.ReadModelDefinition
		d.Name, d.Schema = "A.View", json.RawMessage(numbers)
		err := validKind(d)
		if err == nil {
			err = validMerges(d)
		}
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}

func TestTotalsAreExact(t *testing.T) {
	for _, x := range [][3]string{
		{"", "0.1", "0.1"}, {"0.1", "0.2", "0.3"}, {"9.99", "-9.99", "0"}, {"1e-3", "1", "1.001"},
		{"999999999999.9999", "0.0001", "1000000000000"}, {"-5", "", "-5"},
	} {
		if got, err := addDecimals(x[0], x[1]); err != nil || got != x[2] {
			t.Errorf("%s and %s are %s, %v; want %s", x[0], x[1], got, err, x[2])
		}
	}
	if got, err := addDecimals("1", "x"); err == nil {
		t.Errorf("1 and x are %s", got)
	}
}

func TestRowIDsAreTakenApart(t *testing.T) {
	for _, x := range [][2]string{{"a", "b"}, {"a", ""}, {"a\x00", "b"}, {"", "b"}} {
		if id, sub := SplitItemID(ItemID(x[0], x[1])); id != x[0] || sub != x[1] {
			t.Errorf("%q is %q, %q", x, id, sub)
		}
	}
	for sub, want := range map[string]bool{"a": true, "": false, "a\x00": false, "\xff": false, strings.Repeat("a", 256): true, strings.Repeat("a", 257): false} {
		if validSubID(sub) != want {
			t.Errorf("%q is valid: %t", sub, !want)
		}
	}
}
