package local

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"onlineshop/platform/portable"
)

// BenchmarkBackup backs up a shop with as many commits as -import-rows says, and restores it:
// commits per second of each step, bytes of the file, and the most that the heap held.
func BenchmarkBackup(b *testing.B) {
	for b.Loop() {
		dir, plugins := b.TempDir(), shop(&outbox{}, 0)
		p := open(b, Options{Dir: dir, Plugins: plugins})
		bucket := p.buckets[0].dir
		if err := os.Rename(writeProducts(b, dir, *importRows/2), filepath.Join(bucket, "products.csv")); err != nil { // of each, Ordering has a commit, too
			b.Fatal(err)
		}
		for _, err := os.Stat(filepath.Join(bucket, doneDir, "products.csv")); err != nil; _, err = os.Stat(filepath.Join(bucket, doneDir, "products.csv")) {
			time.Sleep(10 * time.Millisecond)
		}
		if err := p.CaughtUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		name := filepath.Join(b.TempDir(), "shop.backup")
		var commits int64
		step := func(what string, do func()) {
			runtime.GC()
			end, most := make(chan struct{}), make(chan uint64)
			go func() { most <- heap(end) }()
			start := time.Now()
			do()
			took := time.Since(start).Seconds()
			close(end)
			b.ReportMetric(float64(commits)/took, what+"-commits/s")
			b.ReportMetric(float64(<-most)/(1<<20), what+"-heap-MiB")
		}
		step("backup", func() {
			f, err := os.Create(name)
			if err != nil {
				b.Fatal(err)
			}
			w, err := portable.NewWriter(f)
			if err == nil {
				err = portable.Make(b.Context(), w, portable.Header{}, p.Backup)
			}
			if err != nil {
				b.Fatal(err)
			}
			commits = w.Commits()
			info, err := f.Stat()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/float64(commits), "B/commit")
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
		if err := p.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		p = nil
		file := portable.File{Open: func() (io.ReadCloser, error) { return os.Open(name) }}
		var checked portable.Checked
		step("check", func() {
			var err error
			if checked, err = portable.Check(b.Context(), file, scratch(b), nil); err != nil {
				b.Fatal(err)
			}
		})
		there := b.TempDir()
		step("restore", func() {
			to, err := OpenToRestore(b.Context(), there)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := portable.Restore(b.Context(), file, checked.Trailer, to, func(int64) {}); err != nil {
				b.Fatal(err)
			}
			if err := to.Close(); err != nil {
				b.Fatal(err)
			}
		})
		step("views", func() {
			if err := Fold(b.Context(), Options{Dir: there, Plugins: plugins, Logger: quiet}, func(int) {}); err != nil {
				b.Fatal(err)
			}
		})
		b.ReportMetric(float64(commits), "commits")
	}
}

// heap is the most that the heap holds until the end.
func heap(end <-chan struct{}) (most uint64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-tick.C:
		case <-end:
			return most
		}
	}
}
