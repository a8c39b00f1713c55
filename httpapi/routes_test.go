package httpapi

import "testing"

func TestTitle(t *testing.T) {
	if got := title("ProductNotFound"); got != "Product not found" {
		t.Errorf("the title of ProductNotFound is %q", got)
	}
}
