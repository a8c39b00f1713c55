package local

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// disk stands between SQLite and its files: it counts syncs, and fails on demand.
// It is put before SQLite's own file system once, for all of the package's tests.
var disk struct {
	install sync.Once
	open    func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	mu      sync.Mutex
	files   map[uintptr]handle  // by SQLite's own
	methods map[uintptr]uintptr // ours, by SQLite's own
	names   map[string]*diskFile
}

// diskFile is one by its name.
type diskFile struct {
	name  string
	syncs atomic.Int64
	read  atomic.Int32 // the result code that reads fail with; 0: they don't
	write atomic.Int32
}

// handle is one that is open.
type handle struct {
	*diskFile
	methods *sqlite3.Tsqlite3_io_methods // SQLite's own
}

// SQLite calls functions by their address, as the compiler that made it does.
func address[F any](f *F) uintptr { return *(*uintptr)(unsafe.Pointer(f)) }

// at is what is at the address, in memory that Go does not manage.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

func function[F any](at uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{at}))
}

var (
	diskOpen = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
		rc := disk.open(tls, vfs, name, file, flags, out)
		if rc != sqlite3.SQLITE_OK || name == 0 {
			return rc
		}
		disk.mu.Lock()
		defer disk.mu.Unlock()
		own := at[sqlite3.Tsqlite3_file](file)
		if disk.methods[own.FpMethods] == 0 {
			m := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
			ours := at[sqlite3.Tsqlite3_io_methods](m)
			*ours = *at[sqlite3.Tsqlite3_io_methods](own.FpMethods)
			ours.FxSync, ours.FxRead, ours.FxWrite = address(&diskSync), address(&diskRead), address(&diskWrite)
			disk.methods[own.FpMethods] = m
		}
		disk.files[file] = handle{named(libc.GoString(name)), at[sqlite3.Tsqlite3_io_methods](own.FpMethods)}
		own.FpMethods = disk.methods[own.FpMethods]
		return rc
	}
	diskSync = func(tls *libc.TLS, file uintptr, flags int32) int32 {
		f := opened(file)
		f.syncs.Add(1)
		return function[func(*libc.TLS, uintptr, int32) int32](f.methods.FxSync)(tls, file, flags)
	}
	diskRead = func(tls *libc.TLS, file, to uintptr, n int32, at int64) int32 {
		f := opened(file)
		if rc := f.read.Load(); rc != 0 {
			return rc
		}
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.methods.FxRead)(tls, file, to, n, at)
	}
	diskWrite = func(tls *libc.TLS, file, from uintptr, n int32, at int64) int32 {
		f := opened(file)
		if rc := f.write.Load(); rc != 0 {
			return rc
		}
		return function[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](f.methods.FxWrite)(tls, file, from, n, at)
	}
)

func opened(file uintptr) handle {
	disk.mu.Lock()
	defer disk.mu.Unlock()
	return disk.files[file]
}

func named(name string) *diskFile {
	if disk.names[name] == nil {
		disk.names[name] = &diskFile{name: name}
	}
	return disk.names[name]
}

// watched is the file of that name as SQLite uses it, for databases that are opened
// after the first call.
func watched(t *testing.T, name string) *diskFile {
	t.Helper()
	disk.install.Do(func() {
		disk.files, disk.methods, disk.names = map[uintptr]handle{}, map[uintptr]uintptr{}, map[string]*diskFile{}
		tls := libc.NewTLS()
		vfs := at[sqlite3.Tsqlite3_vfs](sqlite3.Xsqlite3_vfs_find(tls, 0))
		disk.open = function[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](vfs.FxOpen)
		vfs.FxOpen = address(&diskOpen)
	})
	disk.mu.Lock()
	defer disk.mu.Unlock()
	return named(strings.TrimSuffix(name, "\x00"))
}
