package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// Identity says who sends a request.
type Identity interface {
	// Caller is who sends the request. Its error is a 401 [es.Rejection], or what
	// kept it from finding out.
	Caller(r *http.Request) (es.Caller, error)
	// schemes are OpenAPI's security schemes, by name; required says that a request
	// without any of them is refused.
	schemes() (schemes map[string]any, required bool)
	// signIn is how people sign in.
	signIn() signIn
	// origins are those that a page sends requests to while people sign in.
	origins(ctx context.Context) []string
	// problem is what keeps it from finding out who calls; nil: nothing.
	problem() *engine.Problem
}

// maxUser is how many bytes a user's name may have: it is part of keys.
const maxUser = 256

// checkUser refuses names that could be taken for the shop's own, or that break a
// line or a key.
func checkUser(name string) error {
	switch {
	case name == "" || len(name) > maxUser || !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("a user's name has 1 to %d bytes of UTF-8 and no control characters", maxUser)
	case name == es.System().User:
		return fmt.Errorf("the name %s is the shop's own", name)
	}
	return nil
}

// unprintable says whether a character is a control character, or changes how
// others are shown.
func unprintable(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// Local trusts whoever reaches the handler: the caller is the user "local" in
// the group Admin, or whom X-Local-User and X-Local-Groups (comma-separated)
// name; who names a user and no groups is in none. For loopback addresses only.
func Local() Identity { return local{} }

type local struct{}

// InsecureAdmin treats every caller as the user local in group Admin, and ignores all
// headers. Use it only where authentication was explicitly disabled.
func InsecureAdmin() Identity { return insecureAdmin{} }

type insecureAdmin struct{}

func (insecureAdmin) Caller(*http.Request) (es.Caller, error) {
	return es.Caller{User: nobody, Groups: []string{es.Admin}}, nil
}

func (local) Caller(r *http.Request) (es.Caller, error) {
	users, groups := r.Header.Values("X-Local-User"), r.Header.Values("X-Local-Groups")
	if len(users)+len(groups) == 0 {
		return insecureAdmin{}.Caller(r)
	}
	c := es.Caller{User: nobody}
	if len(users) > 0 {
		c.User = strings.TrimSpace(users[0])
	}
	if err := checkUser(c.User); err != nil || len(users) > 1 {
		return es.Caller{}, errUnauthenticated.Because("the header X-Local-User must be there once and name a user: a user's name has 1 to %d bytes of UTF-8 and no control characters, and is not %q", maxUser, es.System().User)
	}
	for _, g := range strings.Split(strings.Join(groups, ","), ",") {
		if g = strings.TrimSpace(g); g != "" {
			c.Groups = append(c.Groups, g)
		}
	}
	return c, nil
}

func (insecureAdmin) schemes() (map[string]any, bool)  { return nil, false }
func (insecureAdmin) problem() *engine.Problem         { return nil }
func (local) problem() *engine.Problem                 { return nil }
func (insecureAdmin) signIn() signIn                   { return signIn{Auth: "none"} }
func (local) signIn() signIn                           { return signIn{Auth: "none"} }
func (insecureAdmin) origins(context.Context) []string { return nil }
func (local) origins(context.Context) []string         { return nil }

func (local) schemes() (map[string]any, bool) {
	header := func(name, about string) map[string]any {
		return map[string]any{"type": "apiKey", "in": "header", "name": name, "description": about}
	}
	return map[string]any{
		"localUser":   header("X-Local-User", "who to act as; the user local in group Admin where it is absent"),
		"localGroups": header("X-Local-Groups", "the groups of X-Local-User, comma-separated; none where it is absent"),
	}, false
}

// JWT verifies bearer tokens of an OpenID Connect provider, whose keys it finds
// by discovery when it first needs them, or when [OpenID.Discover] is called. A
// token must be for the audience: by its aud, or, where it has none as Cognito's
// access tokens, by its client_id. The user is its sub, the groups its groups or
// cognito:groups: who is taken out of a group stays in it as long as the token
// holds. An issuer that is not on this machine must be an https address.
func JWT(issuer, audience string) (*OpenID, error) {
	if issuer == "" || audience == "" {
		return nil, fmt.Errorf("identity provider: an issuer and an audience are needed, there is %q and %q", issuer, audience)
	}
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("identity provider: the issuer %q is not an address, e.g. https://login.example.com", issuer)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("identity provider: whoever is between here and %s could make tokens for anybody: it must be an https address", issuer)
	}
	return &OpenID{issuer: issuer, audience: audience}, nil
}

// OpenID is an [Identity] by bearer tokens. Safe for concurrent use.
type OpenID struct {
	issuer, audience string

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: not discovered yet
	tokens   string                // URL of the provider's token endpoint, once it is discovered
	failure  error                 // of the latest try to
	failed   time.Time             // when that was
	since    time.Time             // when the first of them was
}

// Discover asks the provider how it signs, where that is not known yet.
func (o *OpenID) Discover(ctx context.Context) error {
	_, err := o.discovered(ctx, 0)
	return err
}

// again is how long a provider that did not answer is not asked again by requests.
const again = 2 * time.Second

// discovered is the provider's verifier. A failure that is younger than the pause
// is told without asking again.
func (o *OpenID) discovered(ctx context.Context, pause time.Duration) (*oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.verifier != nil {
		return o.verifier, nil
	}
	if o.failure != nil && time.Since(o.failed) < pause {
		return nil, o.failure
	}
	verifier, tokens, err := o.discover(ctx)
	if err != nil {
		o.failure, o.failed = fmt.Errorf("identity provider %s: %w", o.issuer, err), time.Now()
		if o.since.IsZero() {
			o.since = o.failed
		}
		return nil, o.failure
	}
	o.verifier, o.tokens, o.failure = verifier, tokens, nil
	return verifier, nil
}

func (o *OpenID) discover(ctx context.Context) (verifier *oidc.IDTokenVerifier, tokens string, err error) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: bounded{http.DefaultTransport}}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), o.issuer)
	if err != nil {
		return nil, "", err
	}
	var metadata struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, "", err
	}
	client = &http.Client{Timeout: 5 * time.Second, Transport: newSeldom(bounded{http.DefaultTransport})}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), client), metadata.Keys)
	algorithms := slices.DeleteFunc(metadata.Algorithms, func(a string) bool {
		return !slices.Contains([]string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}, a)
	})
	return oidc.NewVerifier(o.issuer, keySet{keys}, &oidc.Config{
		SkipClientIDCheck:    true, // the audience is checked here
		SupportedSigningAlgs: algorithms,
	}), provider.Endpoint().TokenURL, nil
}

func (o *OpenID) problem() *engine.Problem {
	if !o.mu.TryLock() { // it is being asked just now
		return nil
	}
	defer o.mu.Unlock()
	if o.failure == nil {
		return nil
	}
	return &engine.Problem{Component: "identity provider", Detail: "nobody can sign in: " + o.failure.Error(), Since: o.since.UTC()}
}

var bearerToken = regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9._~+/=-]+)$`)

// Caller implements [Identity].
func (o *OpenID) Caller(r *http.Request) (es.Caller, error) {
	given := r.Header.Values("Authorization")
	if len(given) == 0 {
		return es.Caller{}, errUnauthenticated.Because("sign in: the header Authorization: Bearer <token> is missing")
	}
	m := bearerToken.FindStringSubmatch(given[0])
	if len(given) > 1 || m == nil {
		return es.Caller{}, errUnauthenticated.Because("the header Authorization must be there once, as Bearer <token>")
	}
	verifier, unreachable := o.discovered(r.Context(), again)
	var token *oidc.IDToken
	var err error
	if unreachable == nil {
		token, err = verifier.Verify(context.WithValue(r.Context(), unreachableKey{}, &unreachable), m[1])
	}
	if unreachable != nil {
		return es.Caller{}, errUnavailable.Because("the identity provider does not answer; try again in a moment")
	}
	var c claims
	if err == nil {
		err = token.Claims(&c.all)
	}
	if err == nil {
		err = c.check(o.issuer, time.Now())
	}
	if err != nil {
		return es.Caller{}, errUnauthenticated.Because("the token is not valid: %s", strings.TrimPrefix(err.Error(), "oidc: "))
	}
	if meant := c.list("aud"); !slices.Contains(meant, o.audience) && (len(meant) > 0 || c.text("client_id") != o.audience) {
		return es.Caller{}, errUnauthenticated.Because("the token is for somebody else: its audience is not %q", o.audience)
	}
	user := c.text("sub")
	if err := checkUser(user); err != nil {
		return es.Caller{}, errUnauthenticated.Because("the token names no user, by its sub: %s", err)
	}
	if user == nobody {
		return es.Caller{}, errUnauthenticated.Because("the token's sub is %q, which is whoever called while there were no identities", user)
	}
	return es.Caller{User: user, Groups: append(c.list("groups"), c.list("cognito:groups")...)}, nil
}

// nobody is the user of a shop without identities.
const nobody = "local"

// claims are a token's. Their names and types are exact: encoding/json, which the
// verifier reads with, takes GROUPS for groups.
type claims struct{ all map[string]json.RawMessage }

// check holds the claims to what the verifier may have read from other ones.
func (c claims) check(issuer string, now time.Time) error {
	if got := c.text("iss"); got != issuer {
		return fmt.Errorf("its iss is %q, not %q", got, issuer)
	}
	expiry, ok := c.time("exp")
	if !ok || !now.Before(expiry) {
		return errors.New("its exp is not a time to come, in seconds")
	}
	for _, name := range []string{"nbf", "iat"} {
		at, ok := c.time(name)
		if c.all[name] != nil && !ok {
			return fmt.Errorf("its %s is not a time in seconds", name)
		}
		if name == "nbf" && ok && now.Add(5*time.Minute).Before(at) { // as the verifier is patient
			return errors.New("it is not valid yet, by its nbf")
		}
	}
	return nil
}

// text is a claim that is a string; "" where there is none.
func (c claims) text(name string) (text string) {
	_ = json.Unmarshal(c.all[name], &text)
	return text
}

// list is a claim that is a list of names; some providers send a single name bare.
// Anything else names nothing.
func (c claims) list(name string) (list []string) {
	if json.Unmarshal(c.all[name], &list) == nil {
		return list
	}
	if one := c.text(name); one != "" {
		return []string{one}
	}
	return nil
}

// time is a claim that is a number of seconds since 1970.
func (c claims) time(name string) (time.Time, bool) {
	var seconds float64
	if c.all[name] == nil || string(c.all[name]) == "null" || json.Unmarshal(c.all[name], &seconds) != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(min(max(seconds, 0), 1<<40)), 0), true
}

func (o *OpenID) signIn() signIn {
	return signIn{Auth: "oidc", Issuer: o.issuer, ClientID: o.audience, Scope: "openid email profile"}
}

// origins implements [Identity]. A provider may answer for its tokens elsewhere than it
// is described, as Cognito does.
func (o *OpenID) origins(ctx context.Context) []string {
	all := []string{originOf(o.issuer)}
	if _, err := o.discovered(ctx, again); err != nil {
		return all // the page says that nobody can sign in
	}
	if at := originOf(o.tokens); at != all[0] {
		all = append(all, at)
	}
	return all
}

func (*OpenID) schemes() (map[string]any, bool) {
	return map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}, true
}

// keySet tells a provider that does not answer from a signature that is wrong,
// which the verifier's error does not.
type keySet struct{ oidc.KeySet }

type unreachableKey struct{}

func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		*ctx.Value(unreachableKey{}).(*error) = err
	}
	return payload, err
}

// bounded refuses answers that are larger than any provider's.
type bounded struct{ http.RoundTripper }

const maxAnswer = 1 << 20

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

// seldom asks for a provider's keys a few times at once, and then every few
// seconds: whatever tokens it is shown, a caller can't make it ask more often. In
// between, what it was answered last holds.
type seldom struct {
	http.RoundTripper
	limit *rate.Limiter

	mu   sync.Mutex
	last []byte // the latest good answer; nil: none
}

func newSeldom(of http.RoundTripper) *seldom {
	return &seldom{RoundTripper: of, limit: rate.NewLimiter(rate.Every(3*time.Second), 5)}
}

func (s *seldom) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if !s.limit.Allow() {
		if last == nil {
			return nil, errors.New("it was asked just now")
		}
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(last)), Request: r,
		}, nil
	}
	res, err := s.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.last = b
	s.mu.Unlock()
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}
