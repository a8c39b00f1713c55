package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/httpapi"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
)

func TestTheManifestSaysWhatFollowersHearAndWhen(t *testing.T) {
	// Given plugins with all kinds of followers
	all := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	all[0].Mappings[0] = all[0].Mappings[0].After(10 * 24 * time.Hour)
	// When somebody asks for the manifest
	var m struct {
		Plugins []map[string]json.RawMessage
	}
	if err := json.Unmarshal(manifestOf(t, all), &m); err != nil {
		t.Fatal(err)
	}
	// Then it has what they hear, how long they wait, and who hears of refusals
	for _, x := range []struct {
		plugin     int
		list, want string
	}{
		{0, "mappings", `{"name":"Lending.Remind","source":"Lending.Book","target":"Lending.Reader","delaySeconds":864000}`},
		{0, "mappings", `{"name":"Lending.Reserve","source":"Lending.Book","target":"Lending.Seat","delaySeconds":0,"onRejected":"Lending.Reader"}`},
		{0, "sideEffects", `{"name":"Lending.Congratulate","source":"Lending.Book","task":"Lending.Congratulations","reads":["Lending.Shelf"]}`},
		{1, "extensions", `{"name":"Press.Books_Extension","point":"Lending.Books","target":"Press.Article"}`},
		{1, "sideEffects", `{"name":"Press.Announce","point":"Lending.Books","task":"Press.Announcements"}`},
		{0, "tasks", `"sends":["Lending.Reader"],"reads":["Lending.Probes","Lending.Blank"]`},
		{1, "tasks", `{"name":"Press.Announcements","sends":[]}`},
	} {
		if got := string(m.Plugins[x.plugin][x.list]); !strings.Contains(got, x.want) {
			t.Errorf("%s are %s, want %s among them", x.list, got, x.want)
		}
	}
}

func TestTheManifestOfATaskThatMaySendToAnyAggregateNamesNone(t *testing.T) {
	// Given a task that works on objects and does not say what it sends to
	all := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	all[1].Tasks = append(all[1].Tasks, es.Task{Name: "Scan", Bucket: "scans"})
	// When somebody asks for the manifest
	m := string(manifestOf(t, all))
	// Then it does not say so either
	if want := `{"name":"Press.Scan","bucket":"scans"}`; !strings.Contains(m, want) {
		t.Errorf("the manifest is %s, want %s in it", m, want)
	}
}

func manifestOf(t *testing.T, all []es.Plugin) []byte {
	t.Helper()
	p, err := memory.New(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.New(httpapi.Config{Engine: p.Engine(), Plugins: all, Identity: httpapi.Local()})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/manifest.json", nil))
	return w.Body.Bytes()
}
