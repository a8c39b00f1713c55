package httpapi

import "testing"

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{
		"Product": "product", "ProductDemands": "product-demands", "UpdatePrice": "update-price", "Orders_Extension": "orders-extension",
		"URLPath": "url-path", "ProductIDs": "product-ids", "ID": "id", "Über": "über",
	} {
		if got := kebab(name); got != want {
			t.Errorf("%s in a path is %s, want %s", name, got, want)
		}
	}
	if got := title("ProductNotFound"); got != "Product not found" {
		t.Errorf("the title of ProductNotFound is %q", got)
	}
}
