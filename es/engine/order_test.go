package engine

import (
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestNumbersSortAsTheirKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() string {
		s := fmt.Sprint(random.Int64N(2000) - 1000)
		switch random.IntN(4) {
		case 0:
			s += fmt.Sprintf(".%03d", random.IntN(1000))
		case 1:
			s += fmt.Sprintf("e%d", random.IntN(9)-4)
		case 2:
			s += fmt.Sprintf(".%dE+%d", random.IntN(10), random.IntN(5))
		}
		return s
	}
	for range 20_000 {
		a, b := number(), number()
		x, ok1 := new(big.Rat).SetString(a)
		y, ok2 := new(big.Rat).SetString(b)
		k, ok3 := numberKey(a)
		l, ok4 := numberKey(b)
		if !ok1 || !ok2 || !ok3 || !ok4 || cmp.Compare(k, l) != x.Cmp(y) {
			t.Fatalf("%s and %s have the keys %q and %q", a, b, k, l)
		}
	}
	for _, no := range []string{"", "1,5", "0x10", `"1"`, "true", "NaN", "1e99999", "01", "- 1", "1 "} {
		if k, ok := numberKey(no); ok {
			t.Errorf("%q has the key %q", no, k)
		}
	}
}

func TestWordsAreWithoutCaseAndAccents(t *testing.T) {
	for text, want := range map[string][]string{
		"Müsli-Schüssel, 1.2 l (MÜSLI)": {"1", "2", "l", "musli", "schussel"},
		"Straße E\u0301TE\u0301 ﬁn Ⅷ":   {"ete", "fin", "strasse", "viii"},
		"İstanbul ΣΟΦΟΣ":                {"istanbul", "σοφοσ"},
		"…!":                            {},
		"Mug\nA\x7fRED mug\t!":          {"a", "mug", "red"},
	} {
		if got := Words(text); !slices.Equal(got, want) {
			t.Errorf("%q has the words %q, want %q", text, got, want)
		}
	}
}
