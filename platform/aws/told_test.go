package aws_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"onlineshop/platform/aws"
	"onlineshop/platform/aws/wiring"
)

func TestAFunctionLearnsWhatItsVariablesHaveNoRoomFor(t *testing.T) {
	// Given two plugins, whose event mappings are told of all that they have
	own := func(plugin string) wiring.PluginWiring {
		return wiring.PluginWiring{Events: plugin + "Events", Cursors: plugin + "Cursors", Parked: plugin + "Parked", Keys: plugin + "Keys"}
	}
	told := func(plugin string) wiring.Wiring {
		p := own(plugin)
		p.Snapshots = plugin + "Snapshots"
		return wiring.Wiring{
			Plugins: map[string]wiring.PluginWiring{plugin: p}, Bus: "bus", Reports: "reports",
			Rows: map[string]string{plugin + ".View": plugin + "View"}, Inboxes: map[string]string{plugin: "https://queues/" + plugin},
		}
	}
	lambda := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, function, _ := strings.Cut(r.URL.Path, "/functions/")
		plugin, configuration := strings.CutSuffix(function, "EventMapping/configuration")
		if !configuration || plugin == "Other" {
			http.Error(w, "no such function", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Environment": map[string]any{"Variables": map[string]string{wiring.Variable: told(plugin).Encode()}}})
	}))
	defer lambda.Close()
	config := awssdk.Config{Region: "eu-west-1", BaseEndpoint: &lambda.URL, Credentials: awssdk.AnonymousCredentials{}}
	// And a function that works for both, and is told what there is room for
	whole := wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{}, Rows: map[string]string{}, Inboxes: map[string]string{},
		Reports: "reports", Buckets: map[string]string{"Catalog.Import": "imports"},
	}
	for _, plugin := range []string{"Catalog", "Ordering"} {
		p := own(plugin)
		p.EventMapping, p.Projector = plugin+"EventMapping", plugin+"Projector"
		whole.Plugins[plugin] = p
		whole.Rows[plugin+".View"], whole.Inboxes[plugin] = plugin+"View", "https://queues/"+plugin
	}
	short := whole.Short()
	if short.Plugins["Catalog"].Events != "" || len(short.Rows) > 0 {
		t.Errorf("what is short is %+v", short)
	}
	// When it starts, then it knows all that it would have been told
	if got, err := aws.Whole(t.Context(), config, short); err != nil || !cmp.Equal(got, whole) {
		t.Errorf("%v\n(-want +got)%s", err, cmp.Diff(whole, got))
	}
	// And one that is told all asks for nothing
	if got, err := aws.Whole(t.Context(), awssdk.Config{}, whole); err != nil || !cmp.Equal(got, whole) {
		t.Errorf("%v\n(-want +got)%s", err, cmp.Diff(whole, got))
	}
	// And where it can't ask, it says of which function
	short.Plugins["Other"] = wiring.PluginWiring{EventMapping: "OtherEventMapping"}
	if _, err := aws.Whole(t.Context(), config, short); err == nil || !strings.Contains(err.Error(), "OtherEventMapping") {
		t.Errorf("it does not start for %v", err)
	}
}
