package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/local"
)

// metrics implements [httpapi.Metrics] with Prometheus' own library.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(p *local.Platform) *metrics {
	m := &metrics{prometheus.NewRegistry(), prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "shop_http_request_duration_seconds", Help: "How long requests took, by what OpenAPI calls them, and the status of the answer.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
	}, []string{"operation", "status"})}
	m.registry.MustRegister(m.requests, platformCollector{p}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe implements [httpapi.Metrics].
func (m *metrics) Observe(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}

// Write implements [httpapi.Metrics]: Prometheus' text form.
func (m *metrics) Write(w io.Writer) (contentType string, err error) {
	families, err := m.registry.Gather()
	if err != nil {
		return "", err
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	to := expfmt.NewEncoder(w, format)
	for _, f := range families {
		if err := to.Encode(f); err != nil {
			return "", err
		}
	}
	return string(format), nil
}

// platformCollector tells what /health tells, and the platform's counters.
type platformCollector struct{ platform *local.Platform }

// Describe describes nothing: which counters there are shows as they count.
func (platformCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c platformCollector) Collect(out chan<- prometheus.Metric) {
	put := func(kind prometheus.ValueType, value float64, name, help string, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("shop_"+name, help, names, nil), kind, value, values...)
	}
	gauge := func(on bool) float64 {
		if on {
			return 1
		}
		return 0
	}
	c.platform.Counted(func(metric, consumer string, n int) {
		put(prometheus.CounterValue, float64(n), strings.ReplaceAll(naming.PathSegment(metric), "-", "_")+"_total", "How often "+metric+" was counted since the start.",
			"plugin", engine.ParseConsumer(consumer).Plugin(), "consumer", consumer)
	})
	h, err := c.platform.Health(context.Background())
	put(prometheus.GaugeValue, gauge(err == nil && h.Status == "ok"), "ok", "1 where /health says ok.")
	for _, p := range h.Plugins {
		put(prometheus.GaugeValue, gauge(p.Connected), "plugin_connected", "1 while the plugin reports itself.", "plugin", p.Name)
		for _, x := range p.Consumers {
			labels := []string{"plugin", p.Name, "consumer", x.Name}
			put(prometheus.GaugeValue, x.LagSeconds, "consumer_lag_seconds", "Age of the oldest commit that the consumer has not seen.", labels...)
			put(prometheus.GaugeValue, float64(x.Parked), "consumer_parked", "Streams on which the consumer failed, and waits.", labels...)
		}
	}
}
