package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"onlineshop/es"
)

// audience is who the issuer's tokens are for.
const audience = "shop"

// issuer is an OpenID Connect provider on loopback with a key of its own, that
// signs whatever it is asked for: GET /token?sub=ann&group=Admin. Whoever signs in to a
// page, by authorization code with PKCE, is the user admin in group Admin.
type issuer struct {
	url    string
	signer jose.Signer
	keys   jose.JSONWebKeySet
	codes  sync.Map // code → url.Values of the request that it answered
}

func newIssuer(ctx context.Context) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the identity provider's key: %w", err)
	}
	private := jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}
	i := &issuer{keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{private.Public()}}}
	if i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, nil); err != nil {
		return nil, fmt.Errorf("make the identity provider's signer: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
			"authorization_endpoint": i.url + "/authorize", "token_endpoint": i.url + "/token",
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { answer(w, i.keys) })
	mux.HandleFunc("GET /token", i.token)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.exchange)
	i.url, err = serve(ctx, mux)
	return i, err
}

// serve serves on loopback until ctx ends.
func serve(ctx context.Context, h http.Handler) (url string, err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody waits for its last answers
	go server.Serve(l)                                    //nolint:errcheck // it ends with Close
	return "http://" + l.Addr().String(), nil
}

func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	token, err := i.sign(q.Get("sub"), q["group"], "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, token)
}

func (i *issuer) sign(user string, groups []string, nonce string) (string, error) {
	now := time.Now()
	return jwt.Signed(i.signer).Claims(map[string]any{
		"iss": i.url, "aud": audience, "sub": user, "groups": groups, "nonce": nonce,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
}

// authorize sends the browser back to the page with a code.
func (i *issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("client_id") != audience || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "this is for the shop's page, which wants a code and proves by PKCE that it does", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.codes.Store(code, q)
	page.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, page.String(), http.StatusFound)
}

// exchange gives tokens for a code, once, to whoever asked for the code.
func (i *issuer) exchange(w http.ResponseWriter, r *http.Request) {
	asked, there := i.codes.LoadAndDelete(r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if q, _ := asked.(url.Values); !there || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || q.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	token, err := i.sign("admin", []string{es.Admin}, asked.(url.Values).Get("nonce"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": 3600})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*") // the page asks from an origin of its own
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
