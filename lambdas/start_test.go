package lambdas_test

import (
	"archive/zip"
	"bytes"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"onlineshop/platform/aws/wiring"
)

// maxBundle is how many bytes a function may have, zipped.
const maxBundle = 10 << 20

// BenchmarkStart starts each function's real program against a Runtime API: from
// the process to its first request for work, the median of 20. Run make lambdas
// for this machine's architecture before.
func BenchmarkStart(b *testing.B) {
	users := []string{wiring.Auth + "=jwt", wiring.JWTIssuer + "=https://login.example.com", wiring.JWTAudience + "=shop"}
	functions := map[string][]string{
		"command":        append(users, wiring.Aggregate+"=Catalog.Product"),
		"projector":      {wiring.Plugin + "=Catalog"},
		"eventmapping":   {wiring.Plugin + "=Catalog"},
		"query":          users,
		"importproducts": {wiring.Task + "=Catalog.ImportProducts"},
		"task":           {wiring.Task + "=Catalog.ImportProducts"},
		"notifications":  {wiring.Plugin + "=Ordering"},
	}
	for _, kind := range slices.Sorted(maps.Keys(functions)) {
		b.Run(kind, func(b *testing.B) {
			program := filepath.Join("..", "bin", "lambdas", kind, "bootstrap")
			content, err := os.ReadFile(program)
			if err != nil {
				b.Skip("run make lambdas first, with ARCH as this machine's")
			}
			size := zipped(b, content)
			if size > maxBundle {
				b.Errorf("%s has %d bytes when zipped, it may have %d", kind, size, maxBundle)
			}
			var median time.Duration
			for b.Loop() {
				starts := make([]time.Duration, 20)
				for i := range starts {
					starts[i] = start(b, program, functions[kind])
				}
				slices.Sort(starts)
				median = starts[len(starts)/2]
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(median.Microseconds())/1000, "ms/start")
			b.ReportMetric(float64(size)/(1<<20), "MB-zipped")
		})
	}
}

func zipped(b *testing.B, content []byte) int {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("bootstrap")
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return out.Len()
}

// start is how long the program takes until it asks for its first event.
func start(b *testing.B, program string, environment []string) time.Duration {
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	asked := make(chan time.Time, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- time.Now():
		default:
		}
		<-r.Context().Done() // there is no event
	})}
	defer server.Close()
	go func() { _ = server.Serve(listener) }() // until it is closed

	c := exec.CommandContext(b.Context(), program)
	c.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", wiring.Variable + "={}",
	}, environment...)
	c.Stderr = os.Stderr
	from := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	var failure error
	ended := make(chan struct{})
	go func() {
		failure = c.Wait()
		close(ended)
	}()
	select {
	case at := <-asked:
		_ = c.Process.Kill() // it waits for work
		<-ended
		return at.Sub(from)
	case <-ended:
		b.Fatalf("%s ended before it asked for work: %v", program, failure)
		return 0
	}
}
