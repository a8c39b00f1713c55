package httpapi

import (
	"bytes"
	"net/http"
)

// addMetrics adds what a scraper such as Prometheus reads.
func (a *api) addMetrics() error {
	if a.Metrics == nil {
		return nil
	}
	return a.add(&endpoint{
		method: http.MethodGet, path: "/metrics", tag: operations, name: "metrics", summary: "What is counted, in Prometheus' text form", allow: admin, text: "text/plain", untagged: true,
		serve: func(c *call) (*answer, error) {
			var b bytes.Buffer
			contentType, err := a.Metrics.Write(&b)
			if err != nil {
				return nil, err
			}
			c.header.Set("Content-Type", contentType)
			return &answer{body: b.Bytes()}, nil
		},
	})
}
