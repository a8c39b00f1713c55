package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestACheckShowsWhereRowsDifferAndFails(t *testing.T) {
	// Given a shop in which two rows of a view are not what the log says
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s step
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil || !s.Check || s.ReadModel != "Catalog.Products" {
			t.Error("asked for", s, err)
		}
		_, _ = io.WriteString(w, map[string]string{
			"":  `{"done":2,"next":"b","differences":[{"id":"mug","field":"price","stored":5,"folded":6},{"id":"mug","field":"categoryId","stored":"tea"}]}`,
			"b": `{"done":1,"differences":[{"id":"cup","folded":{"name":"Cup"}},{"id":"jug","reason":"no such luck"}],"more":3}`,
		}[s.Cursor])
	}))
	defer shop.Close()
	var out bytes.Buffer
	s := &session{program{&out, io.Discard}, settings{Addr: shop.URL}, nil}
	// When they are compared
	err := s.check(t.Context(), "Catalog.Products")
	// Then each difference is told, and the command fails
	want := `Catalog.Products mug: price is 5, the log says 6
Catalog.Products mug: categoryId is "tea", the log says absent
Catalog.Products cup: the row is absent, the log says {"name":"Cup"}
Catalog.Products jug can't be folded: no such luck
And 3 more differences.
`
	if out.String() != want || err == nil || !strings.Contains(err.Error(), "rows of Catalog.Products that are not what the log says: 3; shop rebuild Catalog.Products") {
		t.Errorf("printed\n%s, error %v", out.String(), err)
	}
}
