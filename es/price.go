package es

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Price is an exact decimal with at most 12 digits before and 4 after the point,
// never negative. It compares with ==, and is a plain number in JSON: 9.99.
type Price struct{ e4 int64 } // ten-thousandths: 12 + 4 digits fit an int64

// ErrPrice says what a price looks like.
var ErrPrice = errors.New("must be 0 or up to 12 digits without leading zeros, then optionally a point and 1 to 4 digits, without sign or exponent")

// ParsePrice reads a price such as "9.99". Errors are [ErrPrice].
func ParsePrice(s string) (Price, error) {
	whole, frac, point := strings.Cut(s, ".")
	if len(whole) == 0 || len(whole) > 12 || whole != "0" && whole[0] == '0' || point && (len(frac) == 0 || len(frac) > 4) {
		return Price{}, ErrPrice
	}
	digits := whole + (frac + "0000")[:4]
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return Price{}, ErrPrice
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Price{}, ErrPrice
	}
	return Price{n}, nil
}

// MustPrice is [ParsePrice] for constants; it panics on anything else.
func MustPrice(s string) Price {
	p, err := ParsePrice(s)
	if err != nil {
		panic(fmt.Sprintf("price %q: %v", s, err))
	}
	return p
}

// String is the shortest form: "9.9" for 9.9000.
func (p Price) String() string {
	s := fmt.Sprintf("%d.%04d", p.e4/10000, p.e4%10000)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// maxPrice is the greatest price, in ten-thousandths.
const maxPrice = 9_999_999_999_999_999

// ErrPriceRange says that a sum or a product is not within what a price may be.
var ErrPriceRange = errors.New("a price is between 0 and 999999999999.9999")

// Plus returns the exact sum, or [ErrPriceRange].
func (p Price) Plus(q Price) (Price, error) {
	if p.e4 > maxPrice-q.e4 {
		return Price{}, ErrPriceRange
	}
	return Price{p.e4 + q.e4}, nil
}

// Times returns the price of n pieces, exactly, or [ErrPriceRange].
func (p Price) Times(n int) (Price, error) {
	if n < 0 || p.e4 > 0 && int64(n) > maxPrice/p.e4 {
		return Price{}, ErrPriceRange
	}
	return Price{p.e4 * int64(n)}, nil
}

// Compare is negative if p is less than q, zero if they are equal, and positive if p is
// greater.
func (p Price) Compare(q Price) int { return cmp.Compare(p.e4, q.e4) }

// MarshalJSON is the shortest form as a number.
func (p Price) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalJSON reads a number in the form of [ParsePrice].
func (p *Price) UnmarshalJSON(b []byte) (err error) {
	*p, err = ParsePrice(string(b))
	return err
}
