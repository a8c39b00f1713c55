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

func TestAnOperationGoesOnWhereTheShopWasTooBusy(t *testing.T) {
	// Given a shop that is too busy for the second of three steps, once
	var asked []string
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s step
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Error(err)
		}
		asked = append(asked, s.Cursor)
		if len(asked) == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":503,"code":"Unavailable"}`)
			return
		}
		_, _ = io.WriteString(w, map[string]string{"": `{"done":2,"next":"b"}`, "b": `{"done":3,"next":"c"}`, "c": `{"done":1}`}[s.Cursor])
	}))
	defer shop.Close()
	// When it is swept
	var out bytes.Buffer
	s := &session{program{&out, io.Discard}, settings{Addr: shop.URL}, nil}
	if err := s.operate(t.Context(), "sweep", "", "streams swept"); err != nil {
		t.Fatal(err)
	}
	// Then that step was asked for again, and the others once
	if got := strings.Join(asked, ","); got != ",b,b,c" || out.String() != "6 streams swept.\n" {
		t.Errorf("asked for %q, printed %q", got, out.String())
	}
}
