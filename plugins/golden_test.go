package plugins_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/plugins"
	"onlineshop/plugins/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// What is stored and listed carries these names: cursors carry followers' names,
// streams aggregates', rows read models', commits events'.
func TestNamesAndShapesAreAStorageContract(t *testing.T) {
	const file = "testdata/contract.golden"
	got := contract()
	if *update && missing(held(committed(t, file), file), got, "") == "" {
		write(t, file, got) // which adds lines, and drops those that were never committed
	}
	was := read(t, file)
	if gone, added := missing(was, got, "-"), missing(got, was, "+"); gone != "" || added != "" {
		t.Errorf("names or shapes have changed (- in %s, + now):\n%s%s%s", file, gone, added,
			"They are a storage contract. Lines that are new are added by: go test ./plugins -update\n"+
				"(Lines that are not committed yet are no contract: that replaces them.)\n"+
				"An event of another shape wants an //es:version and an es.Upcast, one of another name an es.Upcast: so what is stored\n"+
				"is still read. Once it has that, or where another change is meant, delete the old lines from the file, and run that.")
	}
}

// held is what of a committed text still stands in the file: a line that somebody deleted by
// hand is no contract any more. A file that is gone altogether takes nothing with it.
func held(committed, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return committed
	}
	var kept strings.Builder
	lines, now := strings.Split(strings.TrimSuffix(committed, "\n"), "\n"), qualified(string(b))
	for i, line := range qualified(committed) {
		if slices.Contains(now, line) {
			kept.WriteString(lines[i] + "\n")
		}
	}
	return kept.String()
}

func TestAContractSaysWhoIsAdmitted(t *testing.T) {
	seen := map[string]es.Access{}
	for _, a := range []es.Access{es.AllowSignedIn(), es.AllowAnonymous(), es.DenyAll(), es.AllowGroups(es.Admin), es.AllowOwner(es.Admin)} {
		if other, twice := seen[access(a)]; twice {
			t.Errorf("%+v and %+v are both %q", a, other, access(a))
		}
		seen[access(a)] = a
	}
}

func TestALineIsAContractUntilItIsDeletedByHand(t *testing.T) {
	const committed = "plugin A\n  event Old v1 {}\n  event Same v1 {}\n"
	file := filepath.Join(t.TempDir(), "contract.golden")
	if got := held(committed, file); got != committed {
		t.Errorf("without the file, %q is held, want all of it", got)
	}
	write(t, file, "plugin A\n  event Same v1 {}\n  event Draft v1 {}\n")
	if got, want := held(committed, file), "plugin A\n  event Same v1 {}\n"; got != want {
		t.Errorf("without a line of it, %q is held, want %q", got, want)
	}
}

// missing are the lines of one text that another does not have, each with what it is in.
func missing(of, in, mark string) (lines string) {
	have := qualified(in)
	for _, line := range qualified(of) {
		if !slices.Contains(have, line) {
			lines += "\t" + mark + " " + line + "\n"
		}
	}
	return lines
}

// qualified are a text's lines, each after those that it is indented below.
func qualified(text string) (out []string) {
	var above []string // by depth
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		short := strings.TrimLeft(line, " ")
		above = append(above[:min((len(line)-len(short))/2, len(above))], short)
		out = append(out, strings.Join(above, ": "))
	}
	return out
}

// The file has a sample of every event there is or ever was. They are in event
// logs, and so must be read for ever.
func TestStoredEventsAreReadForEver(t *testing.T) {
	const file = "testdata/events.golden"
	codecs := codecs()
	var samples []string
	for _, name := range slices.Sorted(maps.Keys(codecs)) {
		for _, e := range codecs[name].events {
			samples = append(samples, codecs[name].sample(t, e))
		}
	}
	if *update { // which adds samples, and drops or changes none that was committed
		kept := append(strings.Split(strings.TrimSpace(committed(t, file)), "\n"), samples...)
		slices.Sort(kept)
		write(t, file, strings.Join(slices.Compact(kept), "\n")+"\n")
	}
	golden := lines(t, file)
	for _, line := range golden {
		c, stored := parse(t, codecs, line)
		events, err := c.decode(stored.Type, stored.Version, stored.Data)
		if err != nil {
			t.Errorf("a stored event can't be read any more: %v\n\t%s\nEvents are for ever: add an es.Upcast for it.", err, line)
			continue
		}
		if !c.current(stored) {
			continue
		}
		if now := c.line(t, events[0]); now != line {
			t.Errorf("%s of %s is stored in another form, and what is stored already is not read as it was:\n%s\n%s", stored.Type, c.name, fields(line, now),
				"Its form is a storage contract: keep it, or give the event a new //es:version and an es.Upcast for the earlier one.\n"+
					"(A line that is not committed yet is no contract: go test ./plugins -update replaces it.)")
		}
	}
	for _, s := range samples {
		if !slices.Contains(golden, s) {
			t.Errorf("%s has no sample of this event in its present form: run go test ./plugins -update\n\t%s", file, s)
		}
	}
}

// fields are the differences of two lines, field by field.
func fields(was, is string) string {
	data := func(line string) map[string]any {
		_, event, _ := strings.Cut(line, " ")
		var e struct{ Data map[string]any }
		_ = json.Unmarshal([]byte(event), &e) // as it was written
		return e.Data
	}
	before, now := data(was), data(is)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if v, ok := now[name]; !ok {
			fmt.Fprintf(&b, "\t%s: %v is not read any more\n", name, before[name])
		} else if !cmp.Equal(v, before[name]) {
			fmt.Fprintf(&b, "\t%s: %v is read as %v\n", name, before[name], v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, ok := before[name]; !ok {
			fmt.Fprintf(&b, "\t%s: is %v, and was not there\n", name, now[name])
		}
	}
	return b.String()
}

// committed returns the file as git has it, since nobody relies on a line before that;
// where there is no git, as it is.
func committed(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "show", "HEAD:./"+file).Output()
	if err != nil {
		return read(t, file)
	}
	return string(out)
}

// codec is how one aggregate's or extension point's events are stored.
type codec struct {
	name   string
	events []es.EventDefinition
	encode func(any) (string, int, []byte, error)
	decode func(string, int, []byte) ([]any, error)
}

func codecs() map[string]codec {
	out := map[string]codec{}
	for _, p := range plugins.All(plugins.NoDeps{}) {
		for _, a := range p.Aggregates {
			d := a.Definition()
			out[d.Name] = codec{d.Name, d.Events, d.EncodeEvent, d.DecodeEvent}
		}
		for _, x := range p.Publications {
			d := x.Point
			out[d.Name] = codec{d.Name, d.Events, d.Encode, d.Decode}
		}
	}
	return out
}

// current says whether the event is stored in that shape today.
func (c codec) current(s es.StoredEvent) bool {
	return slices.ContainsFunc(c.events, func(e es.EventDefinition) bool {
		return e.Name == s.Type && e.Version == max(s.Version, 1)
	})
}

// sample is a line with an event that has a value in every field.
func (c codec) sample(t *testing.T, e es.EventDefinition) string {
	t.Helper()
	data, err := json.Marshal(sample(e.Name, plugintest.ParseSchema(e.Schema)))
	if err != nil {
		t.Fatal(err)
	}
	events, err := c.decode(e.Name, e.Version, data)
	if err != nil {
		t.Fatalf("read a sample of %s of %s: %v", e.Name, c.name, err)
	}
	return c.line(t, events[0])
}

func (c codec) line(t *testing.T, event any) string {
	t.Helper()
	typ, version, data, err := c.encode(event)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(es.NewStoredEvent(typ, version, data))
	if err != nil {
		t.Fatal(err)
	}
	return c.name + " " + string(b)
}

func parse(t *testing.T, codecs map[string]codec, line string) (codec, es.StoredEvent) {
	t.Helper()
	name, event, _ := strings.Cut(line, " ")
	var stored es.StoredEvent
	if err := json.Unmarshal([]byte(event), &stored); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	c, ok := codecs[name]
	if !ok {
		t.Fatalf("there is no %s any more, but its events are stored:\n\t%s", name, line)
	}
	return c, stored
}

// sample is a value of that schema, in which a text is its field's name.
func sample(name string, s *plugintest.Schema) any {
	switch {
	case s.Type == "object":
		fields := map[string]any{}
		for f, x := range s.Properties {
			fields[f] = sample(f, x)
		}
		return fields
	case s.Type == "array":
		return []any{sample(name, s.Items)}
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Format == "date-time":
		return "2026-01-02T03:04:05.678Z"
	case s.Type == "string":
		return name
	case s.Type == "boolean":
		return true
	case s.Type == "integer":
		return 42
	}
	return 9.99
}

// short is the schema in short, e.g. {categoryId?:string name:string}.
func short(s *plugintest.Schema) string {
	switch {
	case s.Type == "object":
		var fields []string
		for _, f := range slices.Sorted(maps.Keys(s.Properties)) {
			mark := ":"
			if !slices.Contains(s.Required, f) {
				mark = "?:"
			}
			fields = append(fields, f+mark+short(s.Properties[f]))
		}
		return "{" + strings.Join(fields, " ") + "}"
	case s.Type == "array":
		return "[" + short(s.Items) + "]"
	case len(s.Enum) > 0:
		return strings.Join(s.Enum, "|")
	case s.Type == "string" && s.Format != "":
		return s.Format
	}
	return s.Type
}

// contract is every name and shape of the shop, line by line.
func contract() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	events := func(list []es.EventDefinition) {
		for _, e := range list {
			say("    event %s v%d %v", e.Name, e.Version, short(plugintest.ParseSchema(e.Schema)))
		}
	}
	for _, p := range plugins.All(plugins.NoDeps{}) {
		say("plugin %s, heartbeat %v", p.Name, p.HeartbeatInterval)
		for _, a := range p.Aggregates {
			d := a.Definition()
			say("  aggregate %s", d.Name)
			for _, c := range d.Commands {
				who := access(c.Access)
				if d.Internal {
					who = "for the shop itself"
				}
				say("    command %s %v, %s", c.Name, short(plugintest.ParseSchema(c.Schema)), who)
			}
			events(d.Events)
		}
		for _, m := range p.ReadModels {
			d := m.Definition()
			if d.Kind != es.ViewRows {
				d.Name += " (" + string(d.Kind) + ")"
			}
			say("  read model %s of %s, by %v, %v", d.Name, strings.Join(d.Sources, " and "), d.Indexes, access(d.Access))
			say("    row %v", short(plugintest.ParseSchema(d.Schema)))
		}
		for _, d := range p.Mappings {
			say("  mapping %s from %s to %s", d.Name, d.Source, d.Target)
		}
		for _, d := range p.Publications {
			say("  extension point %s of %s", d.Point.Name, d.Source)
			events(d.Point.Events)
		}
		for _, d := range p.Extensions {
			say("  extension %s from %s to %s", d.Name, d.Point.Name, d.Target)
		}
		for _, x := range p.Tasks {
			say("  task %s on bucket %q", x.Name, x.Bucket)
			for _, s := range x.SideEffects {
				say("    side effect %s of %s", s.Name, s.Source+s.Point.Name)
			}
		}
	}
	return b.String()
}

func access(a es.Access) string {
	switch {
	case a.Denied:
		return "for the shop itself"
	case a.Anonymous:
		return "for anybody"
	case a.Owner:
		return fmt.Sprintf("for the owner and %v", a.Groups)
	case a.Groups != nil:
		return fmt.Sprintf("for %v", a.Groups)
	}
	return "for anybody signed in"
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run go test ./plugins -update", err)
	}
	return string(b)
}

func lines(t *testing.T, file string) (out []string) {
	t.Helper()
	if _, err := os.Stat(file); *update && os.IsNotExist(err) {
		return nil
	}
	for s := bufio.NewScanner(strings.NewReader(read(t, file))); s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
