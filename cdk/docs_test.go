package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kinds say what a resource of the golden file is, for people.
var kinds = []struct {
	pattern *regexp.Regexp
	is      string
}{
	{regexp.MustCompile(`^\*$`), "everything"},
	{regexp.MustCompile(`Log$`), "its own log group"},
	{regexp.MustCompile(`Events where .*#\*`), "log, of its own aggregates"},
	{regexp.MustCompile(`Events$`), "log"},
	{regexp.MustCompile(`Events\.StreamArn$`), "log's stream"},
	{regexp.MustCompile(`Cursors where .* heartbeat$`), "cursors, the heartbeat"},
	{regexp.MustCompile(`Cursors where .* due/\*$`), "cursors, what waits"},
	{regexp.MustCompile(`Cursors where .* lag$`), "cursors, how far the stream is behind"},
	{regexp.MustCompile(`Cursors where .* cursor-key$`), "cursors, the key of pages"},
	{regexp.MustCompile(`Cursors where .* schedule/\*$`), "cursors, its schedules"},
	{regexp.MustCompile(`Cursors$`), "cursors"},
	{regexp.MustCompile(`Cursors/index/consumer$`), "cursors' index"},
	{regexp.MustCompile(`Parked$`), "what is parked"},
	{regexp.MustCompile(`Snapshots$`), "snapshots"},
	{regexp.MustCompile(`Keys$`), "keys of personal data"},
	{regexp.MustCompile(`Rows$`), "rows"},
	{regexp.MustCompile(`Rows/index/`), "rows' indexes"},
	{regexp.MustCompile(`Inbox$`), "inboxes"},
	{regexp.MustCompile(`DeadLetters$`), "its dead letters"},
	{regexp.MustCompile(`^Bus where events:source `), "bus, as its plugin"},
	{regexp.MustCompile(`EventMappingPublications$`), "another plugin's publications"},
	{regexp.MustCompile(`EventMapping$`), "event mapping functions"},
	{regexp.MustCompile(`^Reports/emails/\*$`), "kept e-mails"},
	{regexp.MustCompile(`^Reports/about/\w+/\*$`), "names of kept e-mails"},
	{regexp.MustCompile(`^Reports where s3:prefix StringLike about/\w+/\*$`), "bucket of reports, names of kept e-mails"},
	{regexp.MustCompile(`^Reports where s3:prefix StringLike emails/\*$`), "bucket of reports, kept e-mails"},
	{regexp.MustCompile(`^Reports/reports/\*$`), "reports"},
	{regexp.MustCompile(`^Reports$`), "bucket of reports"},
	{regexp.MustCompile(`Bucket/\*$`), "tasks' objects"},
	{regexp.MustCompile(`Bucket$`), "its bucket"},
	{regexp.MustCompile(`^\w+$`), "itself"},
}

// shops are the shop's own functions; a plugin's that is added may be allowed more.
var shops = regexp.MustCompile(`^(?:Catalog|Ordering).*$|^Query$`)

// kindOf is a function as docs/aws.md calls it.
func kindOf(function string) string {
	for suffix, kind := range map[string]string{
		"Command": "command", "EventMapping": "event mapping", "Projector": "projector", "Notifications": "side effects", "Query": "query",
	} {
		if strings.HasSuffix(function, suffix) {
			return kind
		}
	}
	return "task"
}

// The table is for who has to trust the stack: it has each permission of the golden file,
// with the reason, and no other.
func TestTheDocsSayWhatEachFunctionMayDo(t *testing.T) {
	recorded, err := os.ReadFile("testdata/permissions.golden")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	function := ""
	for line := range strings.Lines(string(recorded)) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, " ") {
			if function = kindOf(line); !shops.MatchString(line) {
				function = ""
			}
			continue
		}
		if function == "" {
			continue
		}
		i := strings.LastIndex(line, ": ")
		on := slices.IndexFunc(kinds, func(k struct {
			pattern *regexp.Regexp
			is      string
		},
		) bool {
			return k.pattern.MatchString(strings.TrimSpace(line[:i]))
		})
		for _, action := range strings.Fields(line[i+1:]) {
			f := function
			if strings.HasPrefix(action, "xray:") || strings.HasPrefix(action, "logs:") {
				f = "every"
			}
			want = append(want, f+" may "+action+" on "+kinds[on].is)
		}
	}
	slices.Sort(want)
	doc, err := os.ReadFile("../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## What each function may do\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 4 || !strings.Contains(cells[2], "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[3] == "" {
			t.Errorf("it does not say why: %s", line)
		}
		for _, action := range strings.Fields(strings.ReplaceAll(cells[2], "`", " ")) {
			got = append(got, cells[0]+" may "+action+" on "+cells[1])
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("docs/aws.md (-permissions.golden +docs):\n%s", diff)
	}
}
