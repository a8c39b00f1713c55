package es_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"onlineshop/es"
)

func TestPricesAreExact(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "0.0": "0", "0.0001": "0.0001", "0.1": "0.1", "0.30": "0.3", "9.99": "9.99", "10": "10", "10.0000": "10",
		"100.5000": "100.5", "999999999999.9999": "999999999999.9999", "123456789012": "123456789012",
	} {
		p, err := es.ParsePrice(in)
		if err != nil || p.String() != want {
			t.Errorf("price %q is %v (error: %v), want %s", in, p, err, want)
		}
	}
	if es.MustPrice("9.90") != es.MustPrice("9.9") || es.MustPrice("9.9") == es.MustPrice("9.91") {
		t.Error("prices don't compare by value")
	}
}

func TestWhatIsNoPrice(t *testing.T) {
	for _, in := range []string{
		"", " ", "-1", "+1", "-0", "1e3", "1E3", "1.", ".5", "01", "00", "00.5", "1,5", "1.23456", "1234567890123", " 1", "1 ", "1.2.3",
		"x", "0x1", "1_000", "١", "NaN", "Inf", "null", `"1"`, strings.Repeat("9", 100),
	} {
		if p, err := es.ParsePrice(in); !errors.Is(err, es.ErrPrice) {
			t.Errorf("price %q is %v (error: %v), want an ErrPrice", in, p, err)
		}
	}
}

func TestMustPricePanicsOnAnythingElse(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it went on")
		}
	}()
	es.MustPrice("cheap")
}

func TestPricesAreJSONNumbers(t *testing.T) {
	var p es.Price
	if err := json.Unmarshal([]byte("9.90"), &p); err != nil || p != es.MustPrice("9.9") {
		t.Errorf("read %v (error: %v), want 9.9", p, err)
	}
	if b, err := json.Marshal(p); err != nil || string(b) != "9.9" {
		t.Errorf("wrote %s (error: %v), want 9.9", b, err)
	}
	if err := json.Unmarshal([]byte(`"9.9"`), &p); err == nil {
		t.Error("a string was read as a price")
	}
}

func TestPricesAddAndMultiplyExactly(t *testing.T) {
	most := es.MustPrice("999999999999.9999")
	for _, x := range []struct{ price, plus, sum string }{
		{"0.1", "0.2", "0.3"}, {"9.99", "0.01", "10"}, {"0", "0", "0"}, {"999999999999.9998", "0.0001", "999999999999.9999"},
	} {
		if got, err := es.MustPrice(x.price).Plus(es.MustPrice(x.plus)); err != nil || got.String() != x.sum {
			t.Errorf("%s + %s = %v (error: %v), want %s", x.price, x.plus, got, err, x.sum)
		}
	}
	for _, x := range []struct {
		price   string
		n       int
		product string
	}{{"0.1", 3, "0.3"}, {"19.99", 100, "1999"}, {"5", 0, "0"}, {"0", math.MaxInt, "0"}, {"999999999999.9999", 1, "999999999999.9999"}, {"0.0001", 9_999_999_999_999_999, "999999999999.9999"}} {
		if got, err := es.MustPrice(x.price).Times(x.n); err != nil || got.String() != x.product {
			t.Errorf("%d × %s = %v (error: %v), want %s", x.n, x.price, got, err, x.product)
		}
	}
	if got, err := most.Plus(es.MustPrice("0.0001")); !errors.Is(err, es.ErrPriceRange) {
		t.Errorf("more than the most is %v (error: %v)", got, err)
	}
	for _, n := range []int{2, -1, math.MaxInt} {
		if got, err := most.Times(n); !errors.Is(err, es.ErrPriceRange) {
			t.Errorf("%d times the most is %v (error: %v)", n, got, err)
		}
	}
	if got, err := es.MustPrice("0.0001").Times(10_000_000_000_000_000); !errors.Is(err, es.ErrPriceRange) {
		t.Errorf("it is %v (error: %v)", got, err)
	}
}

// FuzzPrice: the shortest form of a price is the same price, and is shortest.
func FuzzPrice(f *testing.F) {
	f.Add("0")
	f.Add("100.5000")
	f.Add("1e3")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := es.ParsePrice(s)
		if err != nil {
			return
		}
		short := p.String()
		if again, err := es.ParsePrice(short); err != nil || again != p {
			t.Errorf("%q is written as %q, which is %v (error: %v)", s, short, again, err)
		}
		if len(short) > len(s) {
			t.Errorf("%q is written as %q, which is longer", s, short)
		}
	})
}
