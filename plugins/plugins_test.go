package plugins_test

import (
	"testing"

	"onlineshop/httpapi"
	"onlineshop/platform/memory"
	"onlineshop/plugins"
)

// What the generator can't see, such as a schedule that no calendar has, keeps a shop from
// opening: it shows here before.
func TestAShopOpensWithThePlugins(t *testing.T) {
	all := plugins.All(plugins.NoDeps{})
	shop, err := memory.New(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpapi.New(httpapi.Config{Engine: shop.Engine(), Plugins: all, Identity: httpapi.Local()}); err != nil {
		t.Fatal(err)
	}
}
