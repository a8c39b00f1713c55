package generate

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// marker is one "//es:name arguments" of a comment.
type marker struct {
	at         token.Pos
	name, args string
}

// markers by where they belong.
var (
	onPackage = []string{"plugin", "plugins", "shared"}
	onUnion   = []string{"aggregate", "inplace"}
	onEither  = []string{"internal"}
	onStored  = []string{"version"}
	onEvent   = []string{"erases"}
	onCommand = []string{"creates", "destructive"}
	onField   = []string{"optional", "trim", "len", "min", "max", "email", "distinct", "ref", "title", "label", "personal"}
	places    = []struct {
		names []string
		place string
	}{
		{onPackage, "in the package's doc comment"},
		{onUnion, "on the unions Command and Event"},
		{onEither, "on a command, or on the unions for all of them"},
		{onStored, "on an event, or on a request of an extension point"},
		{onEvent, "on an event of an aggregate"},
		{onCommand, "on a command"},
		{onField, "on a field"},
	}
)

var (
	directive = regexp.MustCompile(`^//[a-z0-9]+:[a-z0-9]`)
	markerIn  = regexp.MustCompile(`(^|\s)//es:`)
)

// split takes a comment apart into its text and its markers. A line may hold
// both, and several markers: "// shown in lists //es:trim //es:len 1..200".
func split(groups ...*ast.CommentGroup) (text string, out []marker) {
	var lines []string
	for _, g := range groups {
		if g == nil {
			continue
		}
		for _, c := range g.List {
			places := markerIn.FindAllStringIndex(c.Text, -1)
			if strings.HasPrefix(c.Text, "/*") {
				places = nil
			}
			head := c.Text
			for i, p := range places {
				if i == 0 {
					head = c.Text[:p[0]]
				}
				end := len(c.Text)
				if i+1 < len(places) {
					end = places[i+1][0]
				}
				name, args, _ := strings.Cut(c.Text[p[1]:end], " ")
				out = append(out, marker{c.Pos() + token.Pos(p[0]), name, strings.TrimSpace(args)})
			}
			if directive.MatchString(head) {
				continue
			}
			head = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(head, "//"), "/*"), "*/")
			lines = append(lines, strings.Fields(head)...)
		}
	}
	return strings.Join(lines, " "), out
}

// checkMarkers finds markers that nobody knows, that stand where they say
// nothing, or whose arguments make no sense.
func (m *module) checkMarkers(f *file) {
	allowed := map[*ast.CommentGroup][]string{f.Doc: onPackage}
	allow := func(names []string, groups ...*ast.CommentGroup) {
		for _, g := range groups {
			allowed[g] = append(allowed[g], names...)
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if t, ok := n.(*ast.StructType); ok {
			for _, x := range t.Fields.List {
				allow(onField, x.Doc, x.Comment)
			}
		}
		return true
	})
	for name, d := range f.pkg.types {
		switch {
		case d.file != f:
		case name == "Command" || name == "Event":
			allow(onUnion, d.in.Doc, d.doc, d.spec.Comment)
			allow(onEither, d.in.Doc, d.doc, d.spec.Comment)
		case f.pkg.has(name, "evolve") || f.pkg.has(name, "key") || f.pkg.has(name, "to"):
			allow(onStored, d.doc, d.spec.Comment)
			if f.pkg.has(name, "evolve") {
				allow(onEvent, d.doc, d.spec.Comment)
			}
		case f.pkg.has(name, "decide"):
			allow(onCommand, d.doc, d.spec.Comment)
			allow(onEither, d.doc, d.spec.Comment)
		}
	}
	for _, g := range f.Comments {
		_, found := split(g)
		for _, x := range found {
			m.checkMarker(x, allowed[g])
		}
	}
}

func (m *module) checkMarker(x marker, here []string) {
	for _, p := range places {
		if !slices.Contains(p.names, x.name) {
			continue
		}
		if !slices.Contains(here, x.name) {
			m.mistake(x.at, "the marker //es:%s says nothing here: it belongs %s", x.name, p.place)
			return
		}
		if ok, example := wellFormed(x); !ok {
			m.mistake(x.at, "the marker //es:%s can't be read: write it as in %s", strings.TrimSpace(x.name+" "+x.args), example)
		}
		return
	}
	var known []string
	for _, p := range places {
		known = append(known, p.names...)
	}
	m.mistake(x.at, "there is no marker //es:%s: the generator knows %s", x.name, strings.Join(known, ", "))
}

// properName is what a component may be called: it is stored, and shown in paths.
var properName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]*$`)

func wellFormed(x marker) (ok bool, example string) {
	switch x.name {
	case "plugin":
		_, _, ok = pluginArgs(x.args)
		return ok, "//es:plugin Catalog heartbeat=5m"
	case "aggregate":
		return properName.MatchString(x.args), "//es:aggregate ProductDemand"
	case "version":
		n, err := strconv.Atoi(x.args)
		return err == nil && n > 0, "//es:version 2"
	case "len":
		_, ok = lenArgs(x.args)
		return ok, "//es:len 1..200 or //es:len 1.."
	case "ref":
		plugin, view, found := strings.Cut(x.args, ".")
		return found && properName.MatchString(plugin) && properName.MatchString(view), "//es:ref Catalog.Categories"
	case "title":
		return x.args != "", "//es:title Bytes read"
	case "min", "max":
		return numeral.MatchString(x.args), "//es:" + x.name + " 1"
	}
	return x.args == "", "//es:" + x.name
}

// numeral is a number as Go and JSON both write it.
var numeral = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// limits of a length; max < 0: no bound.
type limits struct{ min, max int }

func lenArgs(s string) (l limits, ok bool) {
	low, high, found := strings.Cut(s, "..")
	if !found {
		return l, false
	}
	var err error
	if l.min, err = strconv.Atoi(low); err != nil || l.min < 0 {
		return l, false
	}
	if high == "" {
		l.max = -1
		return l, true
	}
	l.max, err = strconv.Atoi(high)
	return l, err == nil && l.max >= l.min
}
