package e2e

import (
	"net/http"
	"testing"

	"onlineshop/platform/aws/deployed"
	"onlineshop/plugins/contracttest"
)

// The contract that the local platform keeps holds behind API Gateway too.
func TestContract(t *testing.T) {
	contracttest.Run(t, contracttest.Client{
		URL: shop.url, HTTP: http.DefaultClient, NeedsIdentity: true, Patience: patience,
		SignIn: func(r *http.Request, user string, groups ...string) {
			r.Header.Set("Authorization", "Bearer "+token(t, user, groups...))
		},
		Import: func(t testing.TB, key string, content []byte) {
			put(t, output(t, deployed.ImportBucket), key, content)
		},
	})
}
