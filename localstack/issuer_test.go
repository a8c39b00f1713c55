package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A code is good once, for whoever asked for it.
func TestACodeIsForThePageThatAskedForIt(t *testing.T) {
	i, err := newIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const page, verifier = "http://127.0.0.1/console/", "test"
	sum := sha256.Sum256([]byte(verifier))
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	code := func() string {
		t.Helper()
		r, err := browser.Get(i.url + "/authorize?" + url.Values{
			"response_type": {"code"}, "client_id": {audience}, "redirect_uri": {page}, "state": {"here"}, "nonce": {"once"},
			"code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
		}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		to, err := r.Location()
		if err != nil || to.Query().Get("state") != "here" || to.Scheme+"://"+to.Host+to.Path != page {
			t.Fatalf("the browser is sent to %v, %v", to, err)
		}
		return to.Query().Get("code")
	}
	exchange := func(code, verifier, page string) (status int, token string) {
		t.Helper()
		r, err := http.PostForm(i.url+"/token", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {page}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		_ = json.NewDecoder(r.Body).Decode(&answer) // a refusal has none
		return r.StatusCode, answer.Token
	}
	once := code()
	status, token := exchange(once, verifier, page)
	signed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || status != http.StatusOK {
		t.Fatalf("the code gets %d %q, %v", status, token, err)
	}
	var claims struct {
		Subject string   `json:"sub"`
		Groups  []string `json:"groups"`
		Nonce   string   `json:"nonce"`
	}
	if err := signed.Claims(i.keys, &claims); err != nil || claims.Subject != "admin" || len(claims.Groups) != 1 || claims.Groups[0] != "Admin" || claims.Nonce != "once" {
		t.Errorf("the token says %+v, %v", claims, err)
	}
	for what, c := range map[string][3]string{
		"a code again":            {once, verifier, page},
		"with another verifier":   {code(), "guessed", page},
		"for another page":        {code(), verifier, "http://127.0.0.1/other/"},
		"a code that nobody gave": {"none", verifier, page},
	} {
		if status, token := exchange(c[0], c[1], c[2]); status != http.StatusBadRequest || token != "" {
			t.Errorf("%s: %d %q", what, status, token)
		}
	}
}
