package httpapi

import (
	"context"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"
)

// readCorrelation takes the caller's correlation id, or makes one where it is
// absent or not usable; the latter is an error.
func (c *call) readCorrelation(newID func() string) error {
	id, err := c.printable("X-Correlation-Id")
	if c.correlation = id; id == "" {
		c.correlation = newID()
	}
	return err
}

// printable reads a header of 1 to 128 printable ASCII characters; "" where it
// is absent.
func (c *call) printable(name string) (string, error) {
	values := c.Header.Values(name)
	if len(values) == 0 {
		return "", nil
	}
	v := values[0]
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if len(values) > 1 || v == "" || len(v) > 128 || strings.ContainsFunc(v, unprintable) {
		return "", errMalformed.Because("the header %s must be there once, with 1 to 128 printable ASCII characters", name)
	}
	return v, nil
}

var (
	strongVersion = regexp.MustCompile(`^"(0|[1-9][0-9]{0,17})"$`)
	traceContext  = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$`) // W3C Trace Context, 3.2.2
)

func (c *call) readHeaders() (err error) {
	if !c.endpoint.command {
		return nil
	}
	if c.key, err = c.printable("Idempotency-Key"); err != nil {
		return err
	}
	if given := c.Header.Values("If-Match"); len(given) > 0 {
		m := strongVersion.FindStringSubmatch(given[0])
		if len(given) > 1 || m == nil {
			return errMalformed.Because(`the header If-Match must be one version in quotes, such as "2"`)
		}
		version, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits fit
		c.ifVersion = &version
	}
	if given := c.Header.Values("traceparent"); len(given) == 1 && validTrace(given[0]) {
		c.traceparent = given[0]
	}
	return nil
}

// validTrace says whether a traceparent is to be passed on; any other is
// ignored, as the standard asks.
func validTrace(s string) bool {
	m := traceContext.FindStringSubmatch(s)
	if m == nil || len(s) > 256 {
		return false
	}
	version, trace, parent, more := m[1], m[2], m[3], m[4]
	return version != "ff" && strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != "" && (version != "00" || more == "")
}

// A small body is read at once; of larger ones no more are read at a time than
// take that many bytes, so that what is in hand bounds the memory, and not how many
// connections there are. bodyWait is how long a large one waits for its turn,
// bodyTime how long it may take to arrive.
const (
	smallBody = 8 << 10
	allBodies = 32 << 20
	maxFile   = 4 << 20
	bodyWait  = 2 * time.Second
	bodyTime  = 20 * time.Second
)

func (c *call) readBody(w http.ResponseWriter, room *semaphore.Weighted) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime)) // where it is a connection
	most := MaxBodyBytes
	if c.endpoint.file {
		most = maxFile
	}
	body, err := readUpTo(nil, c.Body, smallBody)
	if len(body) > smallBody {
		wait, cancel := context.WithTimeout(c.Context(), bodyWait)
		defer cancel()
		if room.Acquire(wait, int64(most)) != nil {
			return errUnavailable.Because("too many large bodies are arriving; try again in a moment")
		}
		c.done = func() { room.Release(int64(most)) }
		body, err = readUpTo(body, c.Body, most)
	}
	switch large := len(body) > most; {
	case c.endpoint.file && c.Header.Get("Content-Encoding") != "":
		return errMediaType.Because("a file must be sent as it is, without a Content-Encoding")
	case !c.endpoint.file && len(body) > 0 && !c.sendsJSON():
		return errMediaType.Because("a body must be sent with Content-Type: application/json, in UTF-8 and not encoded otherwise")
	case large:
		c.header.Set("Connection", "close") // the rest is not read
		return errTooLarge.Because("a body may have at most %d bytes", most)
	case err != nil:
		return errMalformed.Because("the body did not arrive whole")
	}
	c.body = body
	return nil
}

// readUpTo reads on until there are more bytes than most, or no more.
func readUpTo(body []byte, r io.Reader, most int) ([]byte, error) {
	rest, err := io.ReadAll(io.LimitReader(r, int64(most+1-len(body))))
	return append(body, rest...), err
}

func (c *call) sendsJSON() bool {
	given := c.Header.Values("Content-Type")
	if len(given) != 1 || c.Header.Get("Content-Encoding") != "" {
		return false
	}
	typ, params, err := mime.ParseMediaType(given[0])
	charset, named := params["charset"]
	return err == nil && typ == "application/json" && (!named || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8"))
}

// parameter is a query parameter.
type parameter struct {
	name, about string
	schema      map[string]any
	read        func(c *call, value string) error
}

// defaultLimit and maxLimit bound a page's items.
const defaultLimit, maxLimit = 50, 200

var (
	limitParameter = parameter{
		"limit", "how many items a page may have",
		map[string]any{"type": "integer", "minimum": 1, "maximum": maxLimit, "default": defaultLimit},
		func(c *call, value string) error {
			n, ok := digits(value)
			if !ok || n < 1 || n > maxLimit {
				return errMalformed.Because("limit must be a whole number from 1 to %d", maxLimit)
			}
			c.limit = int(n)
			return nil
		},
	}
	cursorParameter = parameter{
		"cursor", "the previous page's next",
		map[string]any{"type": "string", "minLength": 1},
		func(c *call, value string) error { c.cursor = value; return nil }, // opened when the filter is known
	}
	minVersionParameter = parameter{
		"minVersion", "the version that the answer must have seen, as a command's answer gave it",
		map[string]any{"type": "integer", "minimum": 0, "maximum": math.MaxInt64},
		func(c *call, value string) error {
			n, ok := digits(value)
			if !ok {
				return errMalformed.Because("minVersion must be a whole number from 0")
			}
			c.minVersion = &n
			return nil
		},
	}
)

var encodingParameter = parameter{
	"encoding", "how the file's text is encoded, where it is neither UTF-8 nor UTF-16 with its mark",
	map[string]any{"type": "string", "examples": []string{"windows-1252"}},
	func(c *call, value string) error { c.value = value; return nil },
}

// filter is the query parameter of a read model's index.
func filter(field string) parameter {
	return parameter{
		field, "only rows whose " + field + " is this; one filter at a time",
		map[string]any{"type": "string", "minLength": 1},
		func(c *call, value string) error {
			if c.field != "" {
				return errMalformed.Because("filter by %s or by %s, not by both", c.field, field)
			}
			if value == "" || len(value) > 1024 {
				return errMalformed.Because("the filter %s needs a value of at most 1,024 bytes", field)
			}
			c.field, c.value = field, value
			return nil
		},
	}
}

// digits reads a whole number without sign and leading zeros.
func digits(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == s && n >= 0
}

func (c *call) readQuery() error {
	c.limit = defaultLimit
	given, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return errMalformed.Because("the query is not well-formed: %s", err)
	}
	paged := false
	for _, p := range c.endpoint.query {
		values, ok := given[p.name]
		delete(given, p.name)
		if !ok {
			continue
		}
		if len(values) > 1 {
			return errMalformed.Because("the query parameter %s is there more than once", p.name)
		}
		// API Gateway hands over U+FFFD for what is no UTF-8, so that one is refused everywhere.
		if strings.ContainsRune(values[0], utf8.RuneError) {
			return errMalformed.Because("the query parameter %s is not valid UTF-8, or has U+FFFD, which stands for that", p.name)
		}
		if err := p.read(c, values[0]); err != nil {
			return err
		}
		paged = paged || p.name == cursorParameter.name
	}
	for name := range given {
		if why := c.endpoint.without[name]; why != "" {
			return errMalformed.Because("there is no query parameter %s here: %s", name, why)
		}
		var names []string
		for _, p := range c.endpoint.query {
			names = append(names, p.name)
		}
		if names == nil {
			return errMalformed.Because("there is no query parameter %q here", name)
		}
		return errMalformed.Because("there is no query parameter %q here, but %s", name, strings.Join(names, ", "))
	}
	if err := c.checkSelection(); err != nil {
		return err
	}
	if paged {
		c.cursor, err = c.decodeCursor(c.cursor)
	}
	return err
}
