package aws

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// NewLogger writes JSON lines, each with the id of the Lambda request that it
// belongs to.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(requestHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if c, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("requestId", c.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

// Metrics writes metrics as lines in CloudWatch's embedded metric format, which
// a function's log turns into metrics.
type Metrics struct {
	mu  sync.Mutex
	out io.Writer
	now func() time.Time
}

// NewMetrics writes to out, a function's standard output.
func NewMetrics(out io.Writer) *Metrics { return &Metrics{out: out, now: time.Now} }

// Count is an [engine.Config]'s.
func (m *Metrics) Count(metric, consumer string) {
	m.put(metric, 1, map[string]string{wiring.DimensionPlugin: engine.ParseConsumer(consumer).Plugin(), wiring.DimensionConsumer: consumer},
		[]string{wiring.DimensionPlugin}, []string{wiring.DimensionPlugin, wiring.DimensionConsumer})
}

// put writes a value once for each list of dimensions.
func (m *Metrics) put(metric string, value float64, dimensions map[string]string, by ...[]string) {
	type definition struct {
		Name string
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	line := map[string]any{
		"_aws": map[string]any{
			"Timestamp":         m.now().UnixMilli(),
			"CloudWatchMetrics": []directive{{wiring.MetricNamespace, by, []definition{{metric, "Count"}}}},
		},
		metric: value,
	}
	for name, v := range dimensions {
		line[name] = v
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // strings and finite numbers
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(append(b, '\n')) // there is nobody to tell
}

// metric writes a plugin's metric.
func (p *Platform) metric(name, plugin string, value float64) {
	if p.Metrics != nil {
		p.Metrics.put(name, value, map[string]string{wiring.DimensionPlugin: plugin}, []string{wiring.DimensionPlugin})
	}
}
