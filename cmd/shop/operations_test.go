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
	// Given a shop that is too busy for the second and the third step, once each
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
		if len(asked) == 4 {
			w.WriteHeader(http.StatusTooManyRequests) // API Gateway's
			_, _ = io.WriteString(w, `{"status":429,"code":"TooManyRequests"}`)
			return
		}
		_, _ = io.WriteString(w, map[string]string{"": `{"done":2,"next":"b"}`, "b": `{"done":3,"next":"c"}`, "c": `{"done":1}`}[s.Cursor])
	}))
	defer shop.Close()
	// When it is swept
	var out, said bytes.Buffer
	s := &session{program{&out, &said}, settings{Addr: shop.URL}, nil}
	if err := s.operate(t.Context(), "sweep", "", "streams swept"); err != nil {
		t.Fatal(err)
	}
	// Then those steps were asked for again, and the first once
	if got := strings.Join(asked, ","); got != ",b,b,c,c" || out.String() != "6 streams swept.\n" || strings.Count(said.String(), "trying again (1 of 6)\n") != 2 {
		t.Errorf("asked for %q, printed %q, said %q", got, out.String(), said.String())
	}
}
