package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"

	"onlineshop/es"
)

// Identity says who sends a request.
type Identity interface {
	// Caller is who sends the request. Its error is a 401 [es.Rejection], or what
	// kept it from finding out.
	Caller(r *http.Request) (es.Caller, error)
	// schemes are OpenAPI's security schemes, by name; required says that a request
	// without any of them is refused.
	schemes() (schemes map[string]any, required bool)
}

// Local trusts whoever reaches the handler: the caller is the user "local" in
// the group Admin, or whom X-Local-User and X-Local-Groups (comma-separated)
// name; who names a user and no groups is in none. For loopback addresses only.
func Local() Identity { return local{} }

type local struct{}

// Anybody takes everybody for the user local in group Admin, whatever the headers
// say: for a deployment that was asked to do without identities.
func Anybody() Identity { return anybody{} }

type anybody struct{}

func (anybody) Caller(*http.Request) (es.Caller, error) {
	return es.Caller{User: "local", Groups: []string{es.Admin}}, nil
}

func (local) Caller(r *http.Request) (es.Caller, error) {
	users, groups := r.Header.Values("X-Local-User"), r.Header.Values("X-Local-Groups")
	if len(users)+len(groups) == 0 {
		return anybody{}.Caller(r)
	}
	c := es.Caller{User: "local"}
	if len(users) > 0 {
		c.User = strings.TrimSpace(users[0])
	}
	if len(users) > 1 || c.User == "" || len(c.User) > 256 || !utf8.ValidString(c.User) {
		return es.Caller{}, errUnauthenticated.Because("the header X-Local-User must be there once and name a user, in UTF-8 of at most 256 bytes")
	}
	for _, g := range strings.Split(strings.Join(groups, ","), ",") {
		if g = strings.TrimSpace(g); g != "" {
			c.Groups = append(c.Groups, g)
		}
	}
	return c, nil
}

func (anybody) schemes() (map[string]any, bool) { return nil, false }

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
// cognito:groups.
func JWT(issuer, audience string) (*OpenID, error) {
	if issuer == "" || audience == "" {
		return nil, fmt.Errorf("identity provider: an issuer and an audience are needed, there is %q and %q", issuer, audience)
	}
	return &OpenID{issuer: issuer, audience: audience}, nil
}

// OpenID is an [Identity] by bearer tokens.
type OpenID struct {
	issuer, audience string

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: not discovered yet
}

// Discover asks the provider how it signs, where that is not known yet.
func (o *OpenID) Discover(ctx context.Context) error {
	_, err := o.discovered(ctx)
	return err
}

func (o *OpenID) discovered(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.verifier != nil {
		return o.verifier, nil
	}
	client := &http.Client{Timeout: 10 * time.Second}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), o.issuer)
	if err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", o.issuer, err)
	}
	var metadata struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("identity provider %s: %w", o.issuer, err)
	}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), client), metadata.Keys)
	algorithms := slices.DeleteFunc(metadata.Algorithms, func(a string) bool {
		return !slices.Contains([]string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}, a)
	})
	o.verifier = oidc.NewVerifier(o.issuer, keySet{keys}, &oidc.Config{
		SkipClientIDCheck:    true, // the audience is checked here
		SupportedSigningAlgs: algorithms,
	})
	return o.verifier, nil
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
	verifier, unreachable := o.discovered(r.Context())
	var token *oidc.IDToken
	var err error
	if unreachable == nil {
		token, err = verifier.Verify(context.WithValue(r.Context(), unreachableKey{}, &unreachable), m[1])
	}
	if unreachable != nil {
		return es.Caller{}, errUnavailable.Because("the identity provider does not answer; try again in a moment")
	}
	var claims struct {
		Client  string `json:"client_id"`
		Groups  groups `json:"groups"`
		Cognito groups `json:"cognito:groups"`
	}
	if err == nil {
		err = token.Claims(&claims)
	}
	if err != nil {
		return es.Caller{}, errUnauthenticated.Because("the token is not valid: %s", strings.TrimPrefix(err.Error(), "oidc: "))
	}
	if !slices.Contains(token.Audience, o.audience) && (len(token.Audience) > 0 || claims.Client != o.audience) {
		return es.Caller{}, errUnauthenticated.Because("the token is for somebody else: its audience is not %q", o.audience)
	}
	if token.Subject == "" {
		return es.Caller{}, errUnauthenticated.Because("the token names no user: it has no sub")
	}
	return es.Caller{User: token.Subject, Groups: append(claims.Groups, claims.Cognito...)}, nil
}

func (*OpenID) schemes() (map[string]any, bool) {
	return map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}, true
}

// groups reads a claim that is a list of names; some providers send a single
// name bare. Anything else names no group.
type groups []string

func (g *groups) UnmarshalJSON(b []byte) error {
	var list []string
	var one string
	switch {
	case json.Unmarshal(b, &list) == nil:
		*g = list
	case json.Unmarshal(b, &one) == nil && one != "":
		*g = groups{one}
	}
	return nil
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
