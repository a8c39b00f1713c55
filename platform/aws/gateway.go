package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// gateway serves an [http.Handler] behind a REST API of API Gateway.
type gateway struct {
	*httpadapter.HandlerAdapter
	log *slog.Logger
}

func newGateway(h http.Handler, log *slog.Logger) gateway {
	return gateway{httpadapter.New(h), log}
}

// answerWithin is how long a request may be worked on: API Gateway gives its caller
// an answer of its own after 29 s, while the work would go on.
const answerWithin = 27 * time.Second

func (g gateway) serve(ctx context.Context, r events.APIGatewayProxyRequest) (out events.APIGatewayProxyResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if r.HTTPMethod == "" {
		return out, errors.New("read the event: it is none of those that this function is for")
	}
	defer func() {
		if x := recover(); x != nil { // the API stops an answer that it can't send whole in this way
			out, err = events.APIGatewayProxyResponse{}, fmt.Errorf("%s %s: %v", r.HTTPMethod, r.Path, x)
		}
	}()
	if strings.HasSuffix(r.RequestContext.Path, "/"+r.Path) {
		r.Path = "/" + r.Path // API Gateway makes one slash of those that a path begins with, but not in the context
	}
	r.Path = escapedPath(r.Path)
	return g.ProxyWithContext(ctx, r)
}

// escapedPath encodes what may not stand in a URL's path as it is. API Gateway
// gives the path as the client encoded it, and what is escaped stays so.
func escapedPath(path string) string {
	const hex = "0123456789ABCDEF"
	isHex := func(i int) bool { return i < len(path) && strings.IndexByte(hex+"abcdef", path[i]) >= 0 }
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		switch {
		case c <= ' ', c >= 0x7f, strings.IndexByte(`"<>?#[\]^{|}`+"`", c) >= 0, c == '%' && (!isHex(i+1) || !isHex(i+2)):
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
