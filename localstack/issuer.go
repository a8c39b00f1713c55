package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// audience is who the issuer's tokens are for.
const audience = "shop"

// issuer is an OpenID Connect provider on loopback with a key of its own, that
// signs whatever it is asked for: GET /token?sub=ann&group=Admin.
type issuer struct {
	url    string
	signer jose.Signer
	keys   jose.JSONWebKeySet
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
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { answer(w, i.keys) })
	mux.HandleFunc("GET /token", i.token)
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
	q, now := r.URL.Query(), time.Now()
	token, err := jwt.Signed(i.signer).Claims(map[string]any{
		"iss": i.url, "aud": audience, "sub": q.Get("sub"), "groups": q["group"],
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, token)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
