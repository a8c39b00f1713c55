package generate

import "testing"

func TestNames(t *testing.T) {
	for _, n := range []struct{ name, wire, kebab, exported string }{
		{"Name", "name", "name", "Name"},
		{"ProductIDs", "productIds", "product-ids", "ProductIDs"},
		{"CategoryID", "categoryId", "category-id", "CategoryID"},
		{"ETag", "etag", "etag", "ETag"},
		{"SourceETag", "sourceEtag", "source-etag", "SourceETag"},
		{"URL", "url", "url", "URL"},
		{"UIBundleURL", "uiBundleUrl", "ui-bundle-url", "UIBundleURL"},
		{"HTTPServer", "httpServer", "http-server", "HTTPServer"},
		{"IDs", "ids", "ids", "IDs"},
		{"ISBN13", "isbn13", "isbn13", "ISBN13"},
		{"X", "x", "x", "X"},
		{"ProductDemands", "productDemands", "product-demands", "ProductDemands"},
		{"Orders_Extension", "ordersExtension", "orders-extension", "OrdersExtension"},
		{"shipDelay", "shipDelay", "ship-delay", "ShipDelay"},
		{"url", "url", "url", "URL"},
		{"productIds", "productIds", "product-ids", "ProductIDs"},
	} {
		if got := wireName(n.name); got != n.wire {
			t.Errorf("%s is %q in JSON, want %q", n.name, got, n.wire)
		}
		if got := kebab(n.name); got != n.kebab {
			t.Errorf("%s is %q in a path, want %q", n.name, got, n.kebab)
		}
		if got := exported(n.name); got != n.exported {
			t.Errorf("%s is the field %q, want %q", n.name, got, n.exported)
		}
	}
}
