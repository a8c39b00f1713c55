package httpapi_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"onlineshop/es"
	"onlineshop/httpapi"
)

// provider is an OpenID Connect provider on this machine.
type provider struct {
	*httptest.Server
	key    *rsa.PrivateKey
	tokens string // its token endpoint; "": its own URL
	mu     sync.Mutex
	down   bool // its keys can't be fetched
	huge   bool // they have no end
	asked  int  // how often they were fetched
}

type claims map[string]any

const audience = "the-shop"

var testKey = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{key: testKey()}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/keys", "authorization_endpoint": p.URL, "token_endpoint": cmp.Or(p.tokens, p.URL),
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		if p.huge {
			for range 64 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 64<<10))
			}
		}
		if p.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) identity(t *testing.T) *httpapi.OpenID {
	t.Helper()
	identity, err := httpapi.JWT(p.URL, audience)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// token is a valid one, but for what the claims change; nil drops a claim.
func (p *provider) token(t *testing.T, change claims) string {
	t.Helper()
	return p.signed(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k1"}}, change)
}

func (p *provider) signed(t *testing.T, key jose.SigningKey, change claims) string {
	t.Helper()
	all := claims{"iss": p.URL, "aud": audience, "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	maps.Copy(all, change)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJWT(t *testing.T) {
	p := newProvider(t)
	identity := p.identity(t)
	valid := p.token(t, nil)
	part := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	parts := strings.Split(valid, ".")

	for name, x := range map[string]struct {
		authorization string
		user          string // empty: refused
		groups        []string
	}{
		"valid":                                  {"Bearer " + valid, "ann", nil},
		"in lower case":                          {"bearer  " + valid, "ann", nil},
		"groups":                                 {"Bearer " + p.token(t, claims{"groups": []string{"Admin", "Staff"}}), "ann", []string{"Admin", "Staff"}},
		"Cognito's groups":                       {"Bearer " + p.token(t, claims{"cognito:groups": []string{"Admin"}}), "ann", []string{"Admin"}},
		"one group, bare":                        {"Bearer " + p.token(t, claims{"groups": "Admin"}), "ann", []string{"Admin"}},
		"GROUPS, which are no groups":            {"Bearer " + p.token(t, claims{"GROUPS": []string{"Admin"}, "Groups": "Admin", "Cognito:Groups": "Admin"}), "ann", nil},
		"CLIENT_ID, which is no client_id":       {"Bearer " + p.token(t, claims{"aud": nil, "CLIENT_ID": audience}), "", nil},
		"AUD, which is no aud":                   {"Bearer " + p.token(t, claims{"aud": "other", "AUD": audience}), "", nil},
		"SUB, which is no sub":                   {"Bearer " + p.token(t, claims{"sub": nil, "SUB": "ann"}), "", nil},
		"SUB beside sub":                         {"Bearer " + p.token(t, claims{"SUB": "eve", "Sub": "eve"}), "ann", nil},
		"EXP in place of exp":                    {"Bearer " + p.token(t, claims{"exp": nil, "EXP": time.Now().Add(time.Hour).Unix()}), "", nil},
		"expired, with a later EXP":              {"Bearer " + p.token(t, claims{"exp": time.Now().Add(-time.Hour).Unix(), "zexp": 1, "EXP": time.Now().Add(time.Hour).Unix()}), "", nil},
		"exp as a string":                        {"Bearer " + p.token(t, claims{"exp": fmt.Sprint(time.Now().Add(time.Hour).Unix())}), "", nil},
		"exp null":                               {"Bearer " + p.token(t, claims{"exp": json.RawMessage("null")}), "", nil},
		"nbf as a string":                        {"Bearer " + p.token(t, claims{"nbf": "1"}), "", nil},
		"the shop's own name":                    {"Bearer " + p.token(t, claims{"sub": "system"}), "", nil},
		"the name of a shop without identities":  {"Bearer " + p.token(t, claims{"sub": "local"}), "", nil},
		"a user of two lines":                    {"Bearer " + p.token(t, claims{"sub": "ann\nbob"}), "", nil},
		"a user with a NUL":                      {"Bearer " + p.token(t, claims{"sub": "ann\x00"}), "", nil},
		"a user's name that is too long":         {"Bearer " + p.token(t, claims{"sub": strings.Repeat("a", 257)}), "", nil},
		"groups of another shape":                {"Bearer " + p.token(t, claims{"groups": map[string]bool{"Admin": true}}), "ann", nil},
		"one audience of several":                {"Bearer " + p.token(t, claims{"aud": []string{"other", audience}}), "ann", nil},
		"client_id in place of aud":              {"Bearer " + p.token(t, claims{"aud": nil, "client_id": audience}), "ann", nil},
		"client_id beside another's aud":         {"Bearer " + p.token(t, claims{"aud": "other", "client_id": audience}), "", nil},
		"another client_id":                      {"Bearer " + p.token(t, claims{"aud": nil, "client_id": "other"}), "", nil},
		"no audience at all":                     {"Bearer " + p.token(t, claims{"aud": nil}), "", nil},
		"wrong audience":                         {"Bearer " + p.token(t, claims{"aud": "other"}), "", nil},
		"expired":                                {"Bearer " + p.token(t, claims{"exp": time.Now().Add(-time.Hour).Unix()}), "", nil},
		"no expiry":                              {"Bearer " + p.token(t, claims{"exp": nil}), "", nil},
		"not valid yet":                          {"Bearer " + p.token(t, claims{"nbf": time.Now().Add(time.Hour).Unix()}), "", nil},
		"wrong issuer":                           {"Bearer " + p.token(t, claims{"iss": "https://example.com"}), "", nil},
		"no user":                                {"Bearer " + p.token(t, claims{"sub": nil}), "", nil},
		"an empty user":                          {"Bearer " + p.token(t, claims{"sub": ""}), "", nil},
		"wrong key":                              {"Bearer " + p.signed(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: newKey(), KeyID: "k1"}}, nil), "", nil},
		"signed with the public key as a secret": {"Bearer " + p.signed(t, jose.SigningKey{Algorithm: jose.HS256, Key: p.key.N.Bytes()}, nil), "", nil},
		"alg none":                               {"Bearer " + part(claims{"alg": "none"}) + "." + parts[1] + ".", "", nil},
		"alg none, signature":                    {"Bearer " + part(claims{"alg": "none"}) + "." + parts[1] + "." + parts[2], "", nil},
		"changed claims":                         {"Bearer " + parts[0] + "." + part(claims{"iss": p.URL, "aud": audience, "sub": "eve", "exp": time.Now().Add(time.Hour).Unix()}) + "." + parts[2], "", nil},
		"cut short":                              {"Bearer " + valid[:len(valid)-10], "", nil},
		"no token":                               {"", "", nil},
		"no scheme":                              {valid, "", nil},
		"another scheme":                         {"Basic YW5uOmFubg==", "", nil},
		"no JWT":                                 {"Bearer nonsense", "", nil},
		"two tokens":                             {"Bearer " + valid + " " + valid, "", nil},
		"JSON serialization":                     {`Bearer {"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if x.authorization != "" {
				r.Header.Set("Authorization", x.authorization)
			}
			r.Header.Set("X-Local-User", "mallory") // means nothing here
			r.Header.Set("X-Local-Groups", "Admin")
			got, err := identity.Caller(r)
			if x.user == "" {
				var no *es.Rejection
				if !errors.As(err, &no) || no.Status != http.StatusUnauthorized || no.Code != "Unauthenticated" {
					t.Fatalf("caller %+v, error %v: want 401 Unauthenticated", got, err)
				}
				return
			}
			if err != nil || got.User != x.user || !slices.Equal(got.Groups, x.groups) || got.System {
				t.Fatalf("caller %+v, error %v: want %s in %v", got, err, x.user, x.groups)
			}
		})
	}
}

func TestJWTTwice(t *testing.T) {
	p := newProvider(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Authorization"] = []string{"Bearer " + p.token(t, nil), "Bearer " + p.token(t, nil)}
	if got, err := p.identity(t).Caller(r); err == nil {
		t.Errorf("two Authorization headers make %+v, want an error", got)
	}
}

func TestJWTProviderDown(t *testing.T) {
	p := newProvider(t)
	identity := p.identity(t)
	p.down = true
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+p.token(t, nil))
	var no *es.Rejection
	if _, err := identity.Caller(r); !errors.As(err, &no) || no.Status != http.StatusServiceUnavailable {
		t.Errorf("while the provider's keys can't be fetched: %v, want 503: the token may be valid", err)
	}
	p.mu.Lock()
	p.down = false
	p.mu.Unlock()
	if got, err := identity.Caller(r); err != nil || got.User != "ann" {
		t.Errorf("once they can be fetched: %+v, %v", got, err)
	}

	unknown := p.identity(t)
	p.Close()
	if err := unknown.Discover(t.Context()); err == nil {
		t.Error("a provider that does not answer is discovered")
	}
	if _, err := unknown.Caller(r); !errors.As(err, &no) || no.Status != http.StatusServiceUnavailable {
		t.Errorf("while the provider can't be discovered: %v, want 503", err)
	}
	if _, err := httpapi.JWT(p.URL, ""); err == nil {
		t.Error("no audience is accepted")
	}
}

func TestBadTokensDontMakeTheShopAskTheProviderEachTime(t *testing.T) {
	p := newProvider(t)
	identity := p.identity(t)
	send := func(token string) error {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		_, err := identity.Caller(r)
		return err
	}
	// When a caller shows 300 tokens that the provider did not sign
	for i := range 300 {
		key := jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: otherKey(), KeyID: []string{"k1", fmt.Sprint("k", i)}[i%2]}}
		if send(p.signed(t, key, nil)) == nil {
			t.Fatal("a token of another key is accepted")
		}
	}
	// Then it is asked for its keys a few times, and valid ones are accepted
	if p.asked > 20 {
		t.Errorf("the provider was asked %d times", p.asked)
	}
	if err := send(p.token(t, nil)); err != nil {
		t.Errorf("a valid token: %v", err)
	}
}

var otherKey = sync.OnceValue(newKey)

func TestAProvidersAnswerHasAnEnd(t *testing.T) {
	p := newProvider(t)
	p.huge = true
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+p.token(t, nil))
	var no *es.Rejection
	if _, err := p.identity(t).Caller(r); !errors.As(err, &no) || no.Status != http.StatusServiceUnavailable {
		t.Errorf("keys of 4 MB: %v, want 503", err)
	}
}

func TestAProviderThatDoesNotAnswerIsAProblem(t *testing.T) {
	p := newProvider(t)
	identity := p.identity(t)
	p.Close()
	a := newAPI(t, func(c *httpapi.Config) { c.Identity = identity })
	a.is(a.send("GET", "/health", ""), 200, "")
	if err := identity.Discover(t.Context()); err == nil {
		t.Fatal("it is discovered")
	}
	body := a.send("GET", "/health", "").Body.String()
	if !strings.Contains(body, `"status":"degraded"`) || !strings.Contains(body, `"component":"identity provider"`) {
		t.Errorf("health: %s", body)
	}
}

func TestAnIssuerOnAnotherMachineIsAnHTTPSAddress(t *testing.T) {
	for issuer, want := range map[string]bool{
		"https://login.example.com": true, "http://127.0.0.1:9000": true, "http://localhost/x": true, "http://[::1]:9000": true,
		"http://login.example.com": false, "login.example.com": false, "ftp://login.example.com": false, "http://127.0.0.1.example.com": false,
	} {
		if _, err := httpapi.JWT(issuer, audience); (err == nil) != want {
			t.Errorf("the issuer %s: %v", issuer, err)
		}
	}
}

func TestLocal(t *testing.T) {
	for name, x := range map[string]struct {
		header http.Header
		user   string // empty: refused
		groups []string
	}{
		"nobody in particular":    {nil, "local", []string{"Admin"}},
		"a user":                  {http.Header{"X-Local-User": {"ann"}}, "ann", nil},
		"a user in groups":        {http.Header{"X-Local-User": {"ann"}, "X-Local-Groups": {"Admin, Staff"}}, "ann", []string{"Admin", "Staff"}},
		"groups in two headers":   {http.Header{"X-Local-User": {"ann"}, "X-Local-Groups": {"Admin", "Staff"}}, "ann", []string{"Admin", "Staff"}},
		"no groups":               {http.Header{"X-Local-User": {"ann"}, "X-Local-Groups": {" , "}}, "ann", nil},
		"groups without a user":   {http.Header{"X-Local-Groups": {"Staff"}}, "local", []string{"Staff"}},
		"an empty user":           {http.Header{"X-Local-User": {" "}}, "", nil},
		"two users":               {http.Header{"X-Local-User": {"ann", "bob"}}, "", nil},
		"invalid UTF-8":           {http.Header{"X-Local-User": {"ann\xff"}}, "", nil},
		"the shop's own name":     {http.Header{"X-Local-User": {"system"}}, "", nil},
		"a control character":     {http.Header{"X-Local-User": {"an\u0085n"}}, "", nil},
		"too long":                {http.Header{"X-Local-User": {strings.Repeat("a", 257)}}, "", nil},
		"a token that is ignored": {http.Header{"Authorization": {"Bearer x"}}, "local", []string{"Admin"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = x.header
			got, err := httpapi.Local().Caller(r)
			if (x.user == "") != (err != nil) || got.User != x.user || !slices.Equal(got.Groups, x.groups) || got.System {
				t.Errorf("caller %+v, error %v: want %q in %v", got, err, x.user, x.groups)
			}
		})
	}
}

func TestAnybodyIsAnAdminWhateverTheHeadersSay(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("X-Local-User", "ann")
	got, err := httpapi.InsecureAdmin().Caller(r)
	if err != nil || got.User != "local" || !got.In(es.Admin) {
		t.Errorf("got %+v, %v", got, err)
	}
}
