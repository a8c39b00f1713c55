package engine_test

import (
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
)

// A plugin speaks for itself alone: on AWS nobody else could.
func TestAnotherPluginsExtensionPointIsNotForTheTaking(t *testing.T) {
	for want, change := range map[string]func(lending, press *es.Plugin){
		"Press.Article publishes at Lending.Books, which is another plugin's extension point": func(lending, press *es.Plugin) {
			press.Publications[0].Point.Name = lending.Publications[0].Point.Name
		},
		"Press.Copies accepts requests to Lending.Books, which is another plugin's extension point": func(lending, press *es.Plugin) {
			x := lending.Extensions[0]
			x.Target = press.Extensions[0].Target
			press.Extensions = append(press.Extensions, x)
		},
		"Lending.Reserve: Press.Article is not an aggregate of its plugin": func(lending, press *es.Plugin) {
			lending.Mappings[1].Rejected.Target = press.Extensions[0].Target
		},
	} {
		plugins := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
		change(&plugins[0], &plugins[1])
		if _, err := memory.New(plugins, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it opens: %v, want %q", err, want)
		}
	}
}
