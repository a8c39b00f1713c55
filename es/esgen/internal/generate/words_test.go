package generate

import "testing"

func TestNames(t *testing.T) {
	for _, n := range []struct{ name, wire, exported string }{
		{"Name", "name", "Name"},
		{"ProductIDs", "productIds", "ProductIDs"},
		{"CategoryID", "categoryId", "CategoryID"},
		{"ETag", "etag", "ETag"},
		{"SourceETag", "sourceEtag", "SourceETag"},
		{"URL", "url", "URL"},
		{"UIBundleURL", "uiBundleUrl", "UIBundleURL"},
		{"HTTPServer", "httpServer", "HTTPServer"},
		{"IDs", "ids", "IDs"},
		{"ISBN13", "isbn13", "ISBN13"},
		{"X", "x", "X"},
		{"ProductDemands", "productDemands", "ProductDemands"},
		{"Orders_Extension", "ordersExtension", "OrdersExtension"},
		{"shipDelay", "shipDelay", "ShipDelay"},
		{"url", "url", "URL"},
		{"productIds", "productIds", "ProductIDs"},
	} {
		if got := wireName(n.name); got != n.wire {
			t.Errorf("%s is %q in JSON, want %q", n.name, got, n.wire)
		}
		if got := exported(n.name); got != n.exported {
			t.Errorf("%s is the field %q, want %q", n.name, got, n.exported)
		}
	}
}
