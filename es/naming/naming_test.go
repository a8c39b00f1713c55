package naming_test

import (
	"testing"

	"onlineshop/es/naming"
)

func TestPathSegment(t *testing.T) {
	for name, want := range map[string]string{
		"Name": "name", "Product": "product", "ProductDemands": "product-demands", "UpdatePrice": "update-price",
		"ProductIDs": "product-ids", "CategoryID": "category-id", "ETag": "etag", "SourceETag": "source-etag", "URL": "url",
		"URLPath": "url-path", "UIBundleURL": "ui-bundle-url", "HTTPServer": "http-server", "ID": "id", "IDs": "ids", "IDsOf": "ids-of",
		"ISBN13": "isbn13", "X": "x", "Orders_Extension": "orders-extension", "shipDelay": "ship-delay", "productIds": "product-ids", "Über": "über",
	} {
		if got := naming.PathSegment(name); got != want {
			t.Errorf("%s is %q in a path, want %q", name, got, want)
		}
	}
}
